//! One file of a running node whose calls fail or hang: strace attached to the process, narrowed to that file.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::node::Node;

/// What happens to the calls.
#[derive(Debug, Clone, Copy)]
pub enum Breakage {
    /// Writes fail with EIO.
    WritesFail,
    /// Syncs fail with EIO.
    SyncsFail,
    /// Writes hang for longer than any test runs.
    WritesHang,
}

impl Breakage {
    fn injection(self) -> &'static str {
        match self {
            Self::WritesFail => "inject=pwrite64,pwritev:error=EIO",
            Self::SyncsFail => "inject=fsync,fdatasync:error=EIO",
            Self::WritesHang => "inject=pwrite64,pwritev:delay_enter=600s",
        }
    }
}

/// The file is broken as long as this lives. While a node's calls hang it can't be reaped: mend the file before killing it.
#[derive(Debug)]
pub struct BrokenFile {
    strace: Child,
    breakage: Breakage,
}

impl BrokenFile {
    /// Breaks `file`, which the node has open; returns when it is broken.
    ///
    /// # Errors
    /// The node isn't running, or strace is missing or may not attach.
    pub fn new(node: &Node, file: &Path, breakage: Breakage) -> anyhow::Result<Self> {
        let pid = node.pid().context("the node isn't running")?;
        let mut child = Command::new("strace")
            .args([
                "-f",
                "-e",
                "trace=pwrite64,pwritev,fsync,fdatasync",
                "-e",
                breakage.injection(),
                "-P",
            ])
            .arg(file)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("strace breaks files in these tests: apt-get install strace")?;
        let said = child.stderr.take().context("no pipe")?;
        let mut lines = BufReader::new(said).lines();
        let mut heard = String::new();
        for line in lines.by_ref() {
            let line = line?;
            if line.contains("attached") {
                // It says more for every call; nobody reads, so the pipe must not fill.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self {
                    strace: child,
                    breakage,
                });
            }
            heard.push_str(&line);
        }
        bail!("strace can't attach to node {}: {heard}", node.id())
    }
}

impl Drop for BrokenFile {
    fn drop(&mut self) {
        // Strace detaches at SIGINT, but for a call that it delays: then only its end lets the node go.
        let signal = match self.breakage {
            Breakage::WritesFail | Breakage::SyncsFail => Signal::INT,
            Breakage::WritesHang => Signal::KILL,
        };
        let _ = kill_process(Pid::from_child(&self.strace), signal);
        let _ = self.strace.wait();
    }
}
