//! Memory as a machine has it that has run for days: all of it touched once, and what no program needs full of files' pages.
//!
//! On a virtual machine whose host takes back what is free, the first touch of a page costs 20 times what a page costs that the kernel takes
//! from an old file: 2.4 s/GB here, three times that for three replicas, which was most of what a record's way through the brokers
//! took, and depended on which topic was deleted last.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;

/// A file of nothing, larger than any memory: to read it costs pages and no disk.
const FILE_BYTES: u64 = 1 << 40;
const PIECE: u64 = 1 << 20;
/// So much stays free: less, and the kernel takes from other files what it gives to this one.
const FREE_BYTES: u64 = 512 << 20;

/// Memory that is kept full.
#[derive(Debug)]
pub(super) struct FullMemory {
    file: File,
    /// Where no page of the file was read yet.
    next: AtomicU64,
}

impl FullMemory {
    /// Nothing is filled yet; the file, in this folder, has no name, and its pages go with this value.
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("memory");
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("can't create {}", path.display()))?;
        fs::remove_file(&path)?;
        file.set_len(FILE_BYTES)?;
        Ok(Self {
            file,
            next: AtomicU64::new(0),
        })
    }

    /// Where the system doesn't say how much is free, nothing is done.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        let Some(free) = fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| free_bytes(&text))
        else {
            return Ok(());
        };
        let end = self.next.load(Ordering::Relaxed) + free.saturating_sub(FREE_BYTES);
        let readers = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let readers: Vec<_> = (0..readers).map(|_| scope.spawn(|| self.read_until(end))).collect();
            readers.into_iter().try_for_each(|reader| match reader.join() {
                Ok(read) => read,
                Err(_) => anyhow::bail!("a thread that fills memory has panicked"),
            })
        })
    }

    fn read_until(&self, end: u64) -> anyhow::Result<()> {
        let mut piece = vec![0; PIECE as usize];
        while self.next.load(Ordering::Relaxed) < end {
            let at = self.next.fetch_add(PIECE, Ordering::Relaxed);
            self.file.read_exact_at(&mut piece, at).context("no file is so large")?;
        }
        Ok(())
    }
}

fn free_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_found() {
        assert_eq!(
            free_bytes("MemTotal:  9 kB\nMemFree:        1024 kB\nMemAvailable: 7 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(free_bytes("MemTotal:  9 kB\n"), None);
        assert_eq!(free_bytes("MemFree: much\n"), None);
    }
}
