//! Nodes of either system, broker and controller each, on free loopback ports and the same properties.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::meter::wait;
use super::probe::{View, view};

/// How long nodes may take to serve.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(180);
/// Between two questions: short beside the time that a native program needs to start.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// Between two looks at all partitions.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long a controlled shutdown may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// How long deleted topics' files may be there: thrice `file.delete.delay.ms`.
const DELETED_WITHIN: Duration = Duration::from_secs(180);
/// Kafka's class that prepares a blank disk, and the cluster's id, which it must be given.
const FORMAT: &str = "kafka.tools.StorageTool";
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";

/// Whose nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum System {
    Kafka,
    Klamm,
}

impl System {
    /// As people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Apache Kafka",
            Self::Klamm => "Klamm",
        }
    }
}

/// How nodes are started.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) klamm: PathBuf,
    /// Java's arguments for Kafka's classes, if Kafka takes part.
    java: Vec<String>,
}

impl Programs {
    /// Kafka's jars are fetched by Maven, once.
    pub(super) fn find(root: &Path, klamm: PathBuf, with_kafka: bool, scratch: &Path) -> anyhow::Result<Self> {
        let mut java = Vec::new();
        if with_kafka {
            let output = Command::new("bash")
                .args([&root.join("tests/chaos/kafka.sh"), scratch])
                .arg("java")
                .stderr(Stdio::inherit())
                .output()
                .context("no bash")?;
            ensure!(
                output.status.success(),
                "Apache Kafka can't be had: it needs a JDK and Maven"
            );
            java = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
        }
        Ok(Self { klamm, java })
    }

    /// Whether Kafka's own programs are there.
    pub(super) fn has_kafka(&self) -> bool {
        !self.java.is_empty()
    }

    /// What one of Kafka's own programs says.
    pub(super) fn kafka_tool(&self, class: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let log = std::env::temp_dir().join(format!("kafka-tool-{}.log", std::process::id()));
        let output = Command::new("java")
            .arg(format!("-Dkafka.logfile={}", log.display()))
            .args(&self.java)
            .arg(class)
            .args(arguments)
            .output();
        let output = output.context("no java")?;
        // There is none when it had nothing to say.
        let _ = std::fs::remove_file(&log);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{class}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    }

    fn command(&self, system: System, properties: &Path, log: &Path) -> Command {
        match system {
            System::Klamm => {
                let mut command = Command::new(&self.klamm);
                command.arg("server").arg(properties);
                command
            }
            System::Kafka => {
                let mut command = Command::new("java");
                command.arg(format!("-Dkafka.logfile={}", log.display()));
                command.args(&self.java).arg("kafka.Kafka").arg(properties);
                command
            }
        }
    }

    /// Klamm has no such step.
    fn format(&self, system: System, properties: &Path) -> anyhow::Result<()> {
        if system == System::Klamm {
            return Ok(());
        }
        let output = Command::new("java")
            .arg(format!("-Dkafka.logfile={}.format", properties.display()))
            .args(&self.java)
            .args([FORMAT, "format", "-t", CLUSTER_ID, "-c"])
            .arg(properties)
            .output()
            .context("no java")?;
        ensure!(
            output.status.success(),
            "formatting: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }
}

/// Nodes on blank disks. Dropping them kills them; their files stay until [`Nodes::wipe`].
#[derive(Debug)]
pub(super) struct Nodes {
    system: System,
    programs: Programs,
    folder: PathBuf,
    ports: Vec<u16>,
    children: Vec<Child>,
}

impl Nodes {
    /// Properties are written and disks prepared, nothing is started.
    pub(super) fn prepare(programs: &Programs, system: System, folder: &Path, count: usize) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("can't remove {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
        let mut ports = free_ports(2 * count)?;
        let controllers = ports.split_off(count);
        let nodes = Self {
            system,
            programs: programs.clone(),
            folder: fs::canonicalize(folder)?,
            ports,
            children: Vec::new(),
        };
        for at in 0..count {
            let data = nodes.data(at);
            fs::write(nodes.properties(at), properties(at, &nodes.ports, &controllers, &data))?;
            programs.format(system, &nodes.properties(at))?;
        }
        Ok(nodes)
    }

    fn properties(&self, at: usize) -> PathBuf {
        self.folder.join(format!("{}.properties", at + 1))
    }

    fn data(&self, at: usize) -> PathBuf {
        self.folder.join(format!("data{}", at + 1))
    }

    /// Starts all of them; gives the seconds until each lists all of them as brokers, and each of so many partitions in sync.
    pub(super) fn start(&mut self, partitions: usize) -> anyhow::Result<f64> {
        let began = Instant::now();
        for at in 0..self.ports.len() {
            let child = self.spawn(at)?;
            self.children.push(child);
        }
        self.wait_until_whole(partitions)?;
        Ok(began.elapsed().as_secs_f64())
    }

    fn spawn(&self, at: usize) -> anyhow::Result<Child> {
        let log = self.folder.join(format!("{}.log", at + 1));
        let out = fs::File::create(self.folder.join(format!("{}.out", at + 1)))?;
        self.programs
            .command(self.system, &self.properties(at), &log)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("a node of {} can't be started", self.system.name()))
    }

    /// Kills a node, lets the others go on without it, and starts it again after `pause`; gives the seconds from there until each node
    /// has all partitions in sync again.
    pub(super) fn restart_killed(&mut self, at: usize, pause: Duration) -> anyhow::Result<f64> {
        let partitions = self.first_view()?.partitions;
        let child = self.children.get_mut(at).context("there is no such node")?;
        child.kill()?;
        child.wait()?;
        let others = self.ports.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<u16> = others.map(|(_, port)| *port).collect();
        wait_until(READY_WITHIN, || {
            others
                .iter()
                .all(|port| view(*port, true).is_ok_and(|view| view.in_sync < partitions))
        })
        .with_context(|| format!("{} doesn't notice that a node is gone", self.system.name()))?;
        wait(pause);
        let began = Instant::now();
        let child = self.spawn(at)?;
        if let Some(place) = self.children.get_mut(at) {
            *place = child;
        }
        self.wait_until_whole(partitions)?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Kills all of them, and starts them again; gives the seconds until each has all partitions in sync.
    pub(super) fn restart_all_killed(&mut self) -> anyhow::Result<f64> {
        let partitions = self.first_view()?.partitions;
        for mut child in self.children.drain(..) {
            child.kill()?;
            child.wait()?;
        }
        self.start(partitions)
    }

    /// What the first node sees.
    pub(super) fn first_view(&self) -> anyhow::Result<View> {
        view(*self.ports.first().context("there are no nodes")?, true)
    }

    fn wait_until_whole(&mut self, partitions: usize) -> anyhow::Result<()> {
        let began = Instant::now();
        let whole = View {
            brokers: self.ports.len(),
            partitions,
            in_sync: partitions,
        };
        let mut waiting = self.ports.clone();
        loop {
            // Thousands of partitions would be a load of their own for nodes that are still starting.
            let listed = waiting
                .iter()
                .all(|port| view(*port, false).is_ok_and(|view| view.brokers == whole.brokers));
            if listed {
                waiting.retain(|port| partitions > 0 && view(*port, true).ok() != Some(whole));
            }
            if waiting.is_empty() {
                return Ok(());
            }
            for child in &mut self.children {
                if let Some(status) = child.try_wait()? {
                    bail!(
                        "a node of {} ended with {status}: see {}",
                        self.system.name(),
                        self.folder.display()
                    );
                }
            }
            if began.elapsed() > READY_WITHIN {
                bail!("{} doesn't serve: see {}", self.system.name(), self.folder.display());
            }
            wait(if listed { LOOK_EVERY } else { ASK_EVERY });
        }
    }

    /// The nodes' client addresses.
    pub(super) fn bootstrap(&self) -> String {
        let addresses = self.ports.iter().map(|port| format!("127.0.0.1:{port}"));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// What a topic takes of all disks.
    pub(super) fn stored(&self, topic: &str) -> anyhow::Result<Stored> {
        let mut stored = Stored::default();
        for at in 0..self.ports.len() {
            for entry in fs::read_dir(self.data(at))? {
                let entry = entry?;
                if is_partition_of(&entry.file_name().to_string_lossy(), topic) {
                    stored.add(&entry.path())?;
                }
            }
        }
        Ok(stored)
    }

    /// Waits until no deleted topic's files are left: while a disk frees gigabytes, a sync on it waits.
    pub(super) fn wait_for_deletions(&self) -> anyhow::Result<()> {
        let waits = |at: usize| -> anyhow::Result<bool> {
            for entry in fs::read_dir(self.data(at))? {
                if entry?.file_name().to_string_lossy().ends_with("-delete") {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        wait_until(DELETED_WITHIN, || {
            (0..self.ports.len()).all(|at| waits(at).is_ok_and(|waits| !waits))
        })
    }

    /// Makes the kernel forget a topic's segments: who reads them waits for the disk.
    pub(super) fn forget(&self, topic: &str) -> anyhow::Result<()> {
        for at in 0..self.ports.len() {
            for entry in fs::read_dir(self.data(at))? {
                let folder = entry?;
                if !is_partition_of(&folder.file_name().to_string_lossy(), topic) {
                    continue;
                }
                for file in fs::read_dir(folder.path())? {
                    let arguments = ["oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
                    let target = format!("of={}", file?.path().display());
                    let status = Command::new("dd")
                        .arg("if=/dev/null")
                        .arg(target)
                        .args(arguments)
                        .status();
                    ensure!(status.context("no dd")?.success(), "dd can't have {topic} forgotten");
                }
            }
        }
        Ok(())
    }

    /// A controlled shutdown, as long as it takes.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        for child in &self.children {
            let pid = child.id().to_string();
            let status = Command::new("kill").args(["-TERM", &pid]).status();
            ensure!(status.context("no kill")?.success(), "node {pid} can't be told to end");
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for mut child in self.children.drain(..) {
            while child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    child.kill()?;
                }
                wait(ASK_EVERY);
            }
        }
        Ok(())
    }

    /// Removes their files.
    pub(super) fn wipe(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("can't remove {}", self.folder.display()))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_until(within: Duration, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !done() {
        ensure!(began.elapsed() < within, "waited for {} s", within.as_secs());
        wait(ASK_EVERY);
    }
    Ok(())
}

/// What files take.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Stored {
    /// Bytes of the segments: of the batches as they went over the wire.
    pub(super) segments: f64,
    /// Bytes that the disk gave for all files, those of the indexes, too.
    pub(super) allocated: f64,
}

impl Stored {
    fn add(&mut self, folder: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            self.allocated += metadata.blocks() as f64 * 512.0;
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                self.segments += metadata.len() as f64;
            }
        }
        Ok(())
    }
}

/// `topic-7`, but not `topic-more-7` nor what waits for its deletion.
fn is_partition_of(folder: &str, topic: &str) -> bool {
    let partition = folder.strip_prefix(topic).and_then(|rest| rest.strip_prefix('-'));
    partition.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The same text for both systems.
fn properties(at: usize, ports: &[u16], controllers: &[u16], data: &Path) -> String {
    let port = |ports: &[u16]| ports.get(at).copied().unwrap_or_default();
    let (client, controller) = (port(ports), port(controllers));
    let voters: Vec<String> = (1..)
        .zip(controllers)
        .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
        .collect();
    let replicas = ports.len().min(3);
    let min_isr = if replicas >= 3 { 2 } else { 1 };
    let mut text = format!(
        "process.roles=broker,controller\nnode.id={}\ncontroller.quorum.voters={}\n\
         listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{client}\ncontroller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs={}\n",
        at + 1,
        voters.join(","),
        data.display(),
    );
    for (key, value) in [
        ("default.replication.factor", replicas),
        ("min.insync.replicas", min_isr),
        ("offsets.topic.replication.factor", replicas),
        ("transaction.state.log.replication.factor", replicas),
        ("transaction.state.log.min.isr", min_isr),
        ("share.coordinator.state.topic.replication.factor", replicas),
        ("share.coordinator.state.topic.min.isr", min_isr),
    ] {
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

/// Below the range from which the kernel takes clients' ports, so that nobody has them when the nodes start.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let start = 15_000 + u16::try_from(std::process::id() % 10_000)?;
    let free = (start..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let ports: Vec<u16> = free.take(count).collect();
    ensure!(ports.len() == count, "no free ports between {start} and 32000");
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_topics_own_partitions_count() {
        assert!(is_partition_of("load-0", "load") && is_partition_of("load-12", "load"));
        for other in ["load", "load-", "load-more-1", "loads-1", "load-1.abc-delete"] {
            assert!(!is_partition_of(other, "load"), "{other}");
        }
    }

    #[test]
    fn three_nodes_have_three_replicas_and_one_node_one() {
        let three = properties(1, &[1, 2, 3], &[4, 5, 6], Path::new("/data2"));
        assert!(
            three.contains("node.id=2\n")
                && three.contains("listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:5")
        );
        assert!(three.contains("controller.quorum.voters=1@127.0.0.1:4,2@127.0.0.1:5,3@127.0.0.1:6\n"));
        assert!(three.contains("default.replication.factor=3\nmin.insync.replicas=2\n"));
        let one = properties(0, &[1], &[2], Path::new("/data1"));
        assert!(one.contains("default.replication.factor=1\nmin.insync.replicas=1\n"));
    }

    #[test]
    fn segments_and_all_files_are_counted_apart() {
        let folder = std::env::temp_dir().join(format!("klamm-xtask-stored-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0.log"), vec![1; 10_000]).unwrap();
        fs::write(folder.join("0.index"), vec![1; 5_000]).unwrap();
        let mut stored = Stored::default();
        stored.add(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(stored.segments, 10_000.0);
        assert!(stored.allocated >= stored.segments, "{stored:?}");
    }
}
