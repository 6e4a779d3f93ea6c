//! How much of everything there was.

use std::collections::BTreeMap;

use serde::Serialize;

/// Different errors that are counted apart.
const ERRORS_MAX: usize = 100;

/// How much of everything there was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Records handed to producers.
    pub sent: u64,
    /// Of these: acknowledged.
    pub acked: u64,
    /// Refused.
    pub refused: u64,
    /// Given up: they may be in the log.
    pub unknown: u64,
    /// Reads of consumers without a group.
    pub read: u64,
    /// Reads of groups' members.
    pub read_in_groups: u64,
    /// Records that the final reader found.
    pub in_the_log: u64,
    /// Answered commits.
    pub commits: u64,
    /// Commits that weren't answered as done.
    pub commits_not_acked: u64,
    /// Partitions given to members.
    pub assignments: u64,
    /// Records refused or given up, by what was said.
    pub errors: BTreeMap<String, u64>,
}

impl Totals {
    pub(crate) fn count_error(&mut self, error: &str, count: u32) {
        let known = self.errors.contains_key(error);
        let name = if known || self.errors.len() < ERRORS_MAX {
            error
        } else {
            "others"
        };
        *self.errors.entry(name.to_owned()).or_default() += u64::from(count);
    }
}
