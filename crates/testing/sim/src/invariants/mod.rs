//! The promises, as code: one property a file, looked at after every step.

mod answers;
mod claims;
mod committed;
mod committed_offsets;
mod high_watermark;
mod leader;
mod metadata;
mod oracle;
mod ownership;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::metadata::PartitionRegistration;
use types::BrokerId;

use crate::clients::TOPIC;
use crate::fabric::NodeId;
use crate::history::{History, SequenceRefusal};
use crate::node::Node;
use crate::view::NodeView;

pub(crate) use committed::CommittedLog;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise's id: ACK, VIS, HW-1 to HW-3, LEAD, META, IDEM, GRP-1 to GRP-4, PID-1, CONN-2, LISTEN-1, LIVE, FAULT.
    pub id: &'static str,
    /// What was found.
    pub why: String,
}

impl Violation {
    pub(crate) fn new(id: &'static str, why: String) -> Self {
        Self { id, why }
    }
}

/// Everything that is remembered from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Invariants {
    committed: CommittedLog,
    high_watermark: high_watermark::HighWatermarks,
    leader: leader::Leaders,
    metadata: metadata::Metadata,
    ownership: ownership::Owners,
}

impl Invariants {
    /// One look at the running nodes.
    pub(crate) fn check(
        &mut self,
        views: &[NodeView],
        running: &BTreeMap<NodeId, &Node>,
        history: &History,
        ailing: &BTreeSet<NodeId>,
    ) -> Result<(), Violation> {
        if let Some((promise, oddity)) = history.oddity() {
            return Err(Violation::new(promise, oddity));
        }
        answers::check(running)?;
        committed_offsets::check(history)?;
        self.ownership.check(history)?;
        self.leader.check(views)?;
        self.metadata.check(views)?;
        self.high_watermark.check(views, ailing)?;
        self.committed
            .check(views, running, &self.high_watermark, self.metadata.newest(), ailing)?;
        if self.committed.saw_everything() {
            claims::check(history, &self.committed, &self.high_watermark, self.metadata.newest())?;
        }
        self.check_refusals(views, history)
    }

    /// IDEM: the leader knows the sequences of everything that was acknowledged. A deposed leader that doesn't know of its
    /// deposition may refuse; clients then find the new one.
    fn check_refusals(&self, views: &[NodeView], history: &History) -> Result<(), Violation> {
        for SequenceRefusal { node, partition, why } in history.take_refusals() {
            let Some(image) = self.metadata.newest() else { continue };
            for replica in views
                .iter()
                .filter(|view| view.node == node)
                .flat_map(|view| view.replicas.values())
            {
                let is_it = image.topic(TOPIC).is_some_and(|topic| topic.id == replica.id.topic_id)
                    && replica.id.partition.0 == partition;
                let leads = |registration: &Arc<PartitionRegistration>| {
                    registration.leader == Some(BrokerId(node)) && registration.leader_epoch == replica.leader_epoch
                };
                if is_it && replica.is_leader && image.partition(replica.id).is_some_and(leads) {
                    return Err(Violation::new("IDEM", format!("{why}, by the leader: {replica:?}")));
                }
            }
        }
        Ok(())
    }

    /// A host's power failed: its logs may be shorter than they were.
    pub(crate) fn on_power_cut(&mut self, node: NodeId) {
        self.high_watermark.on_power_cut(node);
    }

    /// It is in sync everywhere again.
    pub(crate) fn on_cleaned(&mut self, node: NodeId) {
        self.high_watermark.on_cleaned(node);
    }

    /// The end: what the clients were told against what stands in the log.
    pub(crate) fn check_history(&self, history: &History) -> Result<(), Violation> {
        oracle::check(history, &self.committed, self.metadata.newest())
    }

    pub(crate) fn committed(&self) -> &CommittedLog {
        &self.committed
    }
}
