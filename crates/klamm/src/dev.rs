//! `klamm dev`: a cluster of real processes on this machine, for development and tests.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;

use crate::local_cluster::{Layout, LocalCluster, PortChoice, Surroundings};
use crate::stop_signal::StopSignal;

/// Where a cluster's ports are looked for unless one is asked for.
const DEFAULT_PORT: u16 = 9092;

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
    let choice = match arguments.port {
        _ if arguments.free_ports => PortChoice::Free,
        Some(port) => PortChoice::From(port),
        None => PortChoice::Preferred(DEFAULT_PORT),
    };
    let layout = Layout::of(&data, arguments.nodes, choice)?;
    // Asked before the nodes run: a Ctrl-C reaches them as well, and they must not be left behind by it.
    let stop = StopSignal::listen()?;
    let mut cluster = LocalCluster::start(
        &data,
        arguments.ephemeral,
        layout,
        &arguments.overrides,
        Surroundings::default(),
    )?;
    cluster.wait_until_ready(&stop)?;
    announce(arguments, cluster.layout(), &data, began.elapsed())?;
    while !stop.requested() {
        if let Some((id, status)) = cluster.ended()? {
            bail!("node {id} ended: {status}. Its log: {}", cluster.log_file(id).display());
        }
        stop.wait(Duration::from_millis(100));
    }
    if !arguments.quiet {
        let _ = writeln!(io::stderr(), "stopping …");
    }
    cluster.stop()
}

fn announce(arguments: &DevArguments, layout: &Layout, data: &Path, took: Duration) -> io::Result<()> {
    let servers = layout.servers();
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
