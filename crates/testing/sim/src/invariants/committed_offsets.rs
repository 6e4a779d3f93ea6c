//! GRP-1: a committed offset that was answered never goes back: a fetch of the group's offsets that is asked after the
//! answer shows at least it, and a commit of less isn't answered any more. Nothing is shown that nobody committed.

use super::Violation;
use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), Violation> {
    for told in history.take_offsets_told() {
        if told.offset < told.at_least {
            return Err(Violation::new(
                "GRP-1",
                format!("the committed offset went back: {told:?}"),
            ));
        }
        if told.offset > told.at_most {
            return Err(Violation::new("GRP-1", format!("nobody committed that: {told:?}")));
        }
    }
    Ok(())
}
