//! OffsetDelete (KIP-496): forgets positions in topics that nobody of the group reads.

use types::ErrorCode;

use super::GroupShard;
use crate::record::RecordKey;
use crate::{
    CoordinatorRecord, Effects, GroupState, OffsetDeleteRequest, OffsetDeleteResponse, PartitionResult, ReplyToken,
};

impl GroupShard {
    /// Deletes committed offsets. A partition without one is a success, as in Kafka.
    pub fn offset_delete(&self, token: ReplyToken, request: OffsetDeleteRequest) -> Effects {
        let consumers = self.consumer_groups.get(request.group_id.as_str());
        let refusal = match self.groups.get(request.group_id.as_str()) {
            None if consumers.is_some() => None,
            None => Some(ErrorCode::GroupIdNotFound),
            Some(group) if group.state != GroupState::Empty && !group.is_consumers() => Some(ErrorCode::NonEmptyGroup),
            Some(_) => None,
        };
        if let Some(error) = refusal {
            return Effects::read(
                token,
                OffsetDeleteResponse {
                    error,
                    partitions: Vec::new(),
                },
            );
        }
        let group = self.groups.get(request.group_id.as_str());
        let held = self.offsets.get(request.group_id.as_str());
        let mut effects = Effects::default();
        let mut partitions = Vec::new();
        for each in request.topics {
            let subscribed = group.is_some_and(|group| group.is_subscribed_to(each.topic.as_str()))
                || consumers.is_some_and(|group| group.is_subscribed_to(&each.topic));
            let error = if subscribed {
                ErrorCode::GroupSubscribedToTopic
            } else {
                ErrorCode::None
            };
            let committed = held.and_then(|topics| topics.get(&each.topic));
            for partition in each.partitions {
                if !subscribed && committed.is_some_and(|committed| committed.contains_key(&partition)) {
                    let key = RecordKey::encode_offset_commit(&request.group_id, &each.topic, partition);
                    effects.records.push(CoordinatorRecord { key, value: None });
                }
                partitions.push(PartitionResult {
                    topic: each.topic.clone(),
                    partition,
                    error,
                });
            }
        }
        effects.reply_committed(
            token,
            OffsetDeleteResponse {
                error: ErrorCode::None,
                partitions,
            },
        );
        effects
    }
}
