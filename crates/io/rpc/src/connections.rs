//! How many connections a node takes, whatever is spoken over them: Kafka's protocol and gRPC share ports.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Open connections, in all and by address.
#[derive(Debug)]
pub struct ConnectionLimits {
    max: AtomicUsize,
    max_per_address: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts one connection while it lives.
#[derive(Debug)]
pub struct ConnectionSlot {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
}

impl ConnectionLimits {
    /// `max.connections` and `max.connections.per.ip`.
    pub fn new(max: u32, max_per_address: u32) -> Arc<Self> {
        Arc::new(Self {
            max: AtomicUsize::new(max as usize),
            max_per_address: AtomicUsize::new(max_per_address as usize),
            open: Mutex::default(),
        })
    }

    /// Other limits from now on. What is open stays open.
    pub fn set(&self, max: u32, max_per_address: u32) {
        self.max.store(max as usize, Ordering::Relaxed);
        self.max_per_address.store(max_per_address as usize, Ordering::Relaxed);
    }

    /// A slot, or the configuration that refuses it.
    ///
    /// # Errors
    /// The key whose limit is reached.
    pub fn open(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionSlot, &'static str> {
        self.open_within(self.max.load(Ordering::Relaxed), address)
    }

    /// The same on a listener of the brokers' own, where `max.connections` counts and doesn't refuse, as in Kafka: clients, however
    /// many, don't keep replicas apart.
    ///
    /// # Errors
    /// That `max.connections.per.ip` is reached.
    pub fn open_protected(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionSlot, &'static str> {
        self.open_within(usize::MAX, address)
    }

    fn open_within(self: &Arc<Self>, max: usize, address: IpAddr) -> Result<ConnectionSlot, &'static str> {
        let mut open = self.open.lock();
        if open.all >= max {
            return Err("max.connections");
        }
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if of_address >= self.max_per_address.load(Ordering::Relaxed) {
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
        let third = limits.open(THERE).unwrap();
        assert_eq!(limits.open(THERE).unwrap_err(), "max.connections");
        drop(first);
        assert!(limits.open(HERE).is_ok());
        limits.set(0, 2);
        assert_eq!(limits.open(THERE).unwrap_err(), "max.connections");
        drop(limits.open_protected(THERE).unwrap());
        drop(third);
        limits.set(9, 1);
        assert_eq!(limits.open_protected(HERE).unwrap_err(), "max.connections.per.ip");
        assert_eq!(limits.open(HERE).unwrap_err(), "max.connections.per.ip");
        assert!(limits.open(THERE).is_ok());
    }
}
