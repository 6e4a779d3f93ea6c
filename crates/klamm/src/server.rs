//! `klamm server`: reads the configuration, runs a node, ends it in good order.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use broker::REACTOR_WRITES;
use clap::Args;
use config::{Properties, ServerConfig, Warning, properties_from_environment, refuse_unknown_keys};

use crate::file_limit::raise_file_limit;
use crate::logging::{self, LogFormat};
use crate::node::Node;

/// The Raft library warns of each lost heartbeat and each failed call; the quorum tells once that a voter is silent.
const DEFAULT_LOG: &str = "info,openraft=error";

/// Every request that waits for a disk that hangs may hold a thread until its directory goes offline; with too few, the
/// reactor's own would be among those that wait for one.
const THREADS_MAX: usize = 4_096;

/// What `klamm server` is told.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The properties file, as Kafka's; without one the KAFKA_* environment alone counts.
    properties: Option<PathBuf>,
    /// Overrides one property: --override key=value.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// An unknown key is an error.
    #[arg(long)]
    strict: bool,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// What is logged, as in RUST_LOG.
    #[arg(long, env = "RUST_LOG", default_value = DEFAULT_LOG)]
    log: String,
}

pub(crate) fn run(arguments: &ServerArguments) -> ExitCode {
    logging::start(arguments.log_format, &arguments.log);
    // A panicked task, Raft's core above all, must not leave a process that only looks alive.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(%panic, "a task panicked: the process ends");
        report(panic);
        std::process::abort();
    }));
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &ServerArguments) -> anyhow::Result<()> {
    let (config, warnings) = read_config(arguments)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    raise_file_limit();
    // As many threads to spare as may stand in writes to a disk that hangs (promise DISK).
    let threads = std::thread::available_parallelism().map_or(1, usize::from) + REACTOR_WRITES;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(threads)
        .max_blocking_threads(THREADS_MAX)
        .thread_name("data")
        .build()?;
    let outcome = runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let node = tokio::select! {
            node = Node::start(config) => node?,
            () = stop.received() => return Ok(()),
        };
        tokio::select! {
            fault = node.fault() => bail!(fault),
            () = stop.received() => {}
        }
        tracing::info!("stopping");
        tokio::select! {
            stopped = node.stop() => stopped,
            () = stop.received() => bail!("stopped by a second signal, not in good order"),
        }
    });
    runtime.shutdown_background();
    outcome
}

/// File, then environment, then overrides: the later wins.
fn read_config(arguments: &ServerArguments) -> anyhow::Result<(ServerConfig, Vec<Warning>)> {
    let mut properties = match &arguments.properties {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
            Properties::parse(&text)
        }
        None => Properties::new(),
    };
    properties.merge(properties_from_environment(std::env::vars()));
    for assignment in &arguments.overrides {
        properties.apply_override(assignment)?;
    }
    if properties.is_empty() {
        bail!("no configuration: give a properties file, KAFKA_* variables, or --override; `klamm dev` needs none");
    }
    let (config, warnings) = ServerConfig::from_properties(&properties)?;
    let warnings = if arguments.strict {
        refuse_unknown_keys(warnings)?
    } else {
        warnings
    };
    Ok((config, warnings))
}

struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
