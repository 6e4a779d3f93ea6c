//! LEAD: one leader per leader epoch.

use std::collections::BTreeMap;

use types::{LeaderEpoch, TopicIdPartition};

use super::Violation;
use crate::fabric::NodeId;
use crate::view::NodeView;

/// Who was ever seen leading.
#[derive(Debug, Default)]
pub(super) struct Leaders(BTreeMap<(TopicIdPartition, LeaderEpoch), (NodeId, u64)>);

impl Leaders {
    pub(super) fn check(&mut self, views: &[NodeView]) -> Result<(), Violation> {
        for replica in views
            .iter()
            .flat_map(|view| view.replicas.values())
            .filter(|replica| replica.is_leader)
        {
            let now = (replica.node, replica.life);
            let seen = *self.0.entry((replica.id, replica.leader_epoch)).or_insert(now);
            if seen != now {
                return Err(Violation::new(
                    "LEAD",
                    format!(
                        "{} in epoch {}: led by node {} (life {}) and by node {} (life {})",
                        replica.id, replica.leader_epoch, seen.0, seen.1, now.0, now.1
                    ),
                ));
            }
        }
        Ok(())
    }
}
