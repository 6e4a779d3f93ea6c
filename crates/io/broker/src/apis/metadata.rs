//! Metadata (3): brokers, topics, leaders, with the addresses of the listener that the client came through (KIP-103).
//!
//! A topic that is created on the way is answered with its leaders at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ::metadata::{MetadataImage, PartitionRegistration, TopicImage};
use tokio::time::Instant;
use types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicIdPartition, TopicName};
use wire::messages::metadata_request::MetadataRequestTopic;
use wire::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use wire::messages::{MetadataRequest, MetadataResponse};

use super::authorized_operations::{CLUSTER, NOT_ASKED, TOPIC};
use super::auto_create::{create_topics, is_internal};
use super::controller_call::account_of;
use super::exchange::{Handled, decode, respond, text, topic_id, topic_name, wire_topic};
use crate::context::{ApiRequest, BrokerContext};
use crate::peers::{Asker, Peers};

/// Clients can ask what they may do from this version on (KIP-430).
const OPERATIONS_SINCE: i16 = 8;
/// Later, DescribeCluster tells what they may do to the cluster.
const CLUSTER_OPERATIONS_UNTIL: i16 = 10;
/// Topics that one request may create: more are a mistake, and would keep the controller busy.
const CREATED_TOPICS_MAX: usize = 1_000;
/// Clients that have just connected learn the cluster; later they mostly ask because something broke (PEER-3).
const SETTLED: Duration = Duration::from_secs(1);

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: MetadataRequest = decode(&header, request.body)?;
    let version = header.api_version;
    let create = body.allow_auto_topic_creation && broker.config.topics.auto_create_topics_enable;
    let wanted = body.topics.filter(|topics| version > 0 || !topics.is_empty());
    let wanted = wanted.map(without_doubles);
    let refused = if create {
        create_missing(
            &broker,
            wanted.as_deref().unwrap_or_default(),
            header.client_id.as_deref(),
        )
        .await
    } else {
        HashMap::new()
    };
    let is_known = request.client.opened.elapsed() > SETTLED;
    let asker = if is_known { Asker::Known } else { Asker::New };
    let concerns = |id| leads_what_is_asked(&broker.host.image.load(), wanted.as_deref(), id);
    broker.host.peers.all_heard(asker, Instant::now(), concerns).await;
    broker.host.peers.all_replaced(concerns).await;
    let image = broker.host.image.load();
    let view = View {
        image: &image,
        peers: &broker.host.peers,
        listener: &request.client.listener,
        version,
        operations: if version >= OPERATIONS_SINCE && body.include_topic_authorized_operations {
            TOPIC
        } else {
            NOT_ASKED
        },
    };
    let topics = match &wanted {
        None => image.topics().map(|topic| view.topic(topic)).collect(),
        Some(wanted) => wanted.iter().map(|asked| view.asked(asked, &refused)).collect(),
    };
    let brokers = view.brokers();
    let controller = view.controller(&brokers, broker.host.local);
    let response = MetadataResponse::default()
        .with_brokers(brokers)
        .with_cluster_id(image.cluster_id().map(|id| text(&id.0)))
        .with_controller_id(controller.0.into())
        .with_topics(topics);
    let response = if (OPERATIONS_SINCE..=CLUSTER_OPERATIONS_UNTIL).contains(&version)
        && body.include_cluster_authorized_operations
    {
        response.with_cluster_authorized_operations(CLUSTER)
    } else {
        response
    };
    respond(&header, &response)
}

/// A topic that is asked for twice is told once.
fn without_doubles(mut topics: Vec<MetadataRequestTopic>) -> Vec<MetadataRequestTopic> {
    let mut seen = HashSet::new();
    topics.retain(|topic| seen.insert((topic.name.clone(), topic.topic_id)));
    topics
}

/// Creates the named topics that don't exist. Returns those that couldn't be, with the reason.
async fn create_missing(
    broker: &BrokerContext,
    wanted: &[MetadataRequestTopic],
    client_id: Option<&str>,
) -> HashMap<TopicName, ErrorCode> {
    let mut missing: Vec<TopicName> = {
        let image = broker.host.image.load();
        let names = wanted
            .iter()
            .filter(|asked| asked.topic_id.is_nil())
            .filter_map(|asked| asked.name.as_ref());
        let absent = names
            .filter(|name| image.topic(name.0.as_str()).is_none())
            .map(topic_name);
        absent
            .filter(|name| name.validate().is_ok())
            .take(CREATED_TOPICS_MAX)
            .collect()
    };
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return HashMap::new();
    }
    let results = create_topics(broker, &missing, Some(account_of(client_id, true))).await;
    missing
        .into_iter()
        .zip(results)
        .filter_map(|(name, result)| Some((name, result.err()?)))
        .collect()
}

/// Whether the answer will name this broker as a leader, and nothing says yet that it is gone.
fn leads_what_is_asked(image: &MetadataImage, wanted: Option<&[MetadataRequestTopic]>, id: BrokerId) -> bool {
    if image.broker(id).is_none_or(|broker| broker.fenced) {
        return false;
    }
    let leads = |topic: &TopicImage| topic.partitions().any(|(_, partition)| partition.leader == Some(id));
    let Some(wanted) = wanted else {
        return image.topics().any(|topic| leads(topic));
    };
    wanted.iter().any(|asked| {
        let by_name = asked.name.as_ref().and_then(|name| image.topic(name.0.as_str()));
        let topic = by_name.or_else(|| image.topic_by_id(topic_id(asked.topic_id)?));
        topic.is_some_and(|topic| leads(topic))
    })
}

/// The image as one connection sees it.
struct View<'a> {
    image: &'a MetadataImage,
    peers: &'a Peers,
    listener: &'a str,
    version: i16,
    /// What is told of each topic.
    operations: i32,
}

impl View<'_> {
    /// Those that are alive, or were until a moment ago (PEER-2). While all are fenced, as after a long partition, everybody:
    /// a client that is told of nobody forgets whom it knew. librdkafka 2.12 drops its connections then, and may never
    /// bootstrap again.
    fn brokers(&self) -> Vec<MetadataResponseBroker> {
        let anybody_alive = self.image.brokers().any(|broker| !broker.fenced);
        let listed = self.image.brokers();
        let listed = listed.filter(|broker| !broker.fenced || !anybody_alive || self.peers.is_listed_still(broker.id));
        let answer = listed.filter_map(|broker| {
            let address = broker.listener(self.listener)?;
            Some(
                MetadataResponseBroker::default()
                    .with_node_id(broker.id.0.into())
                    .with_host(text(&address.host))
                    .with_port(i32::from(address.port))
                    .with_rack(broker.rack.as_deref().map(text)),
            )
        });
        answer.collect()
    }

    /// Every broker passes requests on to the controller, so it names itself; while it is fenced, another one.
    fn controller(&self, brokers: &[MetadataResponseBroker], local: BrokerId) -> BrokerId {
        let own = brokers.iter().find(|broker| broker.node_id.0 == local.0);
        own.or(brokers.first())
            .map_or(BrokerId(-1), |broker| BrokerId(broker.node_id.0))
    }

    fn asked(&self, asked: &MetadataRequestTopic, refused: &HashMap<TopicName, ErrorCode>) -> MetadataResponseTopic {
        let failed = |error: ErrorCode| {
            let name = asked
                .name
                .clone()
                .or_else(|| (self.version < 12).then(Default::default));
            let answer = MetadataResponseTopic::default()
                .with_error_code(error.code())
                .with_topic_authorized_operations(self.operations)
                .with_name(name);
            if self.version >= 10 {
                answer.with_topic_id(asked.topic_id)
            } else {
                answer
            }
        };
        if let Some(id) = topic_id(asked.topic_id) {
            return match self.image.topic_by_id(id) {
                // Until version 12 an id only accompanies a name.
                _ if self.version < 12 => failed(ErrorCode::InvalidRequest),
                Some(topic) => self.topic(topic),
                // Whatever name came with it isn't looked at.
                None => failed(ErrorCode::UnknownTopicId).with_name(None),
            };
        }
        let Some(name) = &asked.name else {
            return failed(ErrorCode::InvalidRequest);
        };
        if let Some(topic) = self.image.topic(name.0.as_str()) {
            return self.topic(topic);
        }
        let name = topic_name(name);
        if name.validate().is_err() {
            return failed(ErrorCode::InvalidTopicException);
        }
        failed(match refused.get(&name) {
            None => ErrorCode::UnknownTopicOrPartition,
            // Retriable: brokers may be starting, or the controller is.
            Some(ErrorCode::InvalidReplicationFactor | ErrorCode::RequestTimedOut | ErrorCode::NotController) => {
                ErrorCode::LeaderNotAvailable
            }
            Some(error) => *error,
        })
    }

    fn topic(&self, topic: &TopicImage) -> MetadataResponseTopic {
        let partitions = topic
            .partitions()
            .map(|(index, registration)| self.partition(topic.id, index, registration));
        let answer = MetadataResponseTopic::default()
            .with_name(Some(wire_topic(&topic.name)))
            .with_is_internal(is_internal(topic.name.as_str()))
            .with_topic_authorized_operations(self.operations)
            .with_partitions(partitions.collect());
        if self.version >= 10 {
            answer.with_topic_id(topic.id.0)
        } else {
            answer
        }
    }

    fn partition(
        &self,
        topic_id: TopicId,
        index: PartitionIndex,
        registration: &PartitionRegistration,
    ) -> MetadataResponsePartition {
        let partition_id = TopicIdPartition {
            topic_id,
            partition: index,
        };
        let reachable = |id: &BrokerId| {
            self.image
                .broker(*id)
                .is_some_and(|broker| !broker.fenced && broker.listener(self.listener).is_some())
        };
        let leader = registration.leader.filter(|leader| {
            !self.peers.is_lost(*leader)
                && self
                    .image
                    .broker(*leader)
                    .is_some_and(|broker| broker.listener(self.listener).is_some())
        });
        let offline: Vec<BrokerId> = registration
            .replicas
            .iter()
            .copied()
            .filter(|id| !reachable(id) || self.image.is_replica_offline(partition_id, *id))
            .collect();
        let error = match (leader, registration.leader) {
            (None, Some(led_by)) if self.peers.is_lost(led_by) => ErrorCode::LeaderNotAvailable,
            (Some(_), _) if self.version == 0 && !offline.is_empty() => ErrorCode::ReplicaNotAvailable,
            (Some(_), _) => ErrorCode::None,
            (None, Some(led_by)) if self.version >= 6 && self.image.broker(led_by).is_some() => {
                ErrorCode::ListenerNotFound
            }
            (None, _) => ErrorCode::LeaderNotAvailable,
        };
        // Clients of version 0 take every listed replica for one that they can reach.
        let listed = |ids: &[BrokerId]| {
            let ids = ids.iter().filter(|id| self.version > 0 || reachable(id));
            ids.map(|id| id.0.into()).collect::<Vec<_>>()
        };
        let answer = MetadataResponsePartition::default()
            .with_error_code(error.code())
            .with_partition_index(index.0)
            .with_leader_id(leader.map_or(-1, |leader| leader.0).into())
            .with_replica_nodes(listed(&registration.replicas))
            .with_isr_nodes(listed(&registration.isr));
        let answer = if self.version >= 7 {
            answer.with_leader_epoch(registration.leader_epoch.0)
        } else {
            answer
        };
        if self.version >= 5 {
            answer.with_offline_replicas(offline.iter().map(|id| id.0.into()).collect())
        } else {
            answer
        }
    }
}

#[cfg(test)]
mod tests;
