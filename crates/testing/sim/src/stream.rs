//! A connection between two processes: two queues with arrival times, pumped at both ends into an `rpc::Link`.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use rpc::{Link, LinkReceiver};
use tokio::sync::{Notify, mpsc};

use crate::clock::SimClock;
use crate::fabric::{Fabric, KEEP_ALIVE_MS, NodeId, SLICE_MS, TellOnDrop};

/// Messages on the wire before the sender waits.
const WINDOW: usize = 32;
/// How often a stalled connection looks whether its link is whole again.
const STALL_LOOK_MS: u64 = 20;

/// What faults can do to a connection.
pub(crate) trait Breakable: Debug + Send + Sync {
    /// Both ends see it closed at once; what is on the wire is lost.
    fn break_now(&self);
}

#[derive(Debug)]
struct Wire<T> {
    queue: VecDeque<(u64, T)>,
    /// Nothing follows after this time.
    closed_at: Option<u64>,
    last_at: u64,
    broken: bool,
}

/// One direction.
#[derive(Debug)]
struct Pipe<T> {
    from: NodeId,
    to: NodeId,
    wire: Mutex<Wire<T>>,
    changed: Notify,
    drained: Notify,
}

impl<T> Pipe<T> {
    fn new(from: NodeId, to: NodeId) -> Self {
        let wire = Wire {
            queue: VecDeque::new(),
            closed_at: None,
            last_at: 0,
            broken: false,
        };
        Self {
            from,
            to,
            wire: Mutex::new(wire),
            changed: Notify::new(),
            drained: Notify::new(),
        }
    }

    fn push(&self, fabric: &Fabric, now_ms: u64, message: T) {
        let delay = fabric.delay(self.from, self.to);
        let mut wire = self.wire.lock();
        let at = (now_ms + delay).max(wire.last_at);
        wire.last_at = at;
        wire.queue.push_back((at, message));
        fabric.trace.mix(&[
            at,
            u64::from(self.from.unsigned_abs()),
            u64::from(self.to.unsigned_abs()),
        ]);
        drop(wire);
        self.changed.notify_one();
    }

    fn is_full(&self) -> bool {
        self.wire.lock().queue.len() >= WINDOW
    }

    /// The end of the sender. A host without power says nothing: the other end finds out by its keep-alive.
    fn close(&self, fabric: &Fabric) {
        let silent = fabric.is_dark(self.from) || fabric.is_cut(self.from, self.to);
        let delay = if silent {
            KEEP_ALIVE_MS
        } else {
            fabric.delay(self.from, self.to)
        };
        let at = fabric.slice_ms() + SLICE_MS + delay;
        let mut wire = self.wire.lock();
        let at = at.max(wire.last_at);
        wire.closed_at.get_or_insert(at);
        drop(wire);
        self.changed.notify_one();
    }

    fn break_now(&self) {
        self.wire.lock().broken = true;
        self.changed.notify_one();
        self.drained.notify_one();
    }

    fn is_broken(&self) -> bool {
        self.wire.lock().broken
    }
}

#[derive(Debug)]
struct Connection<A, B> {
    forth: Pipe<A>,
    back: Pipe<B>,
}

impl<A: Send + Debug, B: Send + Debug> Breakable for Connection<A, B> {
    fn break_now(&self) {
        self.forth.break_now();
        self.back.break_now();
    }
}

/// One end: where its tasks run.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) node: NodeId,
    pub(crate) handle: tokio::runtime::Handle,
    pub(crate) clock: SimClock,
}

/// A connection: its links, for the users at either end, and what breaks it.
pub(crate) struct Connected<A, B> {
    pub(crate) near: Link<A, B>,
    pub(crate) far: Link<B, A>,
    pub(crate) wire: Arc<dyn Breakable>,
}

/// Connects two processes.
pub(crate) fn connect<A, B>(fabric: &Arc<Fabric>, near: &End, far: &End) -> Connected<A, B>
where
    A: Send + Debug + 'static,
    B: Send + Debug + 'static,
{
    let connection: Arc<Connection<A, B>> = Arc::new(Connection {
        forth: Pipe::new(near.node, far.node),
        back: Pipe::new(far.node, near.node),
    });
    let weak: std::sync::Weak<Connection<A, B>> = Arc::downgrade(&connection);
    fabric.add_connection(near.node, far.node, weak);
    let wire: Arc<dyn Breakable> = Arc::clone(&connection) as _;
    // A side that goes away, by itself or with its process, closes its direction.
    let (closed, here) = (Arc::clone(&connection), Arc::clone(fabric));
    let near_close = TellOnDrop::new(fabric, move || closed.forth.close(&here));
    let (closed, here) = (Arc::clone(&connection), Arc::clone(fabric));
    let far_close = TellOnDrop::new(fabric, move || closed.back.close(&here));
    let (near_user, near_pump) = Link::<A, B>::pair();
    let (far_user, far_pump) = Link::<B, A>::pair();
    let (at_near, here, clock) = (Arc::clone(&connection), Arc::clone(fabric), near.clock.clone());
    near.handle
        .spawn(async move { pump(&here, &clock, &at_near.forth, &at_near.back, near_pump, near_close).await });
    let (here, clock) = (Arc::clone(fabric), far.clock.clone());
    far.handle
        .spawn(async move { pump(&here, &clock, &connection.back, &connection.forth, far_pump, far_close).await });
    Connected {
        near: near_user,
        far: far_user,
        wire,
    }
}

/// Serves one end until it, the user or the other end closes.
async fn pump<Out, In>(
    fabric: &Fabric,
    clock: &SimClock,
    out: &Pipe<Out>,
    inward: &Pipe<In>,
    link: Link<In, Out>,
    _close: TellOnDrop,
) {
    let Link { tx, mut rx } = link;
    tokio::select! {
        biased;
        () = send_all(fabric, clock, out, &mut rx) => {}
        () = receive_all(fabric, clock, inward, &tx) => {}
    }
    if !out.is_broken() {
        // The user's last words before it dropped its link.
        while let Some(message) = rx.try_recv() {
            out.push(fabric, clock.now_ms(), message);
        }
    }
}

async fn send_all<T>(fabric: &Fabric, clock: &SimClock, out: &Pipe<T>, rx: &mut LinkReceiver<T>) {
    loop {
        while out.is_full() && !out.is_broken() {
            out.drained.notified().await;
        }
        if out.is_broken() {
            return;
        }
        let Some(message) = rx.recv().await else { return };
        out.push(fabric, clock.now_ms(), message);
    }
}

async fn receive_all<T>(fabric: &Fabric, clock: &SimClock, inward: &Pipe<T>, tx: &mpsc::Sender<T>) {
    let mut stalled_since: Option<u64> = None;
    loop {
        let next = {
            let wire = inward.wire.lock();
            if wire.broken {
                return;
            }
            wire.queue.front().map(|(at, _)| *at).or(wire.closed_at)
        };
        let now = clock.now_ms();
        let Some(at) = next else {
            tokio::select! {
                () = inward.changed.notified() => continue,
                () = tx.closed() => return,
            }
        };
        if at > now {
            tokio::select! {
                () = clock.sleep_until(at) => {}
                () = inward.changed.notified() => {}
                () = tx.closed() => return,
            }
            continue;
        }
        if fabric.is_cut(inward.from, inward.to) {
            let since = *stalled_since.get_or_insert(now);
            if now >= since + KEEP_ALIVE_MS {
                return;
            }
            tokio::select! {
                () = clock.sleep_until(now + STALL_LOOK_MS) => {}
                () = tx.closed() => return,
            }
            continue;
        }
        stalled_since = None;
        let message = inward.wire.lock().queue.pop_front();
        inward.drained.notify_one();
        match message {
            None => return,
            Some((_, message)) => {
                if tx.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}
