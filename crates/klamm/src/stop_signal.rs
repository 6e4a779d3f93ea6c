//! SIGINT or SIGTERM, for commands that run until somebody has enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether somebody has asked this process to stop.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal {
    requested: Arc<AtomicBool>,
}

impl StopSignal {
    /// Listens from now on.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&requested);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut terminate), Ok(mut interrupt)) =
                    (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
                else {
                    return;
                };
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                flag.store(true, Ordering::SeqCst);
            });
        })?;
        Ok(Self { requested })
    }

    /// Whether it came.
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Waits without a runtime: this process only watches others.
    pub(crate) fn wait(&self, time: Duration) {
        std::thread::park_timeout(time);
    }
}
