//! How long a cluster is without an active controller: after `kill -9` of it, and of all nodes at once.
//!
//! `cargo run --release -p cluster --example elections -- [ROUNDS]` prints milliseconds from the kill (or the restart) to a
//! node that says that it is the active controller.

use std::time::Instant;

use anyhow::{Context, Result};
use cluster::{Cluster, wait_until};

#[expect(clippy::print_stdout, reason = "a report for people")]
fn main() -> Result<()> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let mut cluster = Cluster::start(3)?;
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let active = active(&cluster, &[])?;
        cluster.kill9(active)?;
        let killed = Instant::now();
        wait_until("another active controller", 30, || {
            self::active(&cluster, &[active]).map(Some)
        })?;
        one.push(killed.elapsed().as_millis());
        cluster.restart(active)?;
        ready(&cluster)?;

        cluster.kill9_all()?;
        let restarted = Instant::now();
        cluster.start_all()?;
        wait_until("an active controller", 30, || self::active(&cluster, &[]).map(Some))?;
        all.push(restarted.elapsed().as_millis());
        ready(&cluster)?;
    }
    one.sort_unstable();
    all.sort_unstable();
    println!("active controller killed, ms: {one:?}");
    println!("all nodes killed and started, ms: {all:?}");
    Ok(())
}

fn active(cluster: &Cluster, without: &[i32]) -> Result<i32> {
    let mut nodes = cluster.nodes().iter().filter(|node| !without.contains(&node.id()));
    let active = nodes.find(|node| {
        let metrics = node.http_get("metrics");
        metrics.is_ok_and(|(_, text)| text.lines().any(|line| line == "klamm_controller_active 1"))
    });
    active.map(cluster::Node::id).context("nobody yet")
}

fn ready(cluster: &Cluster) -> Result<()> {
    cluster.nodes().iter().try_for_each(|node| node.wait_until_ready(60))
}
