//! GRP-1: committed offsets never go back.
//!
//! An offset that a group is told, or that a member starts at, or commits, isn't below one whose commit was answered before
//! the question. A commit that was under way at the same time may count or not.

use crate::event::ReaderKind;
use crate::ledger::{Ledger, MalformedHistory};
use crate::state::GroupPartition;
use crate::violations::Property;

impl GroupPartition {
    /// The highest offset whose commit was answered at or before `us`.
    fn committed_before(&self, us: u64) -> u64 {
        let after = self.commits.partition_point(|(at, _)| *at <= us);
        after
            .checked_sub(1)
            .and_then(|at| self.commits.get(at))
            .map_or(0, |(_, offset)| *offset)
    }

    /// The highest offset that was ever committed.
    pub(crate) fn committed(&self) -> u64 {
        self.committed_before(u64::MAX)
    }
}

/// A commit was answered as done.
pub(crate) fn on_commit(
    ledger: &mut Ledger,
    us: u64,
    (group, partition): (u16, u32),
    offset: u64,
    began_us: u64,
) -> Result<(), MalformedHistory> {
    let state = ledger.group_partition(group, partition)?;
    let floor = state.committed_before(began_us);
    let at = state.commits.last().map_or(us, |(last, _)| us.max(*last));
    let highest = offset.max(state.committed());
    state.commits.push((at, highest));
    if offset < floor {
        ledger.violations.add(Property::Grp1, || {
            format!("group {group} committed {offset} in partition {partition} after {floor} was acknowledged")
        });
    }
    Ok(())
}

/// The committed offset was asked for and answered.
pub(crate) fn on_committed(
    ledger: &mut Ledger,
    (group, partition): (u16, u32),
    offset: Option<u64>,
    asked_us: u64,
) -> Result<(), MalformedHistory> {
    let floor = ledger.group_partition(group, partition)?.committed_before(asked_us);
    if offset.unwrap_or(0) < floor {
        ledger.violations.add(Property::Grp1, || {
            format!("group {group} has {offset:?} committed in partition {partition}, but {floor} was acknowledged")
        });
    }
    Ok(())
}

/// A member was given a partition: it will ask where to start.
pub(crate) fn on_assigned(ledger: &mut Ledger, us: u64, reader: u16, partition: u32) -> Result<(), MalformedHistory> {
    let floor = match ledger.reader(reader)?.kind {
        ReaderKind::Member { group } => ledger.group_partition(group, partition)?.committed_before(us),
        ReaderKind::Assigned | ReaderKind::Final => 0,
    };
    if let Some(position) = ledger.position(reader, partition) {
        position.next = None;
        position.floor = floor;
    }
    Ok(())
}

/// A member's first record since it was given the partition.
pub(crate) fn on_record(ledger: &mut Ledger, reader: u16, partition: u32, offset: u64) {
    let Some(position) = ledger.position(reader, partition) else {
        return;
    };
    let floor = position.floor;
    if position.next.is_none() && offset < floor {
        ledger.violations.add(Property::Grp1, || {
            format!("member {reader} started at {offset} in partition {partition}, but {floor} was committed before")
        });
    }
}
