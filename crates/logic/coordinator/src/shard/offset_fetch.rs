//! OffsetFetch: what a group has committed. The answer waits until all it shows is committed, so it is always stable.

use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicName};

use super::GroupShard;
use crate::record::CommittedOffset;
use crate::{Effects, FetchedOffset, OffsetFetchRequest, OffsetFetchResponse, ReplyToken};

impl GroupShard {
    /// Reads committed offsets; a partition, or a group, that has none is answered with -1, or nothing.
    pub fn offset_fetch(&self, token: ReplyToken, request: OffsetFetchRequest) -> Effects {
        if let Err(error) = self.validate_offset_fetch(&request) {
            let response = OffsetFetchResponse {
                group_id: request.group_id,
                error,
                offsets: Vec::new(),
            };
            return Effects::read(token, response);
        }
        let held = self.offsets.get(request.group_id.as_str());
        let mut offsets = Vec::new();
        match request.topics {
            Some(topics) => {
                for topic in topics {
                    let partitions = held.and_then(|topics| topics.get(&topic.topic));
                    for partition in topic.partitions {
                        let committed = partitions.and_then(|partitions| partitions.get(&partition));
                        offsets.push(fetched(&topic.topic, partition, committed));
                    }
                }
            }
            None => {
                for (topic, partitions) in held.into_iter().flatten() {
                    for (partition, committed) in partitions {
                        offsets.push(fetched(topic, *partition, Some(committed)));
                    }
                }
            }
        }
        Effects::read(
            token,
            OffsetFetchResponse {
                group_id: request.group_id,
                error: ErrorCode::None,
                offsets,
            },
        )
    }

    /// A member of a consumer group that is not where it thinks it is would begin at another's position.
    fn validate_offset_fetch(&self, request: &OffsetFetchRequest) -> Result<(), ErrorCode> {
        let (Some((member_id, epoch)), Some(group)) =
            (&request.member, self.consumer_groups.get(request.group_id.as_str()))
        else {
            return Ok(());
        };
        let member = group.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if member.current.epoch == *epoch {
            Ok(())
        } else {
            Err(ErrorCode::StaleMemberEpoch)
        }
    }
}

fn fetched(topic: &TopicName, partition: PartitionIndex, committed: Option<&CommittedOffset>) -> FetchedOffset {
    FetchedOffset {
        topic: topic.clone(),
        partition,
        offset: committed.map_or(Offset(-1), |committed| committed.offset),
        leader_epoch: committed.map_or(LeaderEpoch::NONE, |committed| committed.leader_epoch),
        metadata: committed
            .map(|committed| committed.metadata.clone())
            .unwrap_or_default(),
        error: ErrorCode::None,
    }
}
