//! What all connections of a node share and may not exceed.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of requests that are being worked on, in the whole node. Several of the largest requests fit.
const NODE_REQUEST_BYTES: usize = 256 * 1024 * 1024;
/// The unit in which they are counted: a semaphore's permits are 32 bits.
const UNIT_BYTES: usize = 1024;

/// The bytes of requests in work.
#[derive(Debug, Clone)]
pub(super) struct RequestBudget {
    units: Arc<Semaphore>,
    whole: u32,
}

impl RequestBudget {
    /// A budget in which the largest request fits.
    pub(super) fn new(request_max_bytes: usize) -> Self {
        let whole = units(NODE_REQUEST_BYTES.max(request_max_bytes));
        Self {
            units: Arc::new(Semaphore::new(whole as usize)),
            whole,
        }
    }

    /// Room for a request, if there is some now.
    pub(super) fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.units).try_acquire_many_owned(self.share(bytes)).ok()
    }

    /// Room for a request, in the order of asking.
    pub(super) async fn take(self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let share = self.share(bytes);
        self.units.acquire_many_owned(share).await.ok()
    }

    fn share(&self, bytes: usize) -> u32 {
        units(bytes).min(self.whole)
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_request_fits_into_the_budget() {
        let budget = RequestBudget::new(NODE_REQUEST_BYTES * 2);
        let all = budget.try_take(usize::MAX).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(all);
        assert!(budget.try_take(1).is_some());
    }
}
