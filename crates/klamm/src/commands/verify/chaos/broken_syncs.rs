//! Syncs that fail: strace attached to a node answers EIO in the kernel's place.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const INJECT: &str = "inject=fsync,fdatasync,sync_file_range,syncfs:error=EIO";
const TRACE: &str = "trace=fsync,fdatasync,sync_file_range,syncfs";

/// They fail as long as this lives.
#[derive(Debug)]
pub(super) struct BrokenSyncs {
    strace: Child,
}

impl BrokenSyncs {
    /// Of this process; returns when they fail.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let mut strace = Command::new("strace")
            .args(["-f", "-e", TRACE, "-e", INJECT, "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("this fault needs strace: apt-get install strace")?;
        let said = strace.stderr.take().context("no pipe")?;
        let broken = Self { strace };
        let mut lines = BufReader::new(said).lines();
        let mut heard = String::new();
        for line in lines.by_ref() {
            let line = line?;
            if line.contains("attached") {
                // It says more for every call; nobody reads, so the pipe must not fill.
                std::thread::Builder::new()
                    .name("strace".to_owned())
                    .spawn(move || lines.for_each(drop))?;
                return Ok(broken);
            }
            heard.push_str(&line);
        }
        bail!("strace can't attach to process {pid}: {heard}")
    }
}

impl Drop for BrokenSyncs {
    fn drop(&mut self) {
        // It detaches at SIGINT, if there is still somebody to detach from.
        let _ = kill_process(Pid::from_child(&self.strace), Signal::INT);
        let _ = self.strace.wait();
    }
}
