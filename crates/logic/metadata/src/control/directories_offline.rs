//! Log directories of a broker failed: its replicas there lose their leaderships and leave the ISRs (KIP-112).
//!
//! Kafka (KIP-858) has every replica's directory in the metadata and derives the rest; here the broker names the replicas,
//! which costs records only when a disk fails. Either way a new incarnation starts with a clean slate.

use std::collections::BTreeSet;

use types::{BrokerEpoch, BrokerId, TopicIdPartition};

use super::decision::check_broker_epoch;
use super::partition_change::{Liveness, PartitionChangeBuilder};
use super::{BrokerEpochError, ControlContext, Decision};
use crate::image::MetadataImage;
use crate::proto::{BrokerChange, DirectoriesOfflineRequest, DirectoriesOfflineResponse, DirectoryIds, ReplicaOf};
use crate::record::uuid_bytes;

/// Replicas of one decision: a disk may hold thousands, and the broker names those that are left again.
const REPLICAS_MAX: usize = 2_000;

/// Decides on lost directories. A replica that is the last of its ISR stays there, without leading (META-3): what it holds
/// comes back with its disk.
///
/// The broker's record comes last: should the records be cut in between, the broker tells of the others again.
///
/// # Errors
/// When another incarnation is registered by now.
pub fn directories_offline(
    image: &MetadataImage,
    request: &DirectoriesOfflineRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<DirectoriesOfflineResponse>, BrokerEpochError> {
    let id = BrokerId(request.broker_id);
    check_broker_epoch(image, id, BrokerEpoch(request.broker_epoch))?;
    let named = request
        .replicas
        .iter()
        .filter_map(|id| TopicIdPartition::try_from(id).ok());
    let lost: BTreeSet<TopicIdPartition> = named
        .filter(|partition| !image.is_replica_offline(*partition, id))
        .filter(|partition| {
            image
                .partition(*partition)
                .is_some_and(|partition| partition.replicas.contains(&id))
        })
        .take(REPLICAS_MAX)
        .collect();
    let liveness = Liveness::without_replica(image, id);
    let mut records: Vec<_> = lost
        .iter()
        .filter_map(|partition| {
            PartitionChangeBuilder::new(liveness, *partition, context.defaults)?
                .without_in_sync(id)
                .build()
        })
        .collect();
    let directories = image.broker(id).map(|broker| &broker.directories);
    let gone = |directory: &types::DirectoryId| request.directory_ids.contains(&uuid_bytes(directory.0));
    let left = directories
        .filter(|directories| directories.iter().any(gone))
        .map(|directories| DirectoryIds {
            ids: directories
                .iter()
                .filter(|directory| !gone(directory))
                .map(|directory| uuid_bytes(directory.0))
                .collect(),
        });
    if left.is_some() || !lost.is_empty() {
        let offline = lost.iter().map(|partition| ReplicaOf {
            topic_id: uuid_bytes(partition.topic_id.0),
            index: partition.partition.0,
        });
        let change = BrokerChange {
            broker_id: id.0,
            broker_epoch: request.broker_epoch,
            directories: left,
            offline_replicas: offline.collect(),
            ..BrokerChange::default()
        };
        records.push(change.into());
    }
    Ok(Decision {
        records,
        response: DirectoriesOfflineResponse {},
    })
}
