//! DescribeTopicPartitions (75, KIP-966): topics page by page, with eligible leader replicas.

use std::collections::BTreeSet;
use std::sync::Arc;

use metadata::{MetadataImage, PartitionRegistration, TopicImage};
use types::{ErrorCode, PartitionIndex, TopicId, TopicIdPartition, TopicName};
use wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use wire::messages::{BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use super::authorized_operations::TOPIC;
use super::auto_create::is_internal;
use super::exchange::{Handled, decode, respond, topic_name, wire_topic};
use crate::context::{ApiRequest, BrokerContext};

/// Partitions of one answer, whatever the client asks for.
const PARTITIONS_MAX: &str = "max.request.partition.size.limit";

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DescribeTopicPartitionsRequest = decode(&header, request.body)?;
    let image = broker.host.image.load();
    let mut names: BTreeSet<TopicName> = if body.topics.is_empty() {
        image.topics().map(|topic| topic.name.clone()).collect()
    } else {
        body.topics.iter().map(|topic| topic_name(&topic.name)).collect()
    };
    let most = broker.replicas.defaults().number(PARTITIONS_MAX);
    let limit = i64::from(body.response_partition_limit).min(most.unwrap_or(i64::MAX));
    let limit = usize::try_from(limit).unwrap_or(1).max(1);
    let mut first = 0;
    if let Some(cursor) = &body.cursor {
        let at = topic_name(&cursor.topic_name);
        if cursor.partition_index < 0 || (!body.topics.is_empty() && !names.contains(&at)) {
            return respond(&header, &refused(&body));
        }
        // The cursor's topic may have been deleted since: its name still says where to go on.
        names = names.split_off(&at);
        if names.contains(&at) {
            first = cursor.partition_index;
        }
    }
    let mut page = Page {
        image: &image,
        left: limit,
        next: None,
    };
    let topics = names.iter().map_while(|name| {
        let from = std::mem::take(&mut first);
        // Who asked for it by name hears that it is gone, or would take the pages before for the whole.
        page.topic(name, from, body.topics.is_empty())
    });
    let topics: Vec<_> = topics.flatten().collect();
    let response = DescribeTopicPartitionsResponse::default()
        .with_topics(topics)
        .with_next_cursor(page.next);
    respond(&header, &response)
}

/// A cursor that can't be one of ours.
fn refused(body: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = body.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(topic.name.clone()))
            .with_error_code(ErrorCode::InvalidRequest.code())
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

/// One answer being filled.
struct Page<'a> {
    image: &'a MetadataImage,
    left: usize,
    next: Option<Cursor>,
}

impl Page<'_> {
    /// A topic from a partition on; `None` when the page was full before.
    fn topic(
        &mut self,
        name: &TopicName,
        from: i32,
        may_be_gone: bool,
    ) -> Option<Option<DescribeTopicPartitionsResponseTopic>> {
        if self.next.is_some() {
            return None;
        }
        let Some(topic) = self.image.topic(name.as_str()) else {
            if may_be_gone {
                return Some(None);
            }
            let code = match name.validate() {
                Ok(()) => ErrorCode::UnknownTopicOrPartition,
                Err(_) => ErrorCode::InvalidTopicException,
            };
            let absent = DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(wire_topic(name)))
                .with_topic_authorized_operations(TOPIC)
                .with_error_code(code.code());
            return Some(Some(absent));
        };
        if self.left == 0 {
            self.next = Some(cursor(topic, from));
            return None;
        }
        let all = topic.partitions().skip(usize::try_from(from).unwrap_or(0));
        let partitions: Vec<_> = all
            .take(self.left)
            .map(|(index, partition)| self.partition(topic.id, index, partition))
            .collect();
        self.left -= partitions.len();
        let shown = from.saturating_add(i32::try_from(partitions.len()).unwrap_or(i32::MAX));
        if shown < topic.partition_count() {
            self.next = Some(cursor(topic, shown));
        }
        let topic = DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(wire_topic(name)))
            .with_topic_id(topic.id.0)
            .with_is_internal(is_internal(name.as_str()))
            .with_partitions(partitions)
            .with_topic_authorized_operations(TOPIC);
        Some(Some(topic))
    }

    fn partition(
        &self,
        topic_id: TopicId,
        index: PartitionIndex,
        partition: &PartitionRegistration,
    ) -> DescribeTopicPartitionsResponsePartition {
        let partition_id = TopicIdPartition {
            topic_id,
            partition: index,
        };
        let ids = |ids: &[types::BrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect::<Vec<_>>();
        let alive = |id: &types::BrokerId| self.image.broker(*id).is_some_and(|broker| !broker.fenced);
        let offline = partition
            .replicas
            .iter()
            .filter(|id| !alive(id) || self.image.is_replica_offline(partition_id, **id))
            .map(|id| BrokerId(id.0));
        let leader = partition.leader.filter(alive);
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index.0)
            .with_leader_id(leader.map_or(-1, |leader| leader.0).into())
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(ids(&partition.replicas))
            .with_isr_nodes(ids(&partition.isr))
            .with_eligible_leader_replicas(Some(ids(&partition.elr)))
            .with_last_known_elr(Some(ids(&partition.last_known_elr)))
            .with_offline_replicas(offline.collect())
    }
}

fn cursor(topic: &TopicImage, partition: i32) -> Cursor {
    Cursor::default()
        .with_topic_name(wire_topic(&topic.name))
        .with_partition_index(partition)
}

#[cfg(test)]
mod tests {
    use metadata::proto::Topic;
    use wire::encode_response;

    use super::*;

    fn image(topics: &[(&str, i32)]) -> MetadataImage {
        let mut image = MetadataImage::new();
        for (number, (name, partitions)) in (1_u8..).zip(topics) {
            let topic_id = bytes::Bytes::copy_from_slice(&[number; 16]);
            image
                .replay(
                    &Topic {
                        topic_id,
                        name: (*name).to_owned(),
                    }
                    .into(),
                )
                .unwrap();
            for index in 0..*partitions {
                let partition = PartitionRegistration::new(vec![types::BrokerId(1)], vec![types::BrokerId(1)]);
                let topic = types::TopicId(types::Uuid::from_bytes([number; 16]));
                let id = types::TopicIdPartition {
                    topic_id: topic,
                    partition: PartitionIndex(index),
                };
                image.replay(&partition.to_record(id).into()).unwrap();
            }
        }
        image
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let image = image(&[("a", 3), ("b", 1), ("c", 4)]);
        let mut seen: Vec<(String, i32)> = Vec::new();
        let mut at: Option<(TopicName, i32)> = None;
        loop {
            let mut page = Page {
                image: &image,
                left: 2,
                next: None,
            };
            let names: BTreeSet<TopicName> = image.topics().map(|topic| topic.name.clone()).collect();
            for name in names
                .iter()
                .filter(|name| at.as_ref().is_none_or(|(at, _)| *name >= at))
            {
                let from = at.as_ref().filter(|(at, _)| at == name).map_or(0, |(_, from)| *from);
                let Some(shown) = page.topic(name, from, true) else {
                    break;
                };
                for partition in shown.into_iter().flat_map(|topic| topic.partitions) {
                    seen.push((name.as_str().to_owned(), partition.partition_index));
                }
            }
            match page.next {
                Some(cursor) => at = Some((topic_name(&cursor.topic_name), cursor.partition_index)),
                None => break,
            }
        }
        let all: Vec<(String, i32)> = [("a", 3), ("b", 1), ("c", 4)]
            .iter()
            .flat_map(|(name, count)| (0..*count).map(|index| ((*name).to_owned(), index)))
            .collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn an_unknown_topic_is_named_and_can_be_encoded() {
        let image = image(&[]);
        let mut page = Page {
            image: &image,
            left: 2,
            next: None,
        };
        let topic = page.topic(&TopicName::new("x"), 0, false).flatten().unwrap();
        assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition.code());
        let response = DescribeTopicPartitionsResponse::default().with_topics(vec![topic]);
        assert!(encode_response(75, 0, 1, &response).is_ok());
    }
}
