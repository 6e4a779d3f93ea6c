//! Which answers to replication can be (ANSWER-2).
//!
//! openraft takes a follower's answer for true: one that contradicts what was sent, or what the follower said before, would make
//! it panic, and a panic of its core ends the process. So such an answer counts as none.

use std::collections::BTreeMap;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use parking_lot::Mutex;

use super::type_config::{LogId, TypeConfig};

/// How far each member has said to agree, in the term of the one who asked.
#[derive(Debug, Default)]
pub(super) struct Matched(Mutex<BTreeMap<u64, (u64, u64)>>);

/// More members than any quorum has.
const MAX_MEMBERS: usize = 1024;

impl Matched {
    /// Says what is wrong with an answer, or notes it.
    pub(super) fn check(
        &self,
        target: u64,
        request: &AppendEntriesRequest<TypeConfig>,
        answer: &AppendEntriesResponse<TypeConfig>,
    ) -> Result<(), &'static str> {
        let term = request.vote.leader_id.term;
        let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
        let mut matched = self.0.lock();
        let known = matched
            .get(&target)
            .filter(|known| known.0 == term)
            .map(|known| known.1);
        let agreed = match answer {
            AppendEntriesResponse::Success => last,
            AppendEntriesResponse::PartialSuccess(upto) => {
                if !was_sent(request, upto.as_ref()) {
                    return Err("entries that weren't sent are acknowledged");
                }
                *upto
            }
            AppendEntriesResponse::Conflict => {
                let Some(previous) = request.prev_log_id else {
                    return Err("the beginning of the log is in conflict");
                };
                if known.is_some_and(|known| previous.index <= known) {
                    return Err("entries that were acknowledged are missing");
                }
                None
            }
            AppendEntriesResponse::HigherVote(_) => None,
        };
        if let Some(agreed) = agreed {
            if matched.len() >= MAX_MEMBERS {
                matched.clear();
            }
            matched.insert(target, (term, known.unwrap_or(0).max(agreed.index)));
        }
        Ok(())
    }
}

fn was_sent(request: &AppendEntriesRequest<TypeConfig>, upto: Option<&LogId>) -> bool {
    let sent = || request.entries.iter().map(|entry| &entry.log_id);
    upto == request.prev_log_id.as_ref() || upto.is_some_and(|upto| sent().any(|sent| sent == upto))
}

/// A snapshot is sent where the receiver says that it goes on, and that may be its beginning, after a restart; but not for ever.
#[derive(Debug)]
pub(super) struct Resumption {
    left_bytes: u64,
    idle: u32,
    reached: u64,
}

/// Pieces in a row that don't bring a transfer on.
const MAX_IDLE: u32 = 8;

impl Resumption {
    pub(super) fn of(length: u64) -> Self {
        Self {
            left_bytes: length.saturating_mul(4).saturating_add(64 << 20),
            idle: 0,
            reached: 0,
        }
    }

    /// Whether another piece is sent, from `position`.
    pub(super) fn goes_on(&mut self, position: u64, piece_bytes: u64) -> bool {
        self.idle = if position > self.reached { 0 } else { self.idle + 1 };
        self.reached = self.reached.max(position);
        self.left_bytes = self.left_bytes.saturating_sub(piece_bytes);
        self.idle <= MAX_IDLE && self.left_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;
    use crate::raft::type_config::{Entry, Vote, log_id};

    fn request(previous: Option<u64>, entries: std::ops::Range<u64>) -> AppendEntriesRequest<TypeConfig> {
        AppendEntriesRequest {
            vote: Vote::new_committed(3, 1),
            prev_log_id: previous.map(|index| log_id(3, index)),
            entries: entries
                .map(|index| Entry {
                    log_id: log_id(3, index),
                    payload: EntryPayload::Blank,
                })
                .collect(),
            leader_commit: None,
        }
    }

    #[test]
    fn answers_that_cannot_be_count_as_none() {
        let matched = Matched::default();
        let partial = |index| AppendEntriesResponse::PartialSuccess(Some(log_id(3, index)));
        let conflict = AppendEntriesResponse::Conflict;
        assert!(matched.check(7, &request(None, 0..0), &conflict).is_err());
        assert!(matched.check(7, &request(Some(5), 6..9), &conflict).is_ok());
        for index in [4, 9, 1_000] {
            assert!(matched.check(7, &request(Some(5), 6..9), &partial(index)).is_err());
        }
        assert!(matched.check(7, &request(Some(5), 6..9), &partial(7)).is_ok());
        assert!(matched.check(7, &request(Some(7), 8..9), &conflict).is_err());
        assert!(matched.check(7, &request(Some(8), 9..9), &conflict).is_ok());
        assert!(
            matched.check(8, &request(Some(7), 8..9), &conflict).is_ok(),
            "another member"
        );
    }

    #[test]
    fn a_snapshot_may_begin_anew_but_not_for_ever() {
        let mut resumption = Resumption::of(10 << 20);
        assert!((1..=10).all(|piece| resumption.goes_on(piece << 20, 1 << 20)));
        assert!(resumption.goes_on(0, 1 << 20), "the receiver was restarted");
        assert!((0..1_000).any(|_| !resumption.goes_on(0, 1 << 20)));
        let mut crawling = Resumption::of(10 << 20);
        assert!((1..1_000).any(|position| !crawling.goes_on(position, 1 << 20)));
    }
}
