//! One thread through which everything goes that happens: it writes the history, checks it as it grows, and counts.
//!
//! Order matters: a record is announced before it is handed to its producer, so no reader can be ahead of it in the channel.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Result, anyhow};
use history::{Entry, Event, Ledger, Timeline};

use super::history_file::HistoryWriter;

/// Events that wait to be written; who has more to say waits, too.
const QUEUE: usize = 100_000;

/// What can be told while the run lasts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) acked: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) read: AtomicU64,
    pub(super) faults: AtomicU64,
}

/// What a history amounts to.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) ledger: Ledger,
    pub(super) timeline: Timeline,
}

/// The way into the history.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    began: Instant,
    sender: SyncSender<Entry>,
}

/// The thread behind it.
#[derive(Debug)]
pub(super) struct Recording {
    thread: JoinHandle<Result<Recorded>>,
    pub(super) counters: Arc<Counters>,
}

impl Recorder {
    /// Begins a history.
    pub(super) fn start(path: &Path) -> Result<(Self, Recording)> {
        let writer = HistoryWriter::create(path)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let counters = Arc::<Counters>::default();
        let own = Arc::clone(&counters);
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || record(&receiver, writer, &own))?;
        let recorder = Self {
            began: Instant::now(),
            sender,
        };
        Ok((recorder, Recording { thread, counters }))
    }

    /// Microseconds since the run began.
    pub(super) fn us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes what happened just now.
    pub(super) fn record(&self, event: Event) {
        self.record_at(self.us(), event);
    }

    /// Notes what happened a moment ago.
    pub(super) fn record_at(&self, us: u64, event: Event) {
        // The thread ends early only with an error of its own, which the run's end reports.
        let _ = self.sender.send(Entry { us, event });
    }
}

impl Recording {
    /// Whether it has ended too early, with an error of its own.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the history; every [`Recorder`] must be gone.
    pub(super) fn finish(self) -> Result<Recorded> {
        self.thread.join().map_err(|_| anyhow!("the recorder panicked"))?
    }
}

fn record(receiver: &Receiver<Entry>, mut writer: HistoryWriter, counters: &Counters) -> Result<Recorded> {
    let mut recorded = Recorded::new();
    for entry in receiver {
        writer.write(&entry)?;
        recorded.record(&entry)?;
        count(&entry.event, counters);
    }
    writer.finish()?;
    Ok(recorded)
}

impl Recorded {
    /// Of an empty history.
    pub(super) fn new() -> Self {
        Self {
            ledger: Ledger::new(),
            timeline: Timeline::new(),
        }
    }

    /// Takes the next event.
    pub(super) fn record(&mut self, entry: &Entry) -> Result<()> {
        self.ledger.record(entry)?;
        self.timeline.record(entry);
        Ok(())
    }
}

fn count(event: &Event, counters: &Counters) {
    let (counter, more) = match event {
        Event::Sent(records) => (&counters.sent, records.count),
        Event::Acked { records, .. } => (&counters.acked, records.count),
        Event::Refused { records, .. } | Event::Unknown { records, .. } => (&counters.failed, records.count),
        Event::Read { records, .. } => (&counters.read, records.count),
        Event::FaultBegan { .. } => (&counters.faults, 1),
        Event::Begin { .. }
        | Event::Assigned { .. }
        | Event::Foreign { .. }
        | Event::OutOfRange { .. }
        | Event::Commit { .. }
        | Event::Committed { .. }
        | Event::End { .. }
        | Event::FaultEnded { .. }
        | Event::Whole { .. }
        | Event::Stalled { .. }
        | Event::Note { .. } => return,
    };
    counter.fetch_add(u64::from(more), Ordering::Relaxed);
}
