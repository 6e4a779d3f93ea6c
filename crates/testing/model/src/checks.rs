//! What must hold in every state.
//!
//! - HW-1: the high watermark isn't above the log end. HW-2: it never goes back within a leadership.
//! - HW-3: what becomes visible stands in the logs of at least min ISR replicas.
//! - VIS: what stands below any replica's high watermark is what first became visible there.
//! - ACK: every visible record is in the log of each member of the committed ISR and of the ELR: of whoever may be elected.
//!   A member whose host lost power is left out until it has registered: the controller judges it then, and it serves nobody
//!   before.
//! - LEAD: one leader of an epoch. (That a deposed one can't make anything visible follows from ACK: its successor would lack it.)
//! - META: the image's invariants after every record.

use types::Offset;

use crate::log::{Record, index, offset};
use crate::node::{Node, Role};
use crate::world::World;

/// A promise that doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub id: &'static str,
    /// What was found.
    pub why: String,
}

impl Violation {
    pub(crate) fn new(id: &'static str, why: impl Into<String>) -> Self {
        Self { id, why: why.into() }
    }
}

impl World {
    /// The node's high watermark rose: what it passes is visible from now on.
    pub(crate) fn on_visible(&mut self, at: usize) -> Result<(), Violation> {
        let node = &self.nodes[at];
        let end = index(node.high_watermark());
        let Some(rest) = node.log.records.get(self.visible.len()..end) else {
            return Ok(());
        };
        let mut visible = self.visible.clone();
        visible.extend_from_slice(rest);
        let has = |node: &&std::sync::Arc<Node>| node.log.starts_with(&visible);
        let copies = self.nodes.iter().filter(has).count();
        // A power cut may have taken a copy that was acknowledged before.
        if copies < self.settings.min_isr && !self.lost {
            let why = format!(
                "{} made offset {} visible, which {copies} replicas have",
                node.id,
                end - 1
            );
            return Err(Violation::new("HW-3", why));
        }
        self.visible = visible;
        Ok(())
    }

    pub(crate) fn check(&self, before: &Self) -> Result<(), Violation> {
        for (node, earlier) in self.nodes.iter().zip(&before.nodes) {
            check_high_watermark(node, earlier)?;
            check_visible(node, &self.visible)?;
        }
        self.check_electable()?;
        self.check_leaders()
    }

    fn check_electable(&self) -> Result<(), Violation> {
        let Some(partition) = self.latest().partition() else {
            return Ok(());
        };
        for id in partition.isr.iter().chain(&partition.elr) {
            let Some(node) = self.nodes.iter().find(|node| node.id == *id) else {
                continue;
            };
            if !node.dirty && !node.log.starts_with(&self.visible) {
                let why = format!("{id} is in ISR or ELR and lacks visible records: {partition:?}");
                return Err(Violation::new("ACK", why));
            }
        }
        Ok(())
    }

    fn check_leaders(&self) -> Result<(), Violation> {
        let mut led: Vec<_> = self.nodes.iter().filter_map(|node| node.leader()).collect();
        led.sort_by_key(|leader| leader.leader_epoch());
        match led
            .windows(2)
            .find(|two| matches!(two, [a, b] if a.leader_epoch() == b.leader_epoch()))
        {
            Some(two) => Err(Violation::new("LEAD", format!("two leaders of one epoch: {two:?}"))),
            None => Ok(()),
        }
    }
}

fn check_high_watermark(node: &Node, earlier: &Node) -> Result<(), Violation> {
    let now = node.high_watermark();
    if now > node.log.end() {
        return Err(Violation::new("HW-1", format!("above the log end: {node:?}")));
    }
    let same_leadership = matches!((&node.role, &earlier.role), (Role::Leader(now), Role::Leader(then))
        if now.leader_epoch() == then.leader_epoch());
    if same_leadership && now < earlier.high_watermark() {
        return Err(Violation::new("HW-2", format!("went back: {node:?}")));
    }
    Ok(())
}

fn check_visible(node: &Node, visible: &[Record]) -> Result<(), Violation> {
    let end: Offset = node.high_watermark();
    let agrees = end <= offset(visible.len())
        && visible
            .get(..index(end))
            .is_some_and(|below| node.log.starts_with(below));
    if agrees {
        return Ok(());
    }
    Err(Violation::new(
        "VIS",
        format!(
            "below the high watermark {end} stands {:?}, visible is {visible:?}",
            node.log.records
        ),
    ))
}
