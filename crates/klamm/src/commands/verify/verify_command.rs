//! `klamm verify`: what it is told, and the way from there to a verdict.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use history::Timeline;

use super::chaos::{
    CommandNodes, Commands, ComposeNodes, FaultKind, Injector, Means, Network, Nodes, OwnNodes, Schedule,
};
use super::plan::Plan;
use super::recorder::Recorder;
use super::report::{REPORT_FILE, write_report};
use super::run::{Enough, Run, check_plan};
use super::stored;
use super::summary::{RunSettings, SUMMARY_FILE, Summary};
use crate::commands::cluster_state::ClusterState;
use crate::commands::connection::Connection;
use crate::commands::duration::parse_duration;
use crate::commands::output::Output;
use crate::commands::produce::parse_pair;
use crate::commands::progress::Progress;
use crate::local_cluster::{Layout, LocalCluster, PortChoice, Surroundings};
use crate::stop_signal::StopSignal;

/// How long a run lasts when nobody says anything else.
const DURATION: Duration = Duration::from_secs(60);
/// Nodes of a cluster of our own.
const OWN_NODES: u16 = 3;
/// What makes acknowledgements wait for the disks: of the topic, and of the groups' log, whose only setting is the brokers'.
const TOPIC_FLUSH: &str = "flush.messages";
const BROKER_FLUSH: &str = "log.flush.interval.messages=1";

/// `klamm verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The topic, which mustn't exist yet [default: one of the run's own, deleted if all is well]
    #[arg(short, long)]
    topic: Option<String>,
    /// Partitions of the topic
    #[arg(short, long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    partitions: u32,
    /// Replicas of each partition [default: 3, or as many as there are brokers]
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A config of the topic; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    topic_config: Vec<(String, String)>,
    /// Idempotent producers with acks=all; neighbours differ in codec, linger time and batch size
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    producers: u16,
    /// Consumers without a group; each reads everything
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=100))]
    consumers: u16,
    /// Consumer groups; each reads everything and commits
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=100))]
    groups: u16,
    /// Members of each group
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=100))]
    members: u16,
    /// Members leave their group after so long and join it again, one after the other, as in 5s
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    churn: Option<Duration>,
    /// Records a second over all producers; 0: as many as the cluster takes
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// End after so many acknowledged records
    #[arg(long)]
    records: Option<u64>,
    /// End after this time, as in 90s, 10m or 2h [default: 60s, unless --records or --faults say when]
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Where history, summary and report are written [default: klamm-verify-RUN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Check a stored history, or the one in the folder of a run; no cluster is needed. With --out: write its report again
    #[arg(long, value_name = "HISTORY")]
    check: Option<PathBuf>,
    /// Any property of librdkafka; may be given more than once
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", value_parser = parse_pair)]
    properties: Vec<(String, String)>,
    /// Say which faults this machine can do to nodes of its own, and what is lacking for the others
    #[arg(long)]
    list_faults: bool,
    #[command(flatten)]
    chaos: ChaosArgs,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Which faults, and by which means.
#[derive(Debug, Args)]
struct ChaosArgs {
    /// Inject faults; without --bootstrap-server into a cluster that this command starts for itself
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,…")]
    chaos: Vec<FaultKind>,
    /// Nodes of that cluster [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=9), conflicts_with = "bootstrap_server")]
    nodes: Option<u16>,
    /// Sets a property on every node of that cluster: --override key=value
    #[arg(long = "override", value_name = "KEY=VALUE", requires = "nodes")]
    overrides: Vec<String>,
    /// Where that cluster's data and logs are kept [default: OUT/cluster; the data goes away if all is well]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Decides which faults come; printed, so that a run can be repeated [default: by chance]
    #[arg(long)]
    seed: Option<u64>,
    /// From the cluster's being whole again to the next fault
    #[arg(long, value_parser = parse_duration, default_value = "5s")]
    every: Duration,
    /// End after so many faults
    #[arg(long, alias = "repeat")]
    faults: Option<u32>,
    /// A second fault may begin while the first lasts
    #[arg(long)]
    overlap: bool,
    /// How long the cluster may take to become whole after a fault
    #[arg(long, value_parser = parse_duration, default_value = "90s")]
    whole_within: Duration,
    /// Hurt the services of Docker Compose; with the file's path, or without it the one that Compose finds
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "given or not, with a file or not")]
    compose: Option<Option<PathBuf>>,
    #[command(flatten)]
    commands: Commands,
}

impl ChaosArgs {
    /// What the nodes need so that these faults can be done to them.
    fn surroundings(&self) -> Surroundings {
        let any = |kinds: &[FaultKind]| self.chaos.iter().any(|kind| kinds.contains(kind));
        Surroundings {
            disks: any(&[FaultKind::Power, FaultKind::PowerAll, FaultKind::DiskFull]),
            metadata_disks: any(&[FaultKind::DiskFull]),
            clocks: any(&[FaultKind::Clock]),
        }
    }
}

/// What was started for a run, and what hurts it.
#[derive(Default)]
struct Own {
    cluster: Option<Arc<Mutex<LocalCluster>>>,
    network: Option<Arc<Network>>,
}

impl Own {
    /// Somebody must look at the nodes' files.
    fn keep(&self) {
        if let Some(cluster) = &self.cluster {
            lock(cluster).keep();
        }
    }
}

impl VerifyArgs {
    /// The result is an error unless every promise was kept.
    pub(in crate::commands) fn run(self) -> Result<()> {
        if let Some(path) = &self.check {
            let (summary, timeline) = Summary::of(stored::read(path)?, None);
            if let Some(out) = &self.out {
                write_files(out, &summary, &timeline)?;
            }
            return self.tell(&summary);
        }
        if self.list_faults {
            return self.list();
        }
        let run: u64 = rand::random::<u64>() >> 16;
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("klamm-verify-{run:x}")));
        make_folder(&out)?;
        let stop = StopSignal::listen()?;
        let mut progress = Progress::new();
        let own = self.start_own(&out, &stop, &mut progress)?;
        let bootstrap = match &own.cluster {
            Some(cluster) => lock(cluster).layout().servers().join(","),
            None => self.connection.bootstrap(),
        };
        let plan = self.plan(run, bootstrap.clone());
        check_plan(&plan)?;
        let state = || ClusterState::new(Connection::to(bootstrap.clone(), self.connection.timeout()));
        if let Some(cluster) = &own.cluster {
            // A node is ready before the others have heard of it: whoever is asked now might know of fewer, and the topic get fewer
            // replicas than this run is to survive without.
            let nodes = lock(cluster).layout().servers().len();
            state()?.wait_until_whole(&[], nodes, self.chaos.whole_within, || stop.requested())?;
        }
        let brokers = state()?.brokers()?.len();
        let seed = self.chaos.seed.unwrap_or_else(|| rand::random::<u64>() >> 32);
        progress.say(&format!(
            "run {run:x} on {brokers} brokers, topic {}, seed {seed}; files in {}",
            plan.topic,
            out.display()
        ));
        let runner = Run {
            plan: &plan,
            seed,
            replication_factor: self.replication_factor.or_else(|| i16::try_from(brokers.min(3)).ok()),
            enough: self.enough(),
            whole_within: self.chaos.whole_within,
            state: state()?,
            out: &out,
            stop: &stop,
        };
        let recorded = runner
            .run(&mut progress, |recorder| {
                self.injector(&own, &plan, seed, state()?, recorder)
            })
            .inspect_err(|_| own.keep())?;
        let (mut summary, timeline) = Summary::of(recorded, Some(self.settings(&plan, seed)));
        if let Some(ended) = own
            .cluster
            .as_ref()
            .map(|cluster| lock(cluster).ended())
            .transpose()?
            .flatten()
        {
            summary.fail(&format!("node {} ended by itself: {}", ended.0, ended.1));
        }
        write_files(&out, &summary, &timeline)?;
        self.clean_up(&own, &runner, &summary, &mut progress)?;
        progress.say(&format!("report: {}", out.join(REPORT_FILE).display()));
        self.tell(&summary)
    }

    /// Prints it; the exit code is the verdict.
    fn tell(&self, summary: &Summary) -> Result<()> {
        self.output.write(summary, Summary::render)?;
        if summary.passed {
            Ok(())
        } else {
            bail!("{}", summary.verdict)
        }
    }

    fn list(&self) -> Result<()> {
        let scratch = std::env::temp_dir().join(format!("klamm-verify-{}", std::process::id()));
        make_folder(&scratch)?;
        let means = Means::all(&scratch);
        let removed = std::fs::remove_dir_all(&scratch);
        self.output.write(&means, |all| Means::render(all))?;
        removed.with_context(|| format!("can't remove {}", scratch.display()))
    }

    /// What outlives the power of all nodes must be on their disks when it is acknowledged, unless the user says otherwise.
    fn acknowledges_what_is_synced(&self) -> bool {
        let says = self.topic_config.iter().any(|(name, _)| name == TOPIC_FLUSH);
        self.chaos.chaos.contains(&FaultKind::PowerAll) && !says
    }

    fn plan(&self, run: u64, bootstrap: String) -> Plan {
        let mut topic_configs = self.topic_config.clone();
        if self.acknowledges_what_is_synced() {
            topic_configs.push((TOPIC_FLUSH.to_owned(), "1".to_owned()));
        }
        Plan {
            run,
            bootstrap,
            topic: self.topic.clone().unwrap_or_else(|| format!("klamm-verify-{run:x}")),
            partitions: self.partitions,
            topic_configs,
            producers: self.producers,
            consumers: self.consumers,
            groups: self.groups,
            members: self.members,
            churn: self.churn,
            rate: Some(self.rate).filter(|rate| *rate > 0),
            properties: self.properties.clone(),
        }
    }

    fn settings(&self, plan: &Plan, seed: u64) -> RunSettings {
        RunSettings {
            run: format!("{:x}", plan.run),
            topic: plan.topic.clone(),
            partitions: plan.partitions,
            topic_configs: plan
                .topic_configs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            producers: plan.producers,
            consumers: plan.consumers,
            groups: plan.groups,
            members: plan.members,
            rate: plan.rate,
            seed,
            chaos: self.chaos.chaos.iter().map(|kind| kind.name()).collect(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn enough(&self) -> Enough {
        let says_when = self.records.is_some() || self.chaos.faults.is_some();
        Enough {
            duration: self.duration.or(if says_when { None } else { Some(DURATION) }),
            records: self.records,
            faults: self.chaos.faults.filter(|_| !self.chaos.chaos.is_empty()),
        }
    }

    /// A cluster of the run's own, if no other was named.
    fn start_own(&self, out: &Path, stop: &StopSignal, progress: &mut Progress) -> Result<Own> {
        let chaos = &self.chaos;
        let elsewhere = self.connection.is_given() || chaos.compose.is_some() || chaos.commands.any();
        if elsewhere || (chaos.nodes.is_none() && chaos.chaos.is_empty()) {
            return Ok(Own::default());
        }
        let count = chaos.nodes.unwrap_or(OWN_NODES);
        let data = chaos.data.clone().unwrap_or_else(|| out.join("cluster"));
        if data.join("node1.properties").exists() {
            bail!(
                "{} holds the cluster of an earlier run: remove it, or give another --out or --data",
                data.display()
            );
        }
        make_folder(&data)?;
        let network = if chaos.chaos.contains(&FaultKind::Partition) {
            Some(Arc::new(Network::create(u8::try_from(count)?)?))
        } else {
            None
        };
        let layout = match &network {
            Some(network) => network.layout(),
            None => Layout::of(&data, count, PortChoice::Free)?,
        };
        progress.say(&format!("starting {count} nodes …"));
        let mut overrides = chaos.overrides.clone();
        if self.acknowledges_what_is_synced() {
            overrides.push(BROKER_FLUSH.to_owned());
        }
        let mut cluster = LocalCluster::start(&data, chaos.data.is_none(), layout, &overrides, chaos.surroundings())?;
        cluster.wait_until_ready(stop).inspect_err(|_| cluster.keep())?;
        Ok(Own {
            cluster: Some(Arc::new(Mutex::new(cluster))),
            network,
        })
    }

    fn injector(
        &self,
        own: &Own,
        plan: &Plan,
        seed: u64,
        state: ClusterState,
        recorder: &Recorder,
    ) -> Result<Option<Injector>> {
        let chaos = &self.chaos;
        if chaos.chaos.is_empty() {
            return Ok(None);
        }
        let nodes: Box<dyn Nodes> = match (&own.cluster, &chaos.compose) {
            (Some(cluster), _) => Box::new(OwnNodes::new(Arc::clone(cluster), own.network.clone())),
            (None, Some(file)) => Box::new(ComposeNodes::new(file.clone(), &state.brokers()?)?),
            (None, None) => Box::new(CommandNodes::new(chaos.commands.clone(), state.brokers()?)),
        };
        for kind in &chaos.chaos {
            nodes.check(*kind)?;
        }
        Ok(Some(Injector {
            nodes,
            schedule: Schedule::new(seed, &chaos.chaos, chaos.overlap),
            state,
            plan: plan.clone(),
            recorder: recorder.clone(),
            every: chaos.every,
            whole_within: chaos.whole_within,
            faults: chaos.faults,
        }))
    }

    /// What isn't needed any more goes; what somebody must look at stays.
    fn clean_up(&self, own: &Own, runner: &Run<'_>, summary: &Summary, progress: &mut Progress) -> Result<()> {
        if let Some(cluster) = &own.cluster {
            let mut cluster = lock(cluster);
            if !summary.passed {
                cluster.keep();
                progress.say(&format!("the nodes' data and logs: {}", cluster.data().display()));
            }
            return cluster.stop();
        }
        if summary.passed
            && self.topic.is_none()
            && let Err(error) = runner.state.delete_topic(&runner.plan.topic)
        {
            progress.say(&format!("warning: {error:#}"));
        }
        Ok(())
    }
}

fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("can't make {}", path.display()))
}

fn write_files(out: &Path, summary: &Summary, timeline: &Timeline) -> Result<()> {
    make_folder(out)?;
    std::fs::write(out.join(SUMMARY_FILE), serde_json::to_string_pretty(summary)?)
        .with_context(|| format!("can't write to {}", out.display()))?;
    write_report(&out.join(REPORT_FILE), summary, timeline)
}

fn lock(cluster: &Arc<Mutex<LocalCluster>>) -> std::sync::MutexGuard<'_, LocalCluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}
