//! Replicas take the roles that the metadata gives them; those that aren't there yet are made, many in one go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::join_all;
use metadata::{MetadataImage, PartitionRegistration};
use storage::{Log, LogConfig};
use types::{Offset, PartitionIndex, TopicId, TopicIdPartition, TopicName, TopicPartition};

use super::removal::name_of;
use super::{Hosted, ReplicaManager};
use crate::log_manager_error::LogManagerError;
use crate::partition::{Partition, ReplicaDisk, RoleChange};
use crate::topic_settings::PartitionSettings;

/// Logs made by one call to the disk's threads: enough that handing it over costs nothing beside them, and the first partitions of
/// many serve before the last ones are made.
const MADE_AT_ONCE: usize = 64;

/// New logs with their directories, or why there are none. One whose directory went offline meanwhile is missing.
type MadeLogs = HashMap<TopicIdPartition, (usize, Result<Log, LogManagerError>)>;

/// Resolved once a topic, not once a partition.
pub(super) type Settings = HashMap<TopicId, PartitionSettings>;

struct WantedLog {
    id: TopicIdPartition,
    name: TopicPartition,
    config: LogConfig,
}

impl ReplicaManager {
    /// Makes these replicas what the image says. Only while `applying` is held.
    pub(super) async fn apply_partitions(
        self: &Arc<Self>,
        image: &Arc<MetadataImage>,
        ids: &BTreeSet<TopicIdPartition>,
    ) {
        let ids: Vec<TopicIdPartition> = ids.iter().copied().collect();
        let mut settings = Settings::new();
        for ids in ids.chunks(MADE_AT_ONCE) {
            let mut made = self.make_logs(image, ids, &mut settings).await;
            let mut leaving = Vec::new();
            for id in ids {
                let Some((registration, topic)) = registered(image, *id) else {
                    continue;
                };
                if registration.replicas.contains(&self.host.local) {
                    self.apply_partition(image, *id, registration, topic, &mut made, &mut settings);
                } else {
                    self.offline.lock().remove(id);
                    leaving.push((*id, topic.clone()));
                }
            }
            self.remove(leaving).await;
        }
    }

    fn apply_partition(
        self: &Arc<Self>,
        image: &Arc<MetadataImage>,
        id: TopicIdPartition,
        registration: &PartitionRegistration,
        topic: &TopicName,
        made: &mut MadeLogs,
        settings: &mut Settings,
    ) {
        if self.offline.lock().contains(&id) {
            return;
        }
        let hosted = self.partition(id);
        let Some(partition) = hosted.or_else(|| {
            let settings = self.settings_of(image, id, topic, settings);
            self.host_replica(id, topic, settings, made)
        }) else {
            return;
        };
        match partition.apply_registration(registration) {
            RoleChange::Leads { newly: false } | RoleChange::Follows { unchanged: true, .. } => {}
            RoleChange::Leads { newly: true } | RoleChange::Leaderless => self.fetchers.unfollow(id),
            RoleChange::Follows {
                leader,
                leader_epoch,
                unchanged: false,
            } => {
                self.fetchers.follow(&partition, leader, leader_epoch);
            }
        }
    }

    /// Opens the logs of those that are to be here and neither are hosted nor were found.
    async fn make_logs(
        self: &Arc<Self>,
        image: &MetadataImage,
        ids: &[TopicIdPartition],
        settings: &mut Settings,
    ) -> MadeLogs {
        let mut made = MadeLogs::new();
        let mut jobs = Vec::new();
        for (directory, wanted) in self.wanted_logs(image, ids, settings) {
            let (logs, now) = (Arc::clone(&self.logs), self.host.clock.now());
            let replicas = Arc::clone(self);
            let make = move || {
                // Without room the logs can't be made either, and are tried again.
                let forgotten = replicas.forget_left(directory);
                let make = |wanted: WantedLog| {
                    let log = logs.create(directory, &wanted.name, wanted.id, wanted.config, now);
                    (wanted.id, log)
                };
                if let Err(error) = forgotten {
                    tracing::warn!(%error, "checkpoints still name replicas that are gone");
                }
                wanted.into_iter().map(make).collect::<Vec<_>>()
            };
            let making = self.pool_of(directory).run(make);
            jobs.push(async move { (directory, self.unless_offline(directory, making).await) });
        }
        for (directory, logs) in join_all(jobs).await {
            let logs = logs.into_iter().flatten();
            made.extend(logs.map(|(id, log)| (id, (directory, log))));
        }
        made
    }

    pub(super) fn settings_of(
        &self,
        image: &MetadataImage,
        id: TopicIdPartition,
        topic: &TopicName,
        known: &mut Settings,
    ) -> PartitionSettings {
        let settings = known.entry(id.topic_id);
        settings.or_insert_with(|| self.settings(image, topic)).clone()
    }

    fn wanted_logs(
        &self,
        image: &MetadataImage,
        ids: &[TopicIdPartition],
        settings: &mut Settings,
    ) -> BTreeMap<usize, Vec<WantedLog>> {
        let mut wanted: BTreeMap<usize, Vec<WantedLog>> = BTreeMap::new();
        let mut missing = Vec::new();
        let mut names: HashMap<(&TopicName, PartitionIndex), TopicIdPartition> = HashMap::new();
        {
            let (hosted, offline) = (self.hosted.read(), self.offline.lock());
            for id in ids {
                let Some((registration, topic)) = registered(image, *id) else {
                    continue;
                };
                let local = registration.replicas.contains(&self.host.local);
                if local && !hosted.contains_key(id) && !offline.contains(id) {
                    missing.push((*id, registration, topic));
                    names.insert((topic, id.partition), *id);
                }
            }
        }
        if missing.is_empty() {
            return wanted;
        }
        let mut found = self.found.lock();
        // A log of another topic id under this name is of a topic that was deleted: closed here, its directory makes
        // way when the new one is made. Left as a stray it would later take the new partition's directory with it (RM-1).
        found.retain(|other, log| {
            names
                .get(&(&log.topic, other.partition))
                .is_none_or(|wanted| wanted == other)
        });
        for (id, registration, topic) in missing {
            // Its log may lie in a directory that can't be read: an empty one in its place would stand for what it held.
            if found.contains_key(&id) || (self.logs.any_offline() && !registration.is_new()) {
                continue;
            }
            let name = name_of(id, topic.clone());
            let config = self.settings_of(image, id, topic, settings).log;
            let directory = self.preferred_directory(id).unwrap_or_else(|| self.logs.choose());
            wanted
                .entry(directory)
                .or_default()
                .push(WantedLog { id, name, config });
        }
        wanted
    }

    /// Hosts a replica whose log was found or made.
    fn host_replica(
        self: &Arc<Self>,
        id: TopicIdPartition,
        topic: &TopicName,
        settings: PartitionSettings,
        made: &mut MadeLogs,
    ) -> Option<Arc<Partition>> {
        let found = self.found.lock().remove(&id);
        let (log, directory, high_watermark) = match (found, made.remove(&id)) {
            (Some(mut found), _) => {
                found.log.set_config(settings.log.clone());
                (found.log, found.directory, found.high_watermark)
            }
            (None, Some((directory, Ok(log)))) => (log, directory, Offset::ZERO),
            (None, Some((_, Err(error)))) => {
                tracing::warn!(%id, %topic, %error, "the replica's log can't be made");
                if error.is_full() {
                    self.missing.lock().insert(id);
                } else {
                    self.mark_offline(vec![id]);
                }
                return None;
            }
            (None, None) => {
                self.mark_offline(vec![id]);
                return None;
            }
        };
        let partition = Partition::new(
            id,
            topic.clone(),
            Arc::clone(&self.host),
            ReplicaDisk {
                log,
                directory,
                health: Arc::clone(self.logs.health(directory)),
            },
            settings,
            high_watermark,
        );
        let hosted = Hosted {
            partition: Arc::clone(&partition),
        };
        self.hosted.write().insert(id, hosted);
        Some(partition)
    }
}

fn registered(image: &MetadataImage, id: TopicIdPartition) -> Option<(&PartitionRegistration, &TopicName)> {
    Some((image.partition(id)?, &image.topic_by_id(id.topic_id)?.name))
}
