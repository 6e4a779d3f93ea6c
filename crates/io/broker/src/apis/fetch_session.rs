//! Incremental fetch sessions (KIP-227): a consumer names its partitions once and then only what changes.
//!
//! SESSION-1: sessions and the partitions they hold are bounded; a client that gets no session (id 0) names everything each
//! time, which is legal. SESSION-2: a session's epoch rises with each request; any other epoch is refused.
//! SESSION-3: a session is evicted only when it is idle, or for one that holds more partitions.

mod session;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use wire::FetchPartition;

use session::FetchSession;

/// A session unused for so long may be evicted for any other (Kafka's `min.incremental.fetch.session.eviction.ms`).
const IDLE_BEFORE_EVICTION: Duration = Duration::from_secs(120);
/// Partitions in all sessions together: some 200 MB at worst.
const CACHED_PARTITIONS_MAX: usize = 1 << 20;

/// No session.
pub(super) const NO_SESSION: i32 = 0;
/// A full fetch that asks for a session.
const INITIAL_EPOCH: i32 = 0;
/// A full fetch that wants none; also what versions before 7 mean.
const FINAL_EPOCH: i32 = -1;

/// A partition as the request names it: by name, or by id from version 13 on; the other one is blank.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FetchTarget {
    pub(super) name: TopicName,
    pub(super) id: TopicId,
    pub(super) partition: PartitionIndex,
}

/// What is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) from: Offset,
    pub(super) max_bytes: usize,
    pub(super) leader_epoch: Option<LeaderEpoch>,
    pub(super) last_fetched_epoch: Option<LeaderEpoch>,
}

/// What a request says about sessions.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionRequest {
    pub(super) id: i32,
    pub(super) epoch: i32,
    /// The request's version names topics by id.
    pub(super) by_ids: bool,
    pub(super) named: Vec<(FetchTarget, Wanted)>,
    pub(super) forgotten: Vec<FetchTarget>,
}

/// What to read, and how to answer.
#[derive(Debug)]
pub(super) struct FetchContext {
    pub(super) partitions: Vec<(FetchTarget, Wanted)>,
    kind: Kind,
}

impl FetchContext {
    /// Of the session that goes on; 0 where there is none.
    pub(super) fn session_id(&self) -> i32 {
        match &self.kind {
            Kind::Incremental { id, .. } => *id,
            Kind::Sessionless | Kind::Full { .. } => NO_SESSION,
        }
    }
}

#[derive(Debug)]
enum Kind {
    Sessionless,
    /// Everything is answered; a session may begin.
    Full {
        by_ids: bool,
    },
    /// Only what changed is answered.
    Incremental {
        id: i32,
        session: Arc<Mutex<FetchSession>>,
    },
}

/// All sessions of a broker.
#[derive(Debug)]
pub(super) struct FetchSessionCache {
    slots: usize,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<i32, Entry>,
    by_use: BTreeSet<(Instant, i32)>,
    by_size: BTreeSet<(usize, i32)>,
    partitions: usize,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Mutex<FetchSession>>,
    used: Instant,
    size: usize,
}

impl FetchSessionCache {
    /// At most `slots` sessions (`max.incremental.fetch.session.cache.slots`).
    pub(super) fn new(slots: u32) -> Self {
        Self {
            slots: usize::try_from(slots).unwrap_or(usize::MAX),
            sessions: Mutex::default(),
        }
    }

    /// Opens a request's context; what an incremental one leaves out comes from its session.
    pub(super) fn begin(&self, request: SessionRequest, now: Instant) -> Result<FetchContext, ErrorCode> {
        let mut sessions = self.sessions.lock();
        if matches!(request.epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            if request.id != NO_SESSION {
                sessions.remove(request.id);
            }
            let kind = if request.epoch == FINAL_EPOCH {
                Kind::Sessionless
            } else {
                Kind::Full { by_ids: request.by_ids }
            };
            return Ok(FetchContext {
                partitions: request.named,
                kind,
            });
        }
        let entry = sessions
            .by_id
            .get(&request.id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let shared = Arc::clone(&entry.session);
        let mut session = shared.lock();
        if session.epoch() != request.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_ids() != request.by_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.update(request.named, &request.forgotten);
        let partitions = session.partitions();
        drop(session);
        if partitions.is_empty() {
            sessions.remove(request.id);
            return Ok(FetchContext {
                partitions,
                kind: Kind::Sessionless,
            });
        }
        if !sessions.touch(request.id, partitions.len(), now) {
            sessions.remove(request.id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(FetchContext {
            partitions,
            kind: Kind::Incremental {
                id: request.id,
                session: shared,
            },
        })
    }

    /// Closes a context: returns the session's id for the answer (0 for none) and leaves in `answers` what is to be sent.
    pub(super) fn finish(
        &self,
        context: FetchContext,
        answers: &mut Vec<(FetchTarget, FetchPartition)>,
        new_id: &mut dyn FnMut() -> i32,
        now: Instant,
    ) -> i32 {
        match context.kind {
            Kind::Sessionless => NO_SESSION,
            Kind::Incremental { id, session } => {
                session.lock().keep_changed(answers);
                id
            }
            Kind::Full { by_ids } => {
                let size = answers.len();
                let mut sessions = self.sessions.lock();
                if size == 0 || !sessions.make_room(self.slots, size, now) {
                    return NO_SESSION;
                }
                let wanted = context.partitions;
                let session = FetchSession::new(by_ids, wanted, answers);
                sessions.insert(session, new_id, now)
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sessions.lock().by_id.len()
    }
}

impl Sessions {
    fn remove(&mut self, id: i32) {
        if let Some(entry) = self.by_id.remove(&id) {
            self.by_use.remove(&(entry.used, id));
            self.by_size.remove(&(entry.size, id));
            self.partitions = self.partitions.saturating_sub(entry.size);
        }
    }

    /// Notes a use; false when the session has grown beyond what is kept.
    fn touch(&mut self, id: i32, size: usize, now: Instant) -> bool {
        let Some(entry) = self.by_id.get_mut(&id) else {
            return false;
        };
        let (used, before) = (entry.used, entry.size);
        entry.used = now;
        entry.size = size;
        self.by_use.remove(&(used, id));
        self.by_use.insert((now, id));
        self.by_size.remove(&(before, id));
        self.by_size.insert((size, id));
        self.partitions = self.partitions.saturating_sub(before).saturating_add(size);
        self.partitions <= CACHED_PARTITIONS_MAX
    }

    /// Evicts one session if that is needed and allowed (SESSION-3).
    fn make_room(&mut self, slots: usize, size: usize, now: Instant) -> bool {
        let fits = |sessions: &Self| {
            sessions.by_id.len() < slots && sessions.partitions.saturating_add(size) <= CACHED_PARTITIONS_MAX
        };
        if fits(self) {
            return true;
        }
        let idle = self
            .by_use
            .first()
            .filter(|(used, _)| now.duration_since(*used) > IDLE_BEFORE_EVICTION);
        let smaller = self.by_size.first().filter(|(smallest, _)| *smallest < size);
        let victim = idle.map(|(_, id)| *id).or_else(|| smaller.map(|(_, id)| *id));
        if let Some(id) = victim {
            self.remove(id);
        }
        fits(self)
    }

    fn insert(&mut self, session: FetchSession, new_id: &mut dyn FnMut() -> i32, now: Instant) -> i32 {
        let size = session.len();
        let mut id = new_id() & i32::MAX;
        // Ends: there are more ids than slots.
        while id == NO_SESSION || self.by_id.contains_key(&id) {
            id = id.wrapping_add(1) & i32::MAX;
        }
        self.by_use.insert((now, id));
        self.by_size.insert((size, id));
        self.partitions += size;
        self.by_id.insert(
            id,
            Entry {
                session: Arc::new(Mutex::new(session)),
                used: now,
                size,
            },
        );
        id
    }
}

#[cfg(test)]
mod tests;
