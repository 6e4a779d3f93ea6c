//! GRP-4: no request hangs. See `entrance`, which keeps the books.

use std::collections::BTreeMap;

use super::Violation;
use crate::fabric::NodeId;
use crate::node::Node;

pub(super) fn check(running: &BTreeMap<NodeId, &Node>) -> Result<(), Violation> {
    for (node, running) in running {
        let entrance = running.parts.lock().entrance.clone();
        if let Some(late) = entrance.and_then(|entrance| running.scope.inside(|| entrance.overdue())) {
            return Err(Violation::new("GRP-4", format!("node {node}: {late}")));
        }
    }
    Ok(())
}
