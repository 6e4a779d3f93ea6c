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
use super::plan::Plan;

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
    /// Acknowledgements by producer.
    acked_by: Vec<AtomicU64>,
    /// Reads by reader, or by group: not every member has a partition.
    read_by: Vec<AtomicU64>,
    /// Where a reader's reads are counted.
    reader_places: Vec<usize>,
}

impl Counters {
    fn of(plan: &Plan) -> Self {
        let some = |count: u16| (0..count).map(|_| AtomicU64::new(0)).collect();
        let consumers = usize::from(plan.consumers);
        let members =
            (0..plan.groups).flat_map(|group| vec![consumers + usize::from(group); usize::from(plan.members)]);
        Self {
            acked_by: some(plan.producers),
            read_by: some(plan.consumers + plan.groups),
            reader_places: (0..consumers).chain(members).collect(),
            ..Self::default()
        }
    }

    /// What every client has achieved so far.
    pub(super) fn achieved(&self) -> Vec<u64> {
        let clients = self.acked_by.iter().chain(&self.read_by);
        clients.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// A client that has achieved nothing since then, in words.
    pub(super) fn idle_since(&self, before: &[u64]) -> Option<String> {
        let now = self.achieved();
        let idle = now.iter().zip(before).position(|(now, before)| now <= before)?;
        Some(match idle.checked_sub(self.acked_by.len()) {
            None => format!("producer {idle} was acknowledged nothing"),
            Some(reader) => match self.reader_places.iter().filter(|place| **place == reader).count() {
                0 | 1 => format!("reader {reader} got nothing"),
                members => format!("a group of {members} members got nothing"),
            },
        })
    }
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
    /// `None` ends the history.
    sender: SyncSender<Option<Entry>>,
    pub(super) counters: Arc<Counters>,
}

/// The thread behind it.
#[derive(Debug)]
pub(super) struct Recording {
    thread: JoinHandle<Result<Recorded>>,
    sender: SyncSender<Option<Entry>>,
    pub(super) counters: Arc<Counters>,
}

impl Recorder {
    /// Begins a history.
    pub(super) fn start(path: &Path, plan: &Plan) -> Result<(Self, Recording)> {
        let writer = HistoryWriter::create(path)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let counters = Arc::new(Counters::of(plan));
        let own = Arc::clone(&counters);
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || record(&receiver, writer, &own))?;
        let recorder = Self {
            began: Instant::now(),
            sender: sender.clone(),
            counters: Arc::clone(&counters),
        };
        let recording = Recording {
            thread,
            sender,
            counters,
        };
        Ok((recorder, recording))
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
        let _ = self.sender.send(Some(Entry { us, event }));
    }
}

impl Recording {
    /// Whether it has ended too early, with an error of its own.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the history: what a [`Recorder`] still has to say is left out.
    pub(super) fn finish(self) -> Result<Recorded> {
        let _ = self.sender.send(None);
        self.thread.join().map_err(|_| anyhow!("the recorder panicked"))?
    }
}

fn record(receiver: &Receiver<Option<Entry>>, mut writer: HistoryWriter, counters: &Counters) -> Result<Recorded> {
    let mut recorded = Recorded::new();
    while let Ok(Some(entry)) = receiver.recv() {
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
    let client = match event {
        Event::Acked { records, .. } => counters.acked_by.get(usize::from(records.producer)),
        Event::Read { reader, .. } => counters
            .reader_places
            .get(usize::from(*reader))
            .and_then(|place| counters.read_by.get(*place)),
        _ => None,
    };
    if let Some(client) = client {
        client.fetch_add(1, Ordering::Relaxed);
    }
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
