//! ACK and VIS: what once lay below a high watermark stays, on every replica, byte for byte.
//!
//! The first replica whose high watermark passes an offset fixes what stands there. Every other replica, in each of its
//! lives, is compared with that as its own high watermark rises, and the present leader never ends before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::metadata::MetadataImage;
use bytes::Bytes;
use records::{Tail, batches};
use types::{Offset, TopicIdPartition};

use super::Violation;
use super::high_watermark::HighWatermarks;
use crate::fabric::NodeId;
use crate::node::Node;
use crate::view::{NodeView, ReplicaView, committed_after};

#[derive(Debug, Default)]
struct Fixed {
    /// Batches by base offset.
    batches: BTreeMap<Offset, Bytes>,
    end: Offset,
}

/// The logs as they became visible.
#[derive(Debug, Default)]
pub(crate) struct CommittedLog {
    fixed: BTreeMap<TopicIdPartition, Fixed>,
    /// A replica on a failing disk couldn't be read in this look: what it shows is compared later.
    blind: bool,
    /// Up to where a life of a replica was compared.
    compared: BTreeMap<(TopicIdPartition, NodeId, u64), Offset>,
}

impl CommittedLog {
    pub(super) fn check(
        &mut self,
        views: &[NodeView],
        running: &BTreeMap<NodeId, &Node>,
        copies: &HighWatermarks,
        image: Option<&Arc<MetadataImage>>,
        ailing: &BTreeSet<NodeId>,
    ) -> Result<(), Violation> {
        self.blind = false;
        for view in views {
            let Some(node) = running.get(&view.node) else { continue };
            for replica in view.replicas.values() {
                self.compare(node, replica, copies, ailing.contains(&view.node))?;
            }
        }
        self.check_leaders(views, image)
    }

    /// All committed batches of a partition.
    pub(crate) fn bytes(&self, id: TopicIdPartition) -> impl Iterator<Item = &Bytes> {
        self.fixed.get(&id).into_iter().flat_map(|fixed| fixed.batches.values())
    }

    /// First offset that isn't committed.
    pub(crate) fn end(&self, id: TopicIdPartition) -> Offset {
        self.fixed.get(&id).map_or(Offset::ZERO, |fixed| fixed.end)
    }

    /// Whether the last look could read every replica.
    pub(super) fn saw_everything(&self) -> bool {
        !self.blind
    }

    fn compare(
        &mut self,
        node: &Node,
        replica: &ReplicaView,
        copies: &HighWatermarks,
        is_ailing: bool,
    ) -> Result<(), Violation> {
        let compared = self
            .compared
            .entry((replica.id, replica.node, replica.life))
            .or_default();
        *compared = (*compared).min(replica.log_end);
        let fixed = self.fixed.entry(replica.id).or_default();
        while *compared < replica.high_watermark {
            let Some((bytes, next)) = node.scope.inside(|| committed_after(node, replica.id, *compared)) else {
                if is_ailing {
                    self.blind = true;
                    return Ok(());
                }
                return Err(Violation::new(
                    "VIS",
                    format!("committed batches from {compared} can't be read: {replica:?}"),
                ));
            };
            if bytes.is_empty() {
                break;
            }
            for batch in batches(&bytes, Tail::Whole) {
                let batch =
                    batch.map_err(|error| Violation::new("VIS", format!("a bad batch: {error}: {replica:?}")))?;
                let at = batch.header.base_offset;
                if at >= fixed.end {
                    if at != fixed.end {
                        return Err(Violation::new(
                            "ACK",
                            format!("a gap: {} is followed by {at}: {replica:?}", fixed.end),
                        ));
                    }
                    fixed.end = batch.header.next_offset();
                    fixed.batches.insert(at, Bytes::copy_from_slice(&batch.bytes));
                    copies.check_copies(replica.id, fixed.end)?;
                } else if fixed.batches.get(&at).is_none_or(|known| known != &batch.bytes) {
                    let known = fixed.batches.get(&at).map(crate::clients::values_of);
                    let found = crate::clients::values_of(&batch.bytes);
                    return Err(Violation::new(
                        "VIS",
                        format!(
                            "{}: at {at} node {} has {found:?} (epoch {}), others had {known:?} below a high \
                             watermark: {replica:?}",
                            replica.id, replica.node, batch.header.leader_epoch
                        ),
                    ));
                }
            }
            *compared = next;
        }
        Ok(())
    }

    /// The leader of the newest committed epoch holds everything that was ever visible.
    fn check_leaders(&self, views: &[NodeView], image: Option<&Arc<MetadataImage>>) -> Result<(), Violation> {
        let Some(image) = image else {
            return Ok(());
        };
        for (id, fixed) in &self.fixed {
            let Some(registration) = image.partition(*id) else {
                continue;
            };
            let replicas = views.iter().filter_map(|view| view.replicas.get(id));
            for replica in replicas {
                let leads = replica.is_leader
                    && registration.leader.map(|leader| leader.0) == Some(replica.node)
                    && registration.leader_epoch == replica.leader_epoch;
                if leads && replica.log_end < fixed.end {
                    return Err(Violation::new(
                        "ACK",
                        format!(
                            "the leader ends before what was visible up to {}: {replica:?} {registration:?}",
                            fixed.end
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}
