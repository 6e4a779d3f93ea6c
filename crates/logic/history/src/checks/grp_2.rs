//! GRP-2: below a group's highest commit, every record was read by one of its members.

use crate::ledger::Ledger;
use crate::violations::{Property, Violations};

/// Looks at every offset below the commits.
pub(crate) fn check(ledger: &Ledger, violations: &mut Violations) {
    for (group, partitions) in ledger.groups.iter().enumerate() {
        for (number, state) in partitions.iter().enumerate() {
            let committed = state.committed();
            for offset in 0..committed {
                if !usize::try_from(offset).is_ok_and(|at| state.read.get(at)) {
                    violations.add(Property::Grp2, || {
                        format!(
                            "group {group} committed {committed} in partition {number}, but no member has read {offset}"
                        )
                    });
                }
            }
        }
    }
}
