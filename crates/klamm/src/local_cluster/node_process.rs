//! One node: its properties, its log file and, while it runs, its process.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::clock::Clock;
use super::disks::{Directories, NodeDisks};
use super::layout::{Layout, NodePlace};

/// The variable that takes the place of the machine's boot id.
const BOOT_ID: &str = "KLAMM_BOOT_ID";
/// How long a question for readiness may take.
const READY_ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A node. Dropping it kills the process; its files stay.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    id: usize,
    place: NodePlace,
    properties: PathBuf,
    log: PathBuf,
    overrides: Vec<String>,
    directories: Directories,
    disks: Option<NodeDisks>,
    clock: Option<Clock>,
    child: Option<Child>,
}

impl NodeProcess {
    /// Node `id` (from 1) of a layout; writes its properties into `data`.
    pub(crate) fn prepare(
        data: &Path,
        id: usize,
        layout: &Layout,
        overrides: &[String],
        disks: Option<NodeDisks>,
        clock: Option<Clock>,
    ) -> anyhow::Result<Self> {
        let place = layout
            .nodes
            .get(id - 1)
            .with_context(|| format!("no node {id}"))?
            .clone();
        let path = data.join(format!("node{id}.properties"));
        let directories = match &disks {
            Some(disks) => disks.directories(),
            None => Directories {
                data: fs::canonicalize(data)?.join(format!("node{id}")),
                metadata: None,
            },
        };
        fs::write(&path, properties(id, &place, layout, &directories))
            .with_context(|| format!("can't write {}", path.display()))?;
        Ok(Self {
            id,
            place,
            properties: path,
            log: data.join(format!("node{id}.log")),
            overrides: overrides.to_vec(),
            directories,
            disks,
            clock,
            child: None,
        })
    }

    /// `node.id`.
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Starts the process and returns at once.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "node {} runs already", self.id);
        let log = fs::File::options().create(true).append(true).open(&self.log)?;
        let binary = std::env::current_exe()?;
        let mut command = match &self.place.namespace {
            // It becomes the command: signals reach the node itself. (`ip netns exec` would copy all mounts for it, those of
            // the other nodes' disks, too, which then couldn't be unmounted.)
            Some(namespace) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{namespace}")).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command
            .arg("server")
            .arg(&self.properties)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        for assignment in &self.overrides {
            command.arg("--override").arg(assignment);
        }
        command.envs(self.clock.iter().flat_map(Clock::environment));
        if let Some(id) = self.disks.as_ref().and_then(NodeDisks::boot_id) {
            command.env(BOOT_ID, id);
        }
        // A Ctrl-C is for this process alone: it stops the nodes in good order.
        command.process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("can't start node {}", self.id))?;
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL; returns when the process is gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self
            .child
            .take()
            .with_context(|| format!("node {} isn't running", self.id))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// The power is gone: the process and what its disks hadn't synced. A frozen process dies, too.
    pub(crate) fn cut_power(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.disks_mut()?.cut_power()
    }

    /// The power is back: the disks are there, under another boot id, and the process runs.
    pub(crate) fn restore_power(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            // It was frozen for a cut that never came.
            return self.signal(Signal::CONT);
        }
        self.disks_mut()?.restore_power()?;
        self.start()
    }

    /// Empties its directories. It mustn't run.
    pub(crate) fn wipe(&self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "node {} runs", self.id);
        self.directories.wipe()
    }

    /// Its own disks.
    pub(crate) fn disks(&self) -> anyhow::Result<&NodeDisks> {
        self.disks
            .as_ref()
            .with_context(|| format!("node {} has no disks of its own", self.id))
    }

    fn disks_mut(&mut self) -> anyhow::Result<&mut NodeDisks> {
        self.disks
            .as_mut()
            .with_context(|| format!("node {} has no disks of its own", self.id))
    }

    /// Its own clock.
    pub(crate) fn clock(&self) -> anyhow::Result<&Clock> {
        self.clock
            .as_ref()
            .with_context(|| format!("node {} has no clock of its own", self.id))
    }

    /// Whether it goes by its own clock: a program may be built so that it can't.
    pub(crate) fn goes_by_its_clock(&self) -> bool {
        match (&self.clock, &self.child) {
            (Some(clock), Some(child)) => clock.is_used_by(child.id()),
            (_, _) => false,
        }
    }

    /// The process's number, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// SIGTERM, SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self
            .child
            .as_ref()
            .with_context(|| format!("node {} isn't running", self.id))?;
        let pid = Pid::from_child(child);
        kill_process(pid, signal).with_context(|| format!("signal to node {}", self.id))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Whether it was started and hasn't been seen to end.
    pub(crate) fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it says that it serves.
    pub(crate) fn is_ready(&self) -> bool {
        let address = SocketAddr::from((self.place.host, self.place.http));
        let Ok(mut stream) = TcpStream::connect_timeout(&address, READY_ANSWER_WITHIN) else {
            return false;
        };
        if stream.set_read_timeout(Some(READY_ANSWER_WITHIN)).is_err() {
            return false;
        }
        let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut answer = [0_u8; 12];
        asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn properties(id: usize, place: &NodePlace, layout: &Layout, directories: &Directories) -> String {
    let voters: Vec<String> = layout
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| format!("{}@{}:{}", at + 1, node.host, node.controller))
        .collect();
    let metadata = directories
        .metadata
        .as_ref()
        .map(|path| format!("metadata.log.dir={}\n", path.display()))
        .unwrap_or_default();
    let count = layout.nodes.len();
    let replication = count.min(3);
    let min_isr = if count >= 3 { 2 } else { 1 };
    let NodePlace {
        host,
        client,
        controller,
        http,
        ..
    } = place;
    format!(
        "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={}\n\
         listeners=PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}\n\
         advertised.listeners=PLAINTEXT://{host}:{client}\n\
         controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\nlog.dirs={}\n\
         default.replication.factor={replication}\nmin.insync.replicas={min_isr}\n\
         offsets.topic.replication.factor={replication}\ntransaction.state.log.replication.factor={replication}\n\
         transaction.state.log.min.isr={min_isr}\nshare.coordinator.state.topic.replication.factor={replication}\n\
         share.coordinator.state.topic.min.isr={min_isr}\ngroup.initial.rebalance.delay.ms=0\n\
         klamm.http.listener={host}:{http}\n{metadata}",
        voters.join(","),
        directories.data.display(),
    )
}
