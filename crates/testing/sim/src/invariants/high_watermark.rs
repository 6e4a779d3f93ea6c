//! HW-1: never above the log end. HW-2: never back within a leadership. HW-3: what it passes stands in the logs of at
//! least min ISR replicas (KIP-966).

use std::collections::{BTreeMap, BTreeSet};

use types::{LeaderEpoch, Offset, TopicIdPartition};

use super::Violation;
use crate::fabric::NodeId;
use crate::view::NodeView;

/// `min.insync.replicas` of the simulated topics.
const MIN_ISR: usize = 2;

/// The high watermarks of the leaderships seen, and how far each node's logs go.
#[derive(Debug, Default)]
pub(crate) struct HighWatermarks {
    led: BTreeMap<(TopicIdPartition, NodeId, LeaderEpoch), Offset>,
    /// Dead nodes' disks keep what they had.
    log_ends: BTreeMap<(TopicIdPartition, NodeId), Offset>,
    /// What a power cut may have taken since: it was acknowledged, and the acknowledgement may still be on its way.
    before_cut: BTreeMap<(TopicIdPartition, NodeId), Offset>,
    /// Replicas that the last look saw.
    seen: BTreeSet<(TopicIdPartition, NodeId)>,
    /// Replicas that left with their failed directory: what they wrote, led and told since the look before, nobody saw.
    unseen: BTreeSet<(TopicIdPartition, NodeId)>,
}

impl HighWatermarks {
    pub(super) fn check(&mut self, views: &[NodeView], ailing: &BTreeSet<NodeId>) -> Result<(), Violation> {
        self.note_unseen(views, ailing);
        for replica in views.iter().flat_map(|view| view.replicas.values()) {
            self.log_ends.insert((replica.id, replica.node), replica.log_end);
            if replica.high_watermark > replica.log_end {
                return Err(Violation::new("HW-1", format!("above the log end: {replica:?}")));
            }
            if replica.is_leader {
                let key = (replica.id, replica.node, replica.leader_epoch);
                let before = self
                    .led
                    .insert(key, replica.high_watermark)
                    .unwrap_or(replica.high_watermark);
                if replica.high_watermark < before {
                    return Err(Violation::new("HW-2", format!("went back from {before}: {replica:?}")));
                }
            }
        }
        Ok(())
    }

    fn note_unseen(&mut self, views: &[NodeView], ailing: &BTreeSet<NodeId>) {
        let replicas = views.iter().flat_map(|view| view.replicas.values());
        let seen: BTreeSet<_> = replicas.map(|replica| (replica.id, replica.node)).collect();
        let gone = self.seen.difference(&seen).filter(|(_, node)| ailing.contains(node));
        self.unseen.extend(gone.copied());
        self.unseen.retain(|replica| !seen.contains(replica));
        self.seen = seen;
    }

    /// Whether the node may have led and told what no look has seen.
    pub(super) fn is_unseen(&self, id: TopicIdPartition, node: NodeId) -> bool {
        self.unseen.contains(&(id, node))
    }

    /// Something below `end` became visible.
    pub(super) fn check_copies(&self, id: TopicIdPartition, end: Offset) -> Result<(), Violation> {
        let mut ends: BTreeMap<NodeId, Offset> = BTreeMap::new();
        for ((_, node), at) in self
            .log_ends
            .iter()
            .chain(&self.before_cut)
            .filter(|((of, _), _)| *of == id)
        {
            let end = ends.entry(*node).or_insert(*at);
            *end = (*end).max(*at);
        }
        let copies = ends
            .iter()
            .filter(|(node, at)| **at >= end || self.is_unseen(id, **node));
        let copies = copies.count();
        if copies < MIN_ISR {
            return Err(Violation::new(
                "HW-3",
                format!("{id}: visible up to {end}, but the logs (node, end) are {ends:?}"),
            ));
        }
        Ok(())
    }

    /// The node's disk may have lost what wasn't synced.
    pub(super) fn on_power_cut(&mut self, node: NodeId) {
        let cut: Vec<_> = self
            .log_ends
            .iter()
            .filter(|((_, of), _)| *of == node)
            .map(|(key, at)| (*key, *at))
            .collect();
        for (key, at) in cut {
            self.log_ends.remove(&key);
            self.before_cut.insert(key, at);
        }
    }

    /// The node is in sync everywhere again.
    pub(super) fn on_cleaned(&mut self, node: NodeId) {
        self.before_cut.retain(|(_, of), _| *of != node);
    }
}
