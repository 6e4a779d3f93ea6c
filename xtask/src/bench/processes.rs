//! What /proc tells of processes and of the machine.

use std::fs;

use anyhow::{Context as _, anyhow};

/// What the kernel counts CPU time in, towards programs: always a hundredth of a second.
const TICKS_A_SECOND: f64 = 100.0;

/// CPU seconds that a process has used.
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    process_seconds(&stat, 11).with_context(|| format!("/proc/{pid}/stat: {stat}"))
}

/// CPU seconds of this program's children that have ended: of the load generator.
pub(super) fn children_seconds() -> anyhow::Result<f64> {
    let stat = read("/proc/self/stat")?;
    process_seconds(&stat, 13).with_context(|| format!("/proc/self/stat: {stat}"))
}

/// The user's and the kernel's part, which follow each other; counted from the field after the name, which may hold anything.
fn process_seconds(stat: &str, first: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(first);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_A_SECOND)
}

/// CPU seconds of the whole machine, since it started.
pub(super) fn machine_seconds() -> anyhow::Result<f64> {
    busy_seconds(&read("/proc/stat")?).ok_or_else(|| anyhow!("/proc/stat isn't what it was"))
}

/// All but the idle time and the wait for disks.
fn busy_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<f64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6, 7].iter().map(|at| fields.get(*at).copied());
    Some(busy.sum::<Option<f64>>()? / TICKS_A_SECOND)
}

/// Bytes of memory that a process holds.
pub(super) fn rss_bytes(pid: u32) -> anyhow::Result<f64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    resident(&status).with_context(|| format!("/proc/{pid}/status has no VmRSS"))
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("can't read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_proc_are_found_behind_any_name() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 700 30 20 0 3 0";
        assert_eq!(process_seconds(stat, 11), Some(3.0));
        assert_eq!(process_seconds(stat, 13), Some(7.3));
        assert_eq!(process_seconds("no", 11), None);
        assert_eq!(busy_seconds("cpu  100 20 30 900 50 4 5 1 0 0\ncpu0 1"), Some(1.6));
        assert_eq!(resident("VmPeak: 9 kB\nVmRSS:\t  2048 kB\n"), Some(2_097_152.0));
    }

    #[test]
    fn this_process_has_time_and_memory() {
        let own = std::process::id();
        assert!(rss_bytes(own).unwrap() > 100_000.0);
        assert!(cpu_seconds(own).unwrap() <= machine_seconds().unwrap());
        assert!(children_seconds().unwrap() >= 0.0);
    }
}
