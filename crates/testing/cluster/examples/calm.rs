//! False alarms: a cluster on a machine whose cores and disk are taken must lose no session and hold no election.
//!
//! `cargo run --release -p cluster --example calm -- [SECONDS]`: three nodes under load, two busy loops per core and a
//! writer that syncs beside them. The exit code is 0 when the term stayed and nobody was fenced. Not a test of every run: it
//! takes the whole machine.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use cluster::{Cluster, ClusterBuilder, Node, TopicSpec, Workload, WorkloadSpec, wait_until};

const TOPIC: &str = "load";
const PARTITIONS: i32 = 6;
/// What the disk's writer writes between two syncs.
const SYNC_BYTES: usize = 4 << 20;
/// The writer starts over at this size.
const FILE_BYTES: usize = 256 << 20;
/// Lines that tell of a lost session or of an election.
const ALARMS: [&str; 6] = [
    "session timed out",
    "its port refuses: fenced",
    "active controller term",
    "doesn't answer",
    "electing another one",
    "standing for election",
];

#[expect(clippy::print_stdout, reason = "a report for people")]
fn main() -> Result<ExitCode> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(120), |text| text.parse())?;
    let cluster = ClusterBuilder::new(3).start()?;
    cluster.create_topic(&TopicSpec::new(TOPIC, PARTITIONS, 3))?;
    let before = terms(&cluster)?;
    let marks: Vec<usize> = cluster.nodes().iter().map(|node| node.log().len()).collect();
    let load = Workload::start(&cluster, &WorkloadSpec::new(TOPIC, PARTITIONS))?;
    let (stop, synced) = (AtomicBool::new(false), AtomicU64::new(0));
    let folder = tempfile::tempdir()?;
    let cores = thread::available_parallelism()?.get();
    let began = Instant::now();
    thread::scope(|scope| -> Result<()> {
        for _ in 0..cores * 2 {
            scope.spawn(|| {
                let mut count = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    count = std::hint::black_box(count.wrapping_mul(31).wrapping_add(7));
                }
            });
        }
        let disk = scope.spawn(|| write_and_sync(&folder.path().join("busy"), &stop, &synced));
        let waited = wait_until("the time to pass", seconds + 5, || {
            Ok((began.elapsed().as_secs() >= seconds).then_some(()))
        });
        stop.store(true, Ordering::Relaxed);
        waited?;
        disk.join().map_err(|_| anyhow::anyhow!("the disk's writer panicked"))?
    })?;
    let after = terms(&cluster)?;
    let acked = load.acked();
    let alarms: Vec<String> = cluster
        .nodes()
        .iter()
        .zip(marks)
        .flat_map(|(node, mark)| alarms(node, mark))
        .collect();
    let history = load.finish()?;
    println!(
        "{seconds} s, {} busy loops on {cores} cores, {} MiB written and synced beside; acknowledged {acked}, given up {}",
        cores * 2,
        synced.load(Ordering::Relaxed) >> 20,
        history.not_acked().len()
    );
    println!("terms {before:?} before, {after:?} after; {} alarms", alarms.len());
    for alarm in &alarms {
        println!("{alarm}");
    }
    Ok(if before == after && alarms.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn write_and_sync(path: &Path, stop: &AtomicBool, synced: &AtomicU64) -> Result<()> {
    let bytes = vec![7; SYNC_BYTES];
    while !stop.load(Ordering::Relaxed) {
        let mut file = File::create(path)?;
        for _ in 0..FILE_BYTES / SYNC_BYTES {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            file.write_all(&bytes)?;
            file.sync_data()?;
            synced.fetch_add(SYNC_BYTES as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn terms(cluster: &Cluster) -> Result<Vec<i64>> {
    let terms = cluster.nodes().iter().map(|node| {
        let (_, text) = node.http_get("metrics")?;
        let term = text
            .lines()
            .find_map(|line| line.strip_prefix("klamm_raft_current_epoch "));
        Ok(term.context("no term")?.trim().parse()?)
    });
    terms.collect()
}

fn alarms(node: &Node, mark: usize) -> Vec<String> {
    let log = node.log();
    let new = log.get(mark..).unwrap_or_default();
    new.lines()
        .filter(|line| ALARMS.iter().any(|alarm| line.contains(alarm)))
        .map(|line| format!("node {}: {line}", node.id()))
        .collect()
}
