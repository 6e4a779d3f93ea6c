//! The groups of one partition of `__consumer_offsets`.
//!
//! Durable state (`metadata`, `offsets`) changes only in `replay`; everything else is rebuilt from it when another broker
//! becomes the coordinator. Invariants, checked by `check_invariants`:
//! - GRP-1: a group's generation is never below the one in its last record.
//! - GRP-2: the committed offset of a partition is that of its last record, and its group exists.
//! - GRP-3: every parked token gets exactly one answer; no token is parked twice.
//! - GRP-4: members of a Stable group have exactly the assignment of the group's last record, of the same generation.
//! - GRP-5 to GRP-8: see the group.
//! - GRP-9: no timer of a group runs out before the shard's timer.
//! - GRP-10: a name is a classic group's or a consumer group's, never both.
//! - CGR-1 to CGR-4: see the consumer group.

use std::collections::{BTreeMap, BTreeSet};

use types::{Offset, PartitionIndex, TimestampMs, TopicName};

use crate::consumer::{ConsumerGroup, ConsumerTimers};
use crate::group::{ClassicGroup, GroupId, Turn};
use crate::record::{CommittedOffset, GroupMetadata};
use crate::{Effects, GroupConfig};

/// The committed offsets of a group.
pub(crate) type GroupOffsets = BTreeMap<TopicName, BTreeMap<PartitionIndex, CommittedOffset>>;

/// All groups whose name hashes to one partition. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct GroupShard {
    pub(super) config: GroupConfig,
    /// The last metadata record of each group.
    pub(super) metadata: BTreeMap<GroupId, GroupMetadata>,
    pub(super) offsets: BTreeMap<GroupId, GroupOffsets>,
    /// The end of what was replayed.
    pub(super) last_offset: Option<Offset>,
    /// From `on_load_finished` to `on_unload`.
    pub(super) active: bool,
    pub(super) groups: BTreeMap<GroupId, ClassicGroup>,
    /// Groups of the consumer protocol; no name is in both.
    pub(crate) consumer_groups: BTreeMap<GroupId, ConsumerGroup>,
    pub(super) consumer_timers: BTreeMap<GroupId, ConsumerTimers>,
    /// Assignments that wait for their commit, by offset.
    pub(super) uncommitted: BTreeSet<(Offset, GroupId)>,
    /// When each group wants to be looked at: at its first deadline or before.
    timers: BTreeSet<(TimestampMs, GroupId)>,
    armed: BTreeMap<GroupId, TimestampMs>,
    /// When expired offsets are looked for.
    pub(super) expiry_at: Option<TimestampMs>,
}

impl GroupShard {
    /// An empty shard, to be loaded.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            metadata: BTreeMap::new(),
            offsets: BTreeMap::new(),
            last_offset: None,
            active: false,
            groups: BTreeMap::new(),
            consumer_groups: BTreeMap::new(),
            consumer_timers: BTreeMap::new(),
            uncommitted: BTreeSet::new(),
            timers: BTreeSet::new(),
            armed: BTreeMap::new(),
            expiry_at: None,
        }
    }

    /// The offset of the last record replayed: what [`crate::Wait::Committed`] waits for. `None` if the log is empty.
    #[must_use]
    pub fn last_offset(&self) -> Option<Offset> {
        self.last_offset
    }

    /// When [`GroupShard::tick`] must be called, if nothing else happens before. `None` for a shard without groups.
    #[must_use]
    pub fn next_deadline(&self) -> Option<TimestampMs> {
        let group = self.timers.first().map(|(at, _)| *at);
        [group, self.expiry_at].into_iter().flatten().min()
    }

    /// How many groups exist.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len() + self.consumer_groups.len()
    }

    /// How many partitions' offsets are kept.
    #[must_use]
    pub fn offset_count(&self) -> usize {
        self.offsets
            .values()
            .flat_map(BTreeMap::values)
            .map(BTreeMap::len)
            .sum()
    }

    pub(super) fn turn(&self, now: TimestampMs) -> Turn {
        Turn::new(self.config, now)
    }

    /// Ends an operation on a group: forgets a group without a trace, and sets its timer.
    pub(super) fn settle(&mut self, group_id: &str, turn: Turn) -> Effects {
        if turn.effects.records.is_empty() {
            self.drop_if_void(group_id);
        }
        self.arm(group_id);
        let any = !self.groups.is_empty() || !self.consumer_groups.is_empty();
        if self.expiry_at.is_none() && any {
            self.expiry_at = Some(turn.now.plus_ms(self.config.offsets_retention_check_interval_ms.max(1)));
        }
        turn.effects
    }

    /// A group that has neither members nor offsets nor a record never was. Kafka keeps it until the next expiry round.
    pub(super) fn drop_if_void(&mut self, group_id: &str) {
        if self.groups.get(group_id).is_some_and(|group| self.is_void(group)) {
            self.groups.remove(group_id);
            self.arm(group_id);
        }
    }

    pub(super) fn is_void(&self, group: &ClassicGroup) -> bool {
        let unborn = group.state == crate::GroupState::Empty && group.pending.is_empty();
        unborn && !self.metadata.contains_key(&group.id) && !self.offsets.contains_key(&group.id)
    }

    pub(super) fn arm(&mut self, group_id: &str) {
        let classic = self.groups.get(group_id).and_then(ClassicGroup::next_due);
        let consumer = self.consumer_timers.get(group_id).and_then(ConsumerTimers::next_due);
        let due = classic.map(|(at, _)| at).or(consumer.map(|(at, _)| at));
        if self.armed.get(group_id).copied() == due {
            return;
        }
        if let Some((group_id, at)) = self.armed.remove_entry(group_id) {
            self.timers.remove(&(at, group_id));
        }
        if let Some(at) = due {
            let id = self.group_id(group_id);
            self.armed.insert(id.clone(), at);
            self.timers.insert((at, id));
        }
    }

    /// When a group will be looked at.
    pub(super) fn armed_at(&self, group_id: &str) -> Option<TimestampMs> {
        self.armed.get(group_id).copied()
    }

    /// The next group whose time has come.
    pub(super) fn next_due_group(&self, now: TimestampMs) -> Option<GroupId> {
        self.timers
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, group_id)| group_id.clone())
    }

    pub(super) fn disarm_all(&mut self) {
        self.timers.clear();
        self.armed.clear();
        self.expiry_at = None;
    }

    /// Whether two shards hold the same durable state: what replaying a log from scratch must give.
    #[must_use]
    pub fn same_durable_state(&self, other: &Self) -> bool {
        self.metadata == other.metadata
            && self.offsets == other.offsets
            && self.consumer_groups == other.consumer_groups
    }
}
