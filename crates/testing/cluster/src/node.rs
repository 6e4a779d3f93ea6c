//! One node: its folder, its properties and, while it runs, its process.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::wait_until;

/// Where a node listens on 127.0.0.1; the ports of roles that it doesn't have stay unused.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Clients and other brokers.
    pub client: u16,
    /// Other controllers, and brokers.
    pub controller: u16,
    /// Metrics and health.
    pub http: u16,
}

/// A node of a [`crate::Cluster`]. Dropping it kills the process; its files belong to the cluster.
#[derive(Debug)]
pub struct Node {
    id: i32,
    is_broker: bool,
    is_controller: bool,
    ports: Ports,
    binary: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A node that isn't started yet; writes its properties into `folder`.
    pub(crate) fn prepare(
        id: i32,
        (is_broker, is_controller): (bool, bool),
        ports: Ports,
        binary: &Path,
        folder: PathBuf,
        properties: &[(String, String)],
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        let node = Self {
            id,
            is_broker,
            is_controller,
            ports,
            binary: binary.to_owned(),
            folder,
            child: None,
        };
        node.write_properties(properties)?;
        Ok(node)
    }

    fn write_properties(&self, properties: &[(String, String)]) -> anyhow::Result<()> {
        let text: String = properties
            .iter()
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect();
        Ok(fs::write(self.properties_path(), text)?)
    }

    /// Its `server.properties`.
    pub fn properties_path(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// Replaces or adds one property, for the next start.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn set_property(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let text = fs::read_to_string(self.properties_path())?;
        let mut properties: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        properties.retain(|(other, _)| other != key);
        properties.push((key.to_owned(), value.to_owned()));
        self.write_properties(&properties)
    }

    /// Deletes everything it has stored: the disk was replaced by an empty one.
    ///
    /// # Errors
    /// It runs, or its files can't be deleted.
    pub fn wipe(&self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "node {} still runs", self.id);
        match fs::remove_dir_all(self.log_dir()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// `node.id`.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// It has the broker's role.
    pub fn is_broker(&self) -> bool {
        self.is_broker
    }

    /// It has the controller's role.
    pub fn is_controller(&self) -> bool {
        self.is_controller
    }

    /// Where it listens.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// `127.0.0.1:port` of the client listener.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client)
    }

    /// `http://127.0.0.1:port/path` of its metrics and health.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.ports.http)
    }

    /// Status and body of a GET of its HTTP listener.
    ///
    /// # Errors
    /// Nobody listens, or no whole answer came within 5 s.
    pub fn http_get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.http))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// Waits until it says on /readyz that it is ready.
    ///
    /// # Errors
    /// The deadline passed; the message holds its reasons.
    pub fn wait_until_ready(&self, seconds: u64) -> anyhow::Result<()> {
        wait_until(&format!("node {} to be ready", self.id), seconds, || {
            let (status, body) = self.http_get("readyz")?;
            ensure!(status == 200, "{body}");
            Ok(Some(()))
        })
    }

    /// Waits until it ends by itself, and gives how.
    ///
    /// # Errors
    /// It wasn't started, or goes on for more than `seconds`.
    pub fn wait_for_exit(&mut self, seconds: u64) -> anyhow::Result<ExitStatus> {
        let status = wait_until(&format!("node {} to end", self.id), seconds, || self.exited())?;
        self.child = None;
        Ok(status)
    }

    /// Waits until its log, over all its starts, holds `text`.
    ///
    /// # Errors
    /// The deadline passed.
    pub fn wait_for_log(&self, text: &str, seconds: u64) -> anyhow::Result<()> {
        let what = format!("{text:?} in the log of node {}", self.id);
        wait_until(&what, seconds, || Ok(self.log().contains(text).then_some(())))
    }

    /// The node's one log directory.
    pub fn log_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Any of its log directories.
    pub fn directory(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the replica of a partition lies, in whichever log directory.
    pub fn replica_directory(&self, partition: &str) -> PathBuf {
        let folders = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut places = folders.map(|folder| folder.path().join(partition));
        places
            .find(|place| place.is_dir())
            .unwrap_or_else(|| self.log_dir().join(partition))
    }

    /// The running process.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
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
            .arg(self.properties_path())
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
