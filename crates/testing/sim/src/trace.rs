//! What happened, in order: a hash of everything, and the last lines for whoever has to understand a failure.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use parking_lot::Mutex;

/// Lines kept.
const KEPT: usize = 400;

#[derive(Debug, Default)]
struct Lines {
    hash: u64,
    count: u64,
    last: VecDeque<String>,
    kept: usize,
}

/// The event log of one run. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Lines>>);

impl Trace {
    /// A log that keeps so many lines beside the hash; 0: [`KEPT`].
    pub(crate) fn keeping(kept: usize) -> Self {
        let trace = Self::default();
        trace.0.lock().kept = if kept == 0 { KEPT } else { kept };
        trace
    }

    /// Adds an event: it counts in the hash and is kept to be read.
    pub(crate) fn event(&self, at_ms: u64, what: std::fmt::Arguments<'_>) {
        let mut line = String::new();
        let _ = write!(line, "{at_ms:>7} {what}");
        let mut lines = self.0.lock();
        lines.count += 1;
        lines.mix(line.as_bytes());
        if lines.last.len() >= lines.kept {
            lines.last.pop_front();
        }
        lines.last.push_back(line);
    }

    /// Adds numbers to the hash alone: messages are too many to be kept as text.
    pub(crate) fn mix(&self, numbers: &[u64]) {
        let mut lines = self.0.lock();
        lines.count += 1;
        for number in numbers {
            lines.mix(&number.to_le_bytes());
        }
    }

    /// The hash so far.
    pub(crate) fn hash(&self) -> u64 {
        self.0.lock().hash
    }

    /// Events so far.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().count
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.0.lock().last.iter().cloned().collect()
    }
}

impl Lines {
    /// FNV-1a: fixed for ever, unlike std's hasher.
    fn mix(&mut self, bytes: &[u8]) {
        if self.hash == 0 {
            self.hash = 0xcbf2_9ce4_8422_2325;
        }
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
