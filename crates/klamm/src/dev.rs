//! `klamm dev`: a cluster of real processes on this machine, for development and tests.
//!
//! Each node is `klamm server` with a directory of its own; their logs go to files. Ports are chosen once and kept with
//! the data, so that a cluster started again is found at the same addresses.

use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Where a cluster's ports are looked for unless one is asked for.
const DEFAULT_PORT: u16 = 9092;
/// How long the nodes may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// What `klamm dev` is told.
#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Where the data is kept; made when missing.
    #[arg(long, value_name = "DIR", default_value = "klamm-data")]
    data: PathBuf,
    /// Keep nothing: the data goes to a temporary directory and away at the end.
    #[arg(long)]
    ephemeral: bool,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// First client port; the nodes take this one and those after it. Without it: 9092, or free ones when it is taken.
    #[arg(long)]
    port: Option<u16>,
    /// Take any free ports.
    #[arg(long, conflicts_with = "port")]
    free_ports: bool,
    /// Sets a property on every node: --override key=value.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Print the addresses only, one `key=value` a line, for programs.
    #[arg(long)]
    quiet: bool,
}

/// What is kept beside the data.
#[derive(Debug, Serialize, Deserialize)]
struct Layout {
    nodes: Vec<NodePorts>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct NodePorts {
    client: u16,
    controller: u16,
    http: u16,
}

pub(crate) fn run(arguments: DevArguments) -> ExitCode {
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &DevArguments) -> anyhow::Result<()> {
    let began = Instant::now();
    let data = if arguments.ephemeral {
        std::env::temp_dir().join(format!("klamm-dev-{}", std::process::id()))
    } else {
        arguments.data.clone()
    };
    fs::create_dir_all(&data).with_context(|| format!("can't make {}", data.display()))?;
    let layout = layout(&data, arguments)?;
    // Asked before the nodes run: a Ctrl-C reaches them as well, and they must not be left behind by it.
    let stop = Stop::listen()?;
    let mut nodes = Nodes {
        children: Vec::new(),
        data: data.clone(),
        ephemeral: arguments.ephemeral,
    };
    for id in 1..=layout.nodes.len() {
        nodes.children.push(spawn(&data, id, &layout, arguments)?);
    }
    wait_until_ready(&layout, &mut nodes, &stop)?;
    announce(arguments, &layout, &data, began.elapsed())?;
    while !stop.requested() {
        if let Some((id, status)) = nodes.ended()? {
            bail!("node {id} ended: {status}. Its log: {}", log_file(&data, id).display());
        }
        stop.wait(Duration::from_millis(100));
    }
    if !arguments.quiet {
        let _ = writeln!(io::stderr(), "stopping …");
    }
    nodes.stop()
}

fn announce(arguments: &DevArguments, layout: &Layout, data: &Path, took: Duration) -> io::Result<()> {
    let servers: Vec<String> = layout
        .nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.client))
        .collect();
    let bootstrap = servers.join(",");
    let metrics = layout.nodes.first().map_or(0, |node| node.http);
    let mut out = io::stdout().lock();
    if arguments.quiet {
        writeln!(out, "bootstrap.servers={bootstrap}")?;
        writeln!(out, "metrics=http://127.0.0.1:{metrics}/metrics")?;
        return out.flush();
    }
    let kept = if arguments.ephemeral { "not kept" } else { "kept" };
    let first = &servers[0];
    writeln!(
        out,
        "{} nodes ready after {:.1} s; data in {} ({kept})",
        layout.nodes.len(),
        took.as_secs_f64(),
        data.display()
    )?;
    writeln!(out)?;
    writeln!(out, "  bootstrap servers  {bootstrap}")?;
    writeln!(out, "  metrics            http://127.0.0.1:{metrics}/metrics")?;
    writeln!(out)?;
    writeln!(out, "Try:")?;
    writeln!(out, "  klamm topic create orders --partitions 3 -b {first}")?;
    writeln!(out, "  echo hello | klamm produce orders -b {first}")?;
    writeln!(out, "  klamm consume orders --from-beginning -b {first}")?;
    writeln!(out)?;
    writeln!(out, "Ctrl-C stops the cluster.")?;
    out.flush()
}

/// The ports of this data directory's cluster: those it had, else new ones.
fn layout(data: &Path, arguments: &DevArguments) -> anyhow::Result<Layout> {
    let path = data.join("ports.json");
    if let Ok(text) = fs::read_to_string(&path) {
        let layout: Layout = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        if layout.nodes.len() != usize::from(arguments.nodes) {
            bail!(
                "{} holds a cluster of {} nodes: start it with --nodes {}, or give another --data",
                data.display(),
                layout.nodes.len(),
                layout.nodes.len()
            );
        }
        for port in layout
            .nodes
            .iter()
            .flat_map(|node| [node.client, node.controller, node.http])
        {
            if !is_free(port) {
                bail!("port {port} is taken: does this cluster run already?");
            }
        }
        return Ok(layout);
    }
    let count = arguments.nodes;
    let wanted = arguments.port.unwrap_or(DEFAULT_PORT);
    let fixed: Vec<NodePorts> = (0..count)
        .map(|at| NodePorts {
            client: wanted.saturating_add(at),
            controller: wanted.saturating_add(1_000 + at),
            http: wanted.saturating_add(2_000 + at),
        })
        .collect();
    let all_free = fixed
        .iter()
        .flat_map(|node| [node.client, node.controller, node.http])
        .all(is_free);
    let nodes = if all_free && !arguments.free_ports {
        fixed
    } else if arguments.port.is_some() {
        bail!(
            "not all of the ports {wanted}, {}, {} and the {count} after each are free",
            wanted + 1_000,
            wanted + 2_000
        );
    } else {
        free_ports(count)?
    };
    let layout = Layout { nodes };
    fs::write(&path, serde_json::to_string_pretty(&layout)?)
        .with_context(|| format!("can't write {}", path.display()))?;
    Ok(layout)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Below the range from which the kernel takes clients' ports: a node that restarts must find its port free.
fn free_ports(count: u16) -> anyhow::Result<Vec<NodePorts>> {
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    let mut free = (start..32_000).chain(15_000..start).filter(|port| is_free(*port));
    let mut next = || free.next().context("no free ports between 15000 and 32000");
    (0..count)
        .map(|_| {
            Ok(NodePorts {
                client: next()?,
                controller: next()?,
                http: next()?,
            })
        })
        .collect()
}

fn log_file(data: &Path, id: usize) -> PathBuf {
    data.join(format!("node{id}.log"))
}

fn spawn(data: &Path, id: usize, layout: &Layout, arguments: &DevArguments) -> anyhow::Result<Child> {
    let ports = &layout.nodes[id - 1];
    let voters: Vec<String> = layout
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| format!("{}@127.0.0.1:{}", at + 1, node.controller))
        .collect();
    let count = layout.nodes.len();
    let replication = count.min(3);
    let min_isr = if count >= 3 { 2 } else { 1 };
    let logs = fs::canonicalize(data)?.join(format!("node{id}"));
    let properties = format!(
        "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={}\n\
         listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{}\n\
         controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\nlog.dirs={}\n\
         default.replication.factor={replication}\nmin.insync.replicas={min_isr}\n\
         offsets.topic.replication.factor={replication}\ntransaction.state.log.replication.factor={replication}\n\
         transaction.state.log.min.isr={min_isr}\nshare.coordinator.state.topic.replication.factor={replication}\n\
         share.coordinator.state.topic.min.isr={min_isr}\ngroup.initial.rebalance.delay.ms=0\n\
         klamm.http.listener=127.0.0.1:{}\n",
        voters.join(","),
        ports.client,
        ports.controller,
        ports.client,
        logs.display(),
        ports.http,
    );
    let path = data.join(format!("node{id}.properties"));
    fs::write(&path, properties).with_context(|| format!("can't write {}", path.display()))?;
    let log = fs::File::options().create(true).append(true).open(log_file(data, id))?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("server")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    for assignment in &arguments.overrides {
        command.arg("--override").arg(assignment);
    }
    // A Ctrl-C is for this process alone: it stops the nodes in good order.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().with_context(|| format!("can't start node {id}"))
}

fn wait_until_ready(layout: &Layout, nodes: &mut Nodes, stop: &Stop) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    for (at, ports) in layout.nodes.iter().enumerate() {
        while !is_ready(ports.http) {
            if let Some((id, status)) = nodes.ended()? {
                bail!(
                    "node {id} did not start: {status}. Its log: {}",
                    log_file(&nodes.data, id).display()
                );
            }
            if stop.requested() || Instant::now() > deadline {
                let log = log_file(&nodes.data, at + 1);
                nodes.stop()?;
                bail!("node {} did not become ready. Its log: {}", at + 1, log.display());
            }
            stop.wait(Duration::from_millis(10));
        }
    }
    Ok(())
}

fn is_ready(port: u16) -> bool {
    use std::io::Read;
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let timeout = Some(Duration::from_secs(1));
    if stream.set_read_timeout(timeout).is_err() {
        return false;
    }
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = [0_u8; 12];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
}

struct Nodes {
    children: Vec<Child>,
    data: PathBuf,
    ephemeral: bool,
}

impl Nodes {
    fn ended(&mut self) -> io::Result<Option<(usize, std::process::ExitStatus)>> {
        for (at, child) in self.children.iter_mut().enumerate() {
            if let Some(status) = child.try_wait()? {
                return Ok(Some((at + 1, status)));
            }
        }
        Ok(None)
    }

    /// Asks all nodes to stop, waits for them.
    fn stop(&mut self) -> anyhow::Result<()> {
        for child in &self.children {
            terminate(child);
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for child in &mut self.children {
            while child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    child.kill()?;
                }
                pause(Duration::from_millis(10));
            }
        }
        self.children.clear();
        Ok(())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.ephemeral {
            let _ = fs::remove_dir_all(&self.data);
        }
    }
}

fn terminate(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Waits without a runtime: this process only watches others.
fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

/// SIGINT or SIGTERM.
struct Stop {
    requested: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        use std::sync::atomic::{AtomicBool, Ordering};
        let requested = std::sync::Arc::new(AtomicBool::new(false));
        let flag = std::sync::Arc::clone(&requested);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut terminate), Ok(mut interrupt)) =
                    (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
                else {
                    return;
                };
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                flag.store(true, Ordering::SeqCst);
            });
        })?;
        Ok(Self { requested })
    }

    fn requested(&self) -> bool {
        self.requested.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn wait(&self, time: Duration) {
        pause(time);
    }
}
