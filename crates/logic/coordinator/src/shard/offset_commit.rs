//! OffsetCommit: by members of the current generation, or by anyone for an empty group.

use types::{ErrorCode, LeaderEpoch, TimestampMs};

use super::GroupShard;
use crate::consumer::ConsumerGroup;
use crate::record::{CommittedOffset, MAX_STRING_BYTES, RecordKey};
use crate::{
    CoordinatorRecord, Effects, GroupState, OffsetCommitRequest, OffsetCommitResponse, OffsetToCommit, PartitionResult,
    ReplyToken,
};

/// From this version an unknown group has an error of its own (KIP-848).
const FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND: i16 = 9;

/// From this version a client knows what a stale epoch is.
const FIRST_VERSION_WITH_MEMBER_EPOCHS: i16 = 9;

impl GroupShard {
    /// Commits offsets. The answer waits until they can't be lost.
    pub fn offset_commit(&mut self, now: TimestampMs, token: ReplyToken, request: OffsetCommitRequest) -> Effects {
        let mut effects = Effects::default();
        let verdict = self.validate_offset_commit(&request);
        if verdict.is_ok() {
            self.restart_session_of_committer(now, &request);
        }
        let expire_timestamp = (request.retention_time_ms != -1).then(|| now.plus_ms(request.retention_time_ms));
        let mut partitions = Vec::with_capacity(request.offsets.len());
        for OffsetToCommit {
            topic,
            partition,
            offset,
            leader_epoch,
            metadata,
        } in request.offsets
        {
            let metadata = metadata.unwrap_or_default();
            let error = match verdict {
                Err(error) => error,
                Ok(()) if self.is_too_large(&metadata) => ErrorCode::OffsetMetadataTooLarge,
                Ok(()) if topic.as_str().len() > MAX_STRING_BYTES => ErrorCode::InvalidTopicException,
                Ok(()) => ErrorCode::None,
            };
            if error.is_none() {
                let committed = CommittedOffset {
                    offset,
                    leader_epoch: if leader_epoch.0 < 0 {
                        LeaderEpoch::NONE
                    } else {
                        leader_epoch
                    },
                    metadata,
                    commit_timestamp: now,
                    expire_timestamp,
                    topic_id: None,
                };
                let key = RecordKey::encode_offset_commit(&request.group_id, &topic, partition);
                effects.records.push(CoordinatorRecord {
                    key,
                    value: Some(committed.encode()),
                });
            }
            partitions.push(PartitionResult {
                topic,
                partition,
                error,
            });
        }
        effects.reply_committed(token, OffsetCommitResponse { partitions });
        if self.expiry_at.is_none() && !effects.records.is_empty() {
            self.expiry_at = Some(now.plus_ms(self.config.offsets_retention_check_interval_ms.max(1)));
        }
        effects
    }

    /// A commit is a sign of life while the member works.
    fn restart_session_of_committer(&mut self, now: TimestampMs, request: &OffsetCommitRequest) {
        let state = self.groups.get(request.group_id.as_str()).map(|group| group.state);
        if matches!(state, Some(GroupState::Stable | GroupState::PreparingRebalance)) {
            self.restart_session(now, &request.group_id, &request.member_id);
        }
    }

    fn is_too_large(&self, metadata: &str) -> bool {
        let limit = usize::try_from(self.config.offset_metadata_max_bytes).unwrap_or(0);
        metadata.encode_utf16().count() > limit || metadata.len() > MAX_STRING_BYTES
    }

    fn validate_offset_commit(&self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        if request.group_id.len() > MAX_STRING_BYTES {
            return Err(ErrorCode::InvalidGroupId);
        }
        if let Some(group) = self.consumer_groups.get(request.group_id.as_str()) {
            return validate_member_commit(group, request);
        }
        let Some(group) = self.groups.get(request.group_id.as_str()) else {
            return if request.generation_id < 0 {
                // Replaying the commit makes a simple group.
                Ok(())
            } else if request.api_version >= FIRST_VERSION_WITH_GROUP_ID_NOT_FOUND {
                Err(ErrorCode::GroupIdNotFound)
            } else {
                Err(ErrorCode::IllegalGeneration)
            };
        };
        if request.generation_id < 0 && group.state == GroupState::Empty {
            return Ok(());
        }
        if request.generation_id >= 0 || !request.member_id.is_empty() || request.group_instance_id.is_some() {
            group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
            if request.generation_id != group.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if group.state != GroupState::Empty {
            // Nobody in particular can't commit for a group that has members.
            return Err(ErrorCode::UnknownMemberId);
        }
        if group.state == GroupState::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }
}

/// Commits of a consumer group's members carry their epoch as the generation.
fn validate_member_commit(group: &ConsumerGroup, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
    if request.generation_id < 0 && group.members.is_empty() {
        return Ok(());
    }
    let member = group.member(&request.member_id, request.group_instance_id.as_deref())?;
    if member.subscription.classic.is_some() {
        let known = request.generation_id == member.current.epoch;
        return if known {
            Ok(())
        } else {
            Err(ErrorCode::IllegalGeneration)
        };
    }
    if request.api_version < FIRST_VERSION_WITH_MEMBER_EPOCHS {
        return Err(ErrorCode::UnsupportedVersion);
    }
    if request.generation_id == member.current.epoch {
        Ok(())
    } else {
        Err(ErrorCode::StaleMemberEpoch)
    }
}
