//! ListPartitionReassignments (46, KIP-455): partitions whose replicas are being exchanged, from the metadata.

use std::sync::Arc;

use metadata::{PartitionRegistration, TopicImage};
use types::PartitionIndex;
use wire::messages::list_partition_reassignments_response::{OngoingPartitionReassignment, OngoingTopicReassignment};
use wire::messages::{BrokerId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::exchange::{Handled, decode, respond, wire_topic};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: ListPartitionReassignmentsRequest = decode(&header, request.body)?;
    let image = broker.host.image.load();
    let topics: Vec<OngoingTopicReassignment> = match &body.topics {
        None => image.topics().filter_map(|topic| shown(topic, |_| true)).collect(),
        Some(topics) => topics
            .iter()
            .filter_map(|asked| {
                let topic = image.topic(asked.name.0.as_str())?;
                shown(topic, |partition| asked.partition_indexes.contains(&partition.0))
            })
            .collect(),
    };
    respond(
        &header,
        &ListPartitionReassignmentsResponse::default()
            .with_error_message(None)
            .with_topics(topics),
    )
}

/// `None` when none of the wanted partitions is being reassigned.
fn shown(topic: &TopicImage, wanted: impl Fn(PartitionIndex) -> bool) -> Option<OngoingTopicReassignment> {
    let ongoing = topic
        .partitions()
        .filter(|(index, partition)| partition.is_reassigning() && wanted(*index));
    let partitions: Vec<_> = ongoing
        .map(|(index, partition)| ongoing_partition(index, partition))
        .collect();
    let shown = OngoingTopicReassignment::default().with_name(wire_topic(&topic.name));
    (!partitions.is_empty()).then(|| shown.with_partitions(partitions))
}

fn ongoing_partition(index: PartitionIndex, partition: &PartitionRegistration) -> OngoingPartitionReassignment {
    let ids = |ids: &[types::BrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect::<Vec<_>>();
    OngoingPartitionReassignment::default()
        .with_partition_index(index.0)
        .with_replicas(ids(&partition.replicas))
        .with_adding_replicas(ids(&partition.adding))
        .with_removing_replicas(ids(&partition.removing))
}
