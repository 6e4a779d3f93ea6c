//! Where work that blocks on the disk runs: a bounded pool, or, in the simulator, at once.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// Jobs that may block at a time. More wait: a disk serves no more of them faster.
const POOL_JOBS: usize = 16;

/// Runs blocking work.
#[derive(Debug, Clone)]
pub enum BlockingPool {
    /// On threads beside the runtime's.
    Threads(Arc<Semaphore>),
    /// On the calling task: for tests whose disk takes no time.
    Inline,
    /// On the calling task, while the gate is open: the simulator's disk takes no time, but it may stall.
    Gated(watch::Receiver<bool>),
}

impl BlockingPool {
    /// A bounded pool of threads.
    #[must_use]
    pub fn threads() -> Self {
        Self::Threads(Arc::new(Semaphore::new(POOL_JOBS)))
    }

    /// A pool of the same kind, with threads of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        match self {
            Self::Threads(_) => Self::threads(),
            Self::Inline | Self::Gated(_) => self.clone(),
        }
    }

    /// Runs `work`; `None` when it panicked or the runtime is going down.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self {
            Self::Inline => Some(work()),
            Self::Gated(gate) => {
                gate.clone().wait_for(|open| *open).await.ok()?;
                Some(work())
            }
            Self::Threads(jobs) => {
                let _permit = jobs.acquire().await.ok()?;
                tokio::task::spawn_blocking(work).await.ok()
            }
        }
    }
}
