//! Which brokers live, as the active controller knows it.
//!
//! A session is a stream with heartbeats. SESS-1: a broker is fenced when its session's clock runs out, or at once when
//! its stream closed *and* its port refuses; a closed stream alone proves nothing. SESS-2: a broker that was fenced by
//! the early path and comes back as the same incarnation loses the early path for a minute: something between us and it
//! refuses connections that its process doesn't.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use types::{BrokerEpoch, BrokerId, MetadataOffset};

/// How long the early path stays closed after it was wrong.
const EARLY_PATH_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) broker_epoch: BrokerEpoch,
    /// Tells the streams of one broker apart.
    pub(crate) stream: u64,
    pub(crate) last_seen: Instant,
    pub(crate) applied: MetadataOffset,
    pub(crate) open: bool,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<BrokerId, Session>,
    next_stream: u64,
    term_began: Option<Instant>,
    /// The broker whose controller was deposed, and its last sign of life over Raft.
    deposed: Option<(BrokerId, Instant)>,
    fenced_early: HashMap<BrokerId, (BrokerEpoch, Instant)>,
}

/// All sessions of this term.
#[derive(Debug)]
pub(crate) struct Sessions {
    state: Mutex<State>,
    /// Changes whenever a broker's applied offset or liveness does.
    progress: watch::Sender<u64>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            progress: watch::Sender::new(0),
        }
    }

    /// A stream begins; the broker's older one, if any, no longer counts.
    pub(crate) fn begin(&self, broker: BrokerId, broker_epoch: BrokerEpoch, applied: MetadataOffset) -> u64 {
        let mut state = self.state.lock();
        state.next_stream += 1;
        let stream = state.next_stream;
        let session = Session {
            broker_epoch,
            stream,
            last_seen: Instant::now(),
            applied,
            open: true,
        };
        state.sessions.insert(broker, session);
        stream
    }

    /// A sign of life. False when another stream took over.
    pub(crate) fn heard(&self, broker: BrokerId, stream: u64, applied: MetadataOffset) -> bool {
        let mut state = self.state.lock();
        let Some(session) = state
            .sessions
            .get_mut(&broker)
            .filter(|session| session.stream == stream)
        else {
            return false;
        };
        session.last_seen = Instant::now();
        let progressed = applied > session.applied;
        if progressed {
            session.applied = applied;
        }
        drop(state);
        if progressed {
            self.progress.send_modify(|count| *count += 1);
        }
        true
    }

    /// The stream closed; the session's clock runs on. False when another stream took over.
    pub(crate) fn closed(&self, broker: BrokerId, stream: u64) -> bool {
        let mut state = self.state.lock();
        let Some(session) = state
            .sessions
            .get_mut(&broker)
            .filter(|session| session.stream == stream)
        else {
            return false;
        };
        session.open = false;
        drop(state);
        self.progress.send_modify(|count| *count += 1);
        true
    }

    /// The broker's session, if it has one of that incarnation.
    pub(crate) fn of(&self, broker: BrokerId, epoch: BrokerEpoch) -> Option<Session> {
        self.state
            .lock()
            .sessions
            .get(&broker)
            .filter(|session| session.broker_epoch == epoch)
            .cloned()
    }

    /// Whether some incarnation of the broker has an open stream that was heard within `timeout`.
    pub(crate) fn lives(&self, broker: BrokerId, timeout: Duration) -> bool {
        let state = self.state.lock();
        state
            .sessions
            .get(&broker)
            .is_some_and(|session| session.open && session.last_seen.elapsed() < timeout)
    }

    /// The session is over.
    pub(crate) fn remove(&self, broker: BrokerId, epoch: BrokerEpoch) {
        let mut state = self.state.lock();
        if state
            .sessions
            .get(&broker)
            .is_some_and(|session| session.broker_epoch == epoch)
        {
            state.sessions.remove(&broker);
        }
        drop(state);
        self.progress.send_modify(|count| *count += 1);
    }

    /// This node is the active controller from now on: it has heard of nobody yet, but for the broker of the one before it,
    /// which gave its last sign of life over Raft.
    pub(crate) fn begin_term(&self, deposed: Option<(BrokerId, Instant)>) {
        let mut state = self.state.lock();
        state.term_began = Some(Instant::now());
        state.deposed = deposed;
    }

    /// When this term began.
    pub(crate) fn term_began(&self) -> Option<Instant> {
        self.state.lock().term_began
    }

    /// When the broker was last heard, without a session in this term: its clock runs from then, else from now.
    pub(crate) fn last_sign(&self, broker: BrokerId) -> Instant {
        let state = self.state.lock();
        let deposed = state.deposed.filter(|(deposed, _)| *deposed == broker);
        deposed.map_or_else(Instant::now, |(_, heard)| heard)
    }

    /// Whether somebody that lives may not have said so yet: a new controller hears of the brokers one after the other.
    pub(crate) fn may_be_unheard(&self, broker: BrokerId, epoch: BrokerEpoch, timeout: Duration) -> bool {
        let state = self.state.lock();
        let heard = state
            .sessions
            .get(&broker)
            .is_some_and(|session| session.broker_epoch == epoch);
        !heard && state.term_began.is_some_and(|began| began.elapsed() < timeout)
    }

    /// This term is over.
    pub(crate) fn end_all(&self) {
        self.state.lock().sessions.clear();
        self.progress.send_modify(|count| *count += 1);
    }

    /// SESS-2.
    pub(crate) fn early_path_open(&self, broker: BrokerId, epoch: BrokerEpoch) -> bool {
        let state = self.state.lock();
        match state.fenced_early.get(&broker) {
            Some((fenced, at)) => *fenced != epoch || at.elapsed() >= EARLY_PATH_PAUSE,
            None => true,
        }
    }

    /// The broker was fenced because its port refused.
    pub(crate) fn note_fenced_early(&self, broker: BrokerId, epoch: BrokerEpoch) {
        self.state.lock().fenced_early.insert(broker, (epoch, Instant::now()));
    }

    /// Brokers among `unfenced` that haven't applied `offset` yet.
    pub(crate) fn laggards(&self, unfenced: &[BrokerId], offset: MetadataOffset) -> Vec<BrokerId> {
        let state = self.state.lock();
        unfenced
            .iter()
            .copied()
            .filter(|id| state.sessions.get(id).is_none_or(|session| session.applied < offset))
            .collect()
    }

    /// Wakes when anything of the above changed.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }
}
