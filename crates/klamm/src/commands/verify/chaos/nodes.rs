//! What a means of injecting faults must offer.

use anyhow::Result;

use super::fault::{Action, FaultKind};

/// Nodes that can be hurt.
pub(crate) trait Nodes: Send {
    /// Their ids.
    fn ids(&self) -> Vec<i32>;

    /// Those whose metadata log has a disk of its own that can be filled.
    fn metadata_disks(&self) -> Vec<i32> {
        Vec::new()
    }

    /// Whether this means can do that kind of fault.
    ///
    /// # Errors
    /// It can't; says why.
    fn check(&self, kind: FaultKind) -> Result<()>;

    /// Does it.
    ///
    /// # Errors
    /// It couldn't be done.
    fn act(&mut self, action: Action, node: i32) -> Result<()>;

    /// Says who has ended without being told to.
    fn ended_by_itself(&mut self) -> Option<String> {
        None
    }
}
