//! DescribeQuorum (55, KIP-595): the metadata quorum's leader, voters and observers, as the active controller sees them.

use std::sync::Arc;
use std::time::Duration;

use rpc::proto::{QuorumReplica, QuorumStatusReply};
use types::{ErrorCode, TimestampMs, Uuid};
use wire::messages::describe_quorum_request::TopicData as AskedTopic;
use wire::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::controller_call::Refused;
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";
const CONTROLLER_LISTENER: &str = "CONTROLLER";
const FIRST_VERSION_WITH_TIMES: i16 = 1;
const FIRST_VERSION_WITH_NODES: i16 = 2;
/// Longer than an election; whoever asks wants to know soon that there is no leader.
const WAIT: Duration = Duration::from_secs(2);

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: DescribeQuorumRequest = decode(&header, request.body)?;
    if !asks_for_the_quorum(&body.topics) {
        return respond(
            &header,
            &DescribeQuorumResponse::default().with_topics(unknown(&body.topics)),
        );
    }
    let status = match broker.controllers.quorum_status(WAIT).await {
        Ok(status) => status,
        Err(error) => {
            let refused = Refused::from(error);
            let response = DescribeQuorumResponse::default().with_error_code(refused.code.code());
            let message = (version >= FIRST_VERSION_WITH_NODES).then(|| refused.text()).flatten();
            return respond(&header, &response.with_error_message(message));
        }
    };
    let now = broker.host.clock.now();
    let replicas = |replicas: &[QuorumReplica]| {
        replicas
            .iter()
            .map(|replica| state(replica, now, version))
            .collect::<Vec<_>>()
    };
    let partition = PartitionData::default()
        .with_leader_id(status.leader_id.into())
        .with_leader_epoch(i32::try_from(status.term).unwrap_or(i32::MAX))
        .with_high_watermark(status.high_watermark)
        .with_current_voters(replicas(&status.voters))
        .with_observers(replicas(&status.observers));
    let topic = TopicData::default()
        .with_topic_name(wire::messages::TopicName(text(CLUSTER_METADATA_TOPIC)))
        .with_partitions(vec![partition]);
    let mut response = DescribeQuorumResponse::default().with_topics(vec![topic]);
    if version >= FIRST_VERSION_WITH_NODES {
        response.nodes = nodes(&status);
    }
    respond(&header, &response)
}

/// Partition 0 of the metadata topic, and nothing else.
fn asks_for_the_quorum(topics: &[AskedTopic]) -> bool {
    matches!(topics, [topic] if topic.topic_name.0.as_str() == CLUSTER_METADATA_TOPIC
        && matches!(&*topic.partitions, [partition] if partition.partition_index == 0))
}

fn unknown(topics: &[AskedTopic]) -> Vec<TopicData> {
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
        });
        TopicData::default()
            .with_topic_name(topic.topic_name.clone())
            .with_partitions(partitions.collect())
    });
    topics.collect()
}

fn state(replica: &QuorumReplica, now: TimestampMs, version: i16) -> ReplicaState {
    let at = |ms_ago: i64| if ms_ago < 0 { -1 } else { now.0.saturating_sub(ms_ago) };
    let mut state = ReplicaState::default()
        .with_replica_id(replica.node_id.into())
        .with_log_end_offset(replica.log_end_offset);
    if version >= FIRST_VERSION_WITH_TIMES {
        state.last_fetch_timestamp = at(replica.last_fetch_ms_ago);
        state.last_caught_up_timestamp = at(replica.last_caught_up_ms_ago);
    }
    if version >= FIRST_VERSION_WITH_NODES {
        state.replica_directory_id = Uuid::from_slice(&replica.directory_id).unwrap_or_default();
    }
    state
}

/// Where the voters serve as controllers, and the observers that are controllers, too: those that can become voters.
fn nodes(status: &QuorumStatusReply) -> Vec<Node> {
    let observers = status.observers.iter().filter(|observer| observer.port > 0);
    let nodes = status.voters.iter().chain(observers).map(|voter| {
        let listener = Listener::default()
            .with_name(text(CONTROLLER_LISTENER))
            .with_host(text(&voter.host))
            .with_port(u16::try_from(voter.port).unwrap_or(0));
        Node::default()
            .with_node_id(voter.node_id.into())
            .with_listeners(vec![listener])
    });
    nodes.collect()
}

#[cfg(test)]
mod tests {
    use wire::encode_response;
    use wire::messages::describe_quorum_request::PartitionData as AskedPartition;

    use super::*;

    #[test]
    fn every_version_can_be_encoded() {
        let voter = QuorumReplica {
            node_id: 2,
            directory_id: vec![7; 16].into(),
            log_end_offset: 9,
            last_fetch_ms_ago: 3,
            last_caught_up_ms_ago: -1,
            host: "h".to_owned(),
            port: 9093,
        };
        for version in 0..=2 {
            let voters = vec![state(&voter, TimestampMs(10), version)];
            assert_eq!(voters[0].last_fetch_timestamp, if version == 0 { -1 } else { 7 });
            let partition = PartitionData::default()
                .with_leader_id(2.into())
                .with_current_voters(voters);
            let topic = TopicData::default().with_partitions(vec![partition]);
            let mut response = DescribeQuorumResponse::default().with_topics(vec![topic]);
            if version == 2 {
                response.nodes = nodes(&QuorumStatusReply {
                    voters: vec![voter.clone()],
                    ..Default::default()
                });
            }
            assert!(encode_response(55, version, 1, &response).is_ok(), "version {version}");
        }
    }

    #[test]
    fn only_the_metadata_partition_is_known() {
        let asked = |name: &str, index| {
            let partition = AskedPartition::default().with_partition_index(index);
            vec![
                AskedTopic::default()
                    .with_topic_name(wire::messages::TopicName(text(name)))
                    .with_partitions(vec![partition]),
            ]
        };
        assert!(asks_for_the_quorum(&asked(CLUSTER_METADATA_TOPIC, 0)));
        assert!(!asks_for_the_quorum(&asked(CLUSTER_METADATA_TOPIC, 1)));
        assert!(!asks_for_the_quorum(&asked("t", 0)));
        assert!(!asks_for_the_quorum(&[]));
    }
}
