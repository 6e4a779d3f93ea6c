//! Faults that end the process.

use std::sync::Arc;

use tokio::sync::watch;

/// A fault that this process can't go on with: what happened, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub reason: String,
}

/// Where faults are reported; the first one counts, the binary ends the process with it.
#[derive(Debug, Clone)]
pub struct FaultSink(Arc<watch::Sender<Option<Fault>>>);

impl FaultSink {
    /// A sink, and what the binary waits on.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<Option<Fault>>) {
        let (tx, rx) = watch::channel(None);
        (Self(Arc::new(tx)), rx)
    }

    /// Reports a fault. An append or sync that failed is never retried as if it had worked (promise DISK).
    pub fn report(&self, reason: String) {
        self.0.send_if_modified(|fault| {
            let first = fault.is_none();
            if first {
                tracing::error!(%reason, "this process can't go on");
                *fault = Some(Fault { reason });
            }
            first
        });
    }
}
