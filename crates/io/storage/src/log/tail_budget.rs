//! What the tails of all logs together may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Shared by the logs of a process; by default a log has one of its own, without bound.
#[derive(Debug, Clone)]
pub struct TailBudget {
    max_bytes: usize,
    used: Arc<AtomicUsize>,
}

impl TailBudget {
    /// Of so many bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            used: Arc::default(),
        }
    }

    /// Bytes that all tails hold.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.used_bytes() > self.max_bytes
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for TailBudget {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}
