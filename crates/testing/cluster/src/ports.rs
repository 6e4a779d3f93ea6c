//! Free ports for nodes that are killed and restarted on the same ones.
//!
//! They are taken from below the ephemeral range (32768 and up): a port that the kernel gave out itself could become some
//! client's source port while its node is down, and the node couldn't come back.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::bail;

const FIRST: u32 = 15_000;
const COUNT: u32 = 17_000;
static NEXT: AtomicU32 = AtomicU32::new(0);

/// `count` ports of 127.0.0.1 on which nobody listens now. All are held until all are found. Somebody else may take one
/// before the node does: the start is then repeated with others.
pub(crate) fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    // Processes that start together begin at different places.
    let own = std::process::id().wrapping_mul(7919);
    let mut held = Vec::new();
    for _ in 0..COUNT {
        if held.len() == count {
            break;
        }
        let place = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + place)?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        bail!("fewer than {count} free ports");
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}
