//! One node: its folder, its properties and, while it runs, its process.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::wait_until;

/// A node of a [`crate::Cluster`]. Dropping it kills the process; its files belong to the cluster.
#[derive(Debug)]
pub struct Node {
    id: i32,
    client_port: u16,
    binary: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A node that isn't started yet; writes its properties into `folder`.
    pub(crate) fn prepare(
        id: i32,
        client_port: u16,
        binary: &Path,
        folder: PathBuf,
        properties: &[(String, String)],
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        let text: String = properties
            .iter()
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect();
        fs::write(folder.join("server.properties"), text)?;
        Ok(Self {
            id,
            client_port,
            binary: binary.to_owned(),
            folder,
            child: None,
        })
    }

    /// `node.id`.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// `127.0.0.1:port` of the client listener.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// The node's one log directory.
    pub fn log_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Started and not waited for yet.
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Starts the process and returns at once.
    ///
    /// # Errors
    /// It runs already, or the binary can't be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "node {} runs already", self.id);
        let output = self.open_log()?;
        let child = Command::new(&self.binary)
            .arg("server")
            .arg(self.folder.join("server.properties"))
            .env("RUST_BACKTRACE", "1")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL; returns when the process is gone.
    ///
    /// # Errors
    /// It isn't running.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        let mut child = self
            .child
            .take()
            .with_context(|| format!("node {} isn't running", self.id))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end of the controlled shutdown.
    ///
    /// # Errors
    /// It isn't running, or goes on for more than `seconds`.
    pub fn terminate(&mut self, seconds: u64) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let what = format!("the controlled shutdown of node {}", self.id);
        let status = wait_until(&what, seconds, || self.exited())?;
        self.child = None;
        Ok(status)
    }

    /// SIGSTOP: connections stay, nothing answers.
    ///
    /// # Errors
    /// It isn't running.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT after [`Node::pause`].
    ///
    /// # Errors
    /// It isn't running.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// The exit status if the process has ended by itself.
    ///
    /// # Errors
    /// It was never started.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let child = self
            .child
            .as_mut()
            .with_context(|| format!("node {} isn't running", self.id))?;
        Ok(child.try_wait()?)
    }

    /// Everything it has written to stdout and stderr, over all its starts.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last `lines` lines of [`Node::log`].
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self
            .child
            .as_ref()
            .with_context(|| format!("node {} isn't running", self.id))?;
        kill_process(Pid::from_child(child), signal).with_context(|| format!("signal to node {}", self.id))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("node.log")
    }

    fn open_log(&self) -> anyhow::Result<File> {
        Ok(OpenOptions::new().create(true).append(true).open(self.log_path())?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.kill9();
        }
    }
}
