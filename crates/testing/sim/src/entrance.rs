//! Where clients' connections come into a broker, and the proof that none of their requests hangs.
//!
//! GRP-4: every request that reaches a broker which serves clients is answered within its API's deadline, or its
//! connection ends. Told by the broker's own time: a stopped process isn't late.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broker::ClientStreams;
use bytes::{Buf, Bytes};
use futures::future::join;
use parking_lot::Mutex;
use rpc::Link;
use tokio::io::{AsyncRead, AsyncWriteExt, duplex, split};
use tokio::sync::mpsc;
use wire::messages::ApiKey;
use wire::{FrameReader, SOCKET_REQUEST_MAX_BYTES_DEFAULT};

use crate::clients::{COMMIT_MS, CREATE_MS, FETCH_WAIT_MS, REBALANCE_MS};
use crate::clock::SimClock;

/// What a socket holds in each direction.
const SOCKET_BYTES: usize = 64 << 10;
/// What any answer may take beyond what it waits for.
const GRACE_MS: u64 = 1_000;
/// `offsets.commit.timeout.ms` of the simulated brokers.
pub(crate) const OFFSETS_COMMIT_MS: u64 = 2_000;
/// FindCoordinator makes the offsets topic; InitProducerId asks the controller.
const CONTROLLER_WAIT_MS: u64 = 5_000;
/// Metadata waits so long for a sign of life of every leader (PEER-3).
const LEADERS_SPEAK_MS: u64 = 3_500;

/// A request that isn't answered yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    api_key: i16,
    since_ms: u64,
}

type Requests = Mutex<BTreeMap<u64, VecDeque<Waiting>>>;

/// A broker's door for clients.
#[derive(Debug)]
pub(crate) struct Entrance {
    streams: ClientStreams,
    clock: SimClock,
    requests: Requests,
    next: AtomicU64,
}

/// How long a broker may take to answer.
fn deadline_ms(api_key: i16) -> u64 {
    let waits = match ApiKey::try_from(api_key) {
        Ok(ApiKey::Produce) => u64::from(COMMIT_MS.unsigned_abs()),
        Ok(ApiKey::Fetch) => u64::from(FETCH_WAIT_MS.unsigned_abs()),
        // The controller's own wait for the brokers is another second.
        Ok(ApiKey::CreateTopics | ApiKey::DeleteTopics) => u64::from(CREATE_MS.unsigned_abs()) + 2_000,
        Ok(ApiKey::InitProducerId | ApiKey::FindCoordinator) => CONTROLLER_WAIT_MS,
        Ok(ApiKey::Metadata) => LEADERS_SPEAK_MS,
        Ok(ApiKey::JoinGroup | ApiKey::SyncGroup) => u64::from(REBALANCE_MS.unsigned_abs()) + OFFSETS_COMMIT_MS,
        Ok(ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::LeaveGroup) => OFFSETS_COMMIT_MS,
        _ => 0,
    };
    waits + GRACE_MS
}

/// Forgets a connection's requests with it.
struct Open<'a>(&'a Requests, u64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl Entrance {
    pub(crate) fn new(streams: ClientStreams, clock: SimClock) -> Arc<Self> {
        Arc::new(Self {
            streams,
            clock,
            requests: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Closes, as a broker does that stops.
    pub(crate) fn stop(&self) {
        self.streams.stop();
    }

    /// Serves a client's connection until either end closes it.
    pub(crate) async fn serve(&self, link: Link<Bytes, Bytes>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.requests.lock().insert(id, VecDeque::new());
        let _open = Open(&self.requests, id);
        let (wires, broker) = duplex(SOCKET_BYTES);
        let (source, sink) = split(broker);
        let (answers, mut frames) = split(wires);
        let Link { tx, mut rx } = link;
        let inward = async {
            while let Some(frame) = rx.recv().await {
                self.note_request(id, &frame);
                if frames.write_all(&frame).await.is_err() {
                    return;
                }
            }
        };
        let serving = self
            .streams
            .serve(source, sink, "PLAINTEXT", SocketAddr::from(([127, 0, 0, 1], 0)));
        // What the broker wrote before it closed still goes out.
        let outward = join(serving, self.outward(id, answers, &tx));
        tokio::select! {
            () = inward => {}
            ((), ()) = outward => {}
        }
    }

    async fn outward(&self, id: u64, mut answers: impl AsyncRead + Unpin, tx: &mpsc::Sender<Bytes>) {
        let mut reader = FrameReader::new(SOCKET_REQUEST_MAX_BYTES_DEFAULT);
        while let Ok(Some(frame)) = reader.next(&mut answers).await {
            self.note_answer(id);
            if tx.send(frame).await.is_err() {
                return;
            }
        }
    }

    fn note_request(&self, id: u64, frame: &Bytes) {
        let mut header: &[u8] = frame;
        header.advance(4.min(header.len()));
        let waiting = Waiting {
            api_key: header.try_get_i16().unwrap_or(-1),
            since_ms: self.clock.now_ms(),
        };
        if let Some(requests) = self.requests.lock().get_mut(&id) {
            requests.push_back(waiting);
        }
    }

    fn note_answer(&self, id: u64) {
        let now = self.clock.now_ms();
        if let Some(requests) = self.requests.lock().get_mut(&id) {
            requests.pop_front();
            // The next one may have waited for its turn.
            if let Some(next) = requests.front_mut() {
                next.since_ms = now;
            }
        }
    }

    /// A request that isn't answered in time; to be called inside the broker's runtime.
    pub(crate) fn overdue(&self) -> Option<String> {
        let now = self.clock.now_ms();
        let mut requests = self.requests.lock();
        if !self.streams.is_serving() {
            for waiting in requests.values_mut().flatten() {
                waiting.since_ms = now;
            }
            return None;
        }
        requests.iter().find_map(|(id, waiting)| {
            let first = waiting.front()?;
            let limit = deadline_ms(first.api_key);
            (now > first.since_ms + limit).then(|| {
                let api = ApiKey::try_from(first.api_key);
                format!(
                    "{api:?} of connection {id} is unanswered since {} ms, allowed are {limit}",
                    now - first.since_ms
                )
            })
        })
    }

    /// The process was stopped for so long: that isn't its fault.
    pub(crate) fn excuse(&self, ms: u64) {
        for waiting in self.requests.lock().values_mut().flatten() {
            waiting.since_ms += ms;
        }
    }
}
