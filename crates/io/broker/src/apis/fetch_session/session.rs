//! One fetch session: its partitions in the order in which they are read, and what the client was last told of each.

use std::collections::{BTreeMap, HashMap};

use types::{ErrorCode, Offset};
use wire::FetchPartition;

use super::{FetchTarget, Wanted};

/// What a session remembers of a partition.
#[derive(Debug, Clone, Copy)]
struct Cached {
    place: u64,
    wanted: Wanted,
    /// As last answered; -1 makes the next answer due.
    high_watermark: Offset,
    log_start_offset: Offset,
}

const UNTOLD: Offset = Offset(-1);

/// A session. Partitions that gave records go to the end, so that none starves behind a busy one.
#[derive(Debug)]
pub(super) struct FetchSession {
    epoch: i32,
    by_ids: bool,
    order: BTreeMap<u64, FetchTarget>,
    cached: HashMap<FetchTarget, Cached>,
    next_place: u64,
}

impl FetchSession {
    /// Begins with a full fetch and its answers.
    pub(super) fn new(
        by_ids: bool,
        wanted: Vec<(FetchTarget, Wanted)>,
        answers: &[(FetchTarget, FetchPartition)],
    ) -> Self {
        let mut session = Self {
            epoch: 1,
            by_ids,
            order: BTreeMap::new(),
            cached: HashMap::new(),
            next_place: 0,
        };
        session.add(wanted);
        for (target, answer) in answers {
            session.tell(target, answer);
        }
        session
    }

    /// The epoch that the next request must name.
    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Whether topics are named by id.
    pub(super) fn by_ids(&self) -> bool {
        self.by_ids
    }

    /// How many partitions it holds.
    pub(super) fn len(&self) -> usize {
        self.cached.len()
    }

    /// Takes a request: what it names is added or changed, what it forgets goes. The epoch moves on.
    pub(super) fn update(&mut self, named: Vec<(FetchTarget, Wanted)>, forgotten: &[FetchTarget]) {
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        self.add(named);
        for target in forgotten {
            if let Some(cached) = self.cached.remove(target) {
                self.order.remove(&cached.place);
            }
        }
    }

    /// What is to be read, in order.
    pub(super) fn partitions(&self) -> Vec<(FetchTarget, Wanted)> {
        let cached = self
            .order
            .values()
            .filter_map(|target| self.cached.get(target).map(|cached| (target, cached)));
        cached.map(|(target, cached)| (target.clone(), cached.wanted)).collect()
    }

    /// Leaves in `answers` what the client doesn't know yet.
    pub(super) fn keep_changed(&mut self, answers: &mut Vec<(FetchTarget, FetchPartition)>) {
        answers.retain(|(target, answer)| self.tell(target, answer));
    }

    fn add(&mut self, named: Vec<(FetchTarget, Wanted)>) {
        for (target, wanted) in named {
            if let Some(cached) = self.cached.get_mut(&target) {
                cached.wanted = wanted;
                continue;
            }
            let place = self.place_at_end(target.clone());
            let cached = Cached {
                place,
                wanted,
                high_watermark: UNTOLD,
                log_start_offset: UNTOLD,
            };
            self.cached.insert(target, cached);
        }
    }

    fn place_at_end(&mut self, target: FetchTarget) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, target);
        place
    }

    /// Notes an answer; whether it says something new.
    fn tell(&mut self, target: &FetchTarget, answer: &FetchPartition) -> bool {
        let Some(cached) = self.cached.get_mut(target) else {
            return true;
        };
        let failed = answer.error != ErrorCode::None;
        let new = failed
            || !answer.records.is_empty()
            || answer.diverging_epoch.is_some()
            || answer.preferred_read_replica.is_some()
            || cached.high_watermark != answer.high_watermark
            || cached.log_start_offset != answer.log_start_offset;
        cached.high_watermark = if failed { UNTOLD } else { answer.high_watermark };
        cached.log_start_offset = answer.log_start_offset;
        if !answer.records.is_empty() {
            let place = cached.place;
            self.order.remove(&place);
            let place = self.place_at_end(target.clone());
            if let Some(cached) = self.cached.get_mut(target) {
                cached.place = place;
            }
        }
        new
    }
}
