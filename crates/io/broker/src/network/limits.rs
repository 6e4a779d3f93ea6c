//! What all connections of a node share and may not exceed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
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

/// Open connections, in all and by address.
#[derive(Debug)]
pub(super) struct ConnectionLimits {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts one connection while it lives.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
}

impl ConnectionLimits {
    /// `max.connections` and `max.connections.per.ip`.
    pub(super) fn new(max: u32, max_per_address: u32) -> Arc<Self> {
        Arc::new(Self {
            max: max as usize,
            max_per_address: max_per_address as usize,
            open: Mutex::default(),
        })
    }

    /// A slot, or the configuration that refuses it.
    pub(super) fn open(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionSlot, &'static str> {
        let mut open = self.open.lock();
        if open.all >= self.max {
            return Err("max.connections");
        }
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if of_address >= self.max_per_address {
            return Err("max.connections.per.ip");
        }
        open.all += 1;
        open.by_address.insert(address, of_address + 1);
        Ok(ConnectionSlot {
            limits: Arc::clone(self),
            address,
        })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

    #[test]
    fn connections_are_bounded_in_all_and_by_address() {
        let limits = ConnectionLimits::new(3, 2);
        let first = limits.open(HERE).unwrap();
        let _second = limits.open(HERE).unwrap();
        assert_eq!(limits.open(HERE).unwrap_err(), "max.connections.per.ip");
        let _third = limits.open(THERE).unwrap();
        assert_eq!(limits.open(THERE).unwrap_err(), "max.connections");
        drop(first);
        assert!(limits.open(HERE).is_ok());
    }

    #[test]
    fn the_largest_request_fits_into_the_budget() {
        let budget = RequestBudget::new(NODE_REQUEST_BYTES * 2);
        let all = budget.try_take(usize::MAX).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(all);
        assert!(budget.try_take(1).is_some());
    }
}
