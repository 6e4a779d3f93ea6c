//! What every measurement shares: the cluster, the topic, librdkafka's settings, the ways to show and to stop.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use rdkafka::ClientConfig;

use crate::commands::cluster_state::ClusterState;
use crate::commands::connection::{CLIENT_ID, Connection};
use crate::commands::output::{Output, note};
use crate::commands::produce::parse_pair;
use crate::commands::progress::Progress;
use crate::stop_signal::StopSignal;

/// How the names of topics begin that a run makes for itself.
const PREFIX: &str = "klamm-bench";
/// How long a new topic may take until all its replicas are in sync.
const IN_SYNC_WITHIN: Duration = Duration::from_secs(120);
/// A broker of Apache Kafka may not know yet what the controller has answered.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);
/// Between two questions.
const LOOK: Duration = Duration::from_millis(50);
/// Replicas, if there are so many brokers.
const REPLICAS: usize = 3;

/// What every measurement can be told.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The topic, which must exist [default: one of the run's own, deleted afterwards]
    #[arg(short, long)]
    topic: Option<String>,
    /// Partitions of a topic of its own [default: 12; end-to-end: 1; topics: 1000]
    #[arg(short, long, conflicts_with = "topic", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    partitions: Option<u32>,
    /// Replicas of each of its partitions [default: 3, or as many as there are brokers]
    #[arg(short, long, conflicts_with = "topic", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A config of it; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "topic", value_parser = parse_pair)]
    topic_config: Vec<(String, String)>,
    /// Any property of librdkafka; may be given more than once
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", value_parser = parse_pair)]
    properties: Vec<(String, String)>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    pub(super) output: Output,
}

/// A measurement that has begun.
pub(super) struct Session {
    pub(super) topic: Topic,
    pub(super) stop: StopSignal,
    pub(super) progress: Progress,
    bootstrap: String,
    properties: Vec<(String, String)>,
}

/// The topic to measure with. Dropping it deletes it if it is the run's own.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: u32,
    /// When it was asked for, and when the answer was there, if it is the run's own.
    pub(super) created: Option<(Instant, Duration)>,
    is_own: bool,
    state: ClusterState,
}

impl Target {
    /// Finds or makes the topic, without waiting until it is in sync. `partitions` if nobody says how many.
    pub(super) fn open(&self, partitions: u32) -> Result<Session> {
        let stop = StopSignal::listen()?;
        let state = ClusterState::new(Connection::to(self.connection.bootstrap(), self.connection.timeout()))?;
        let topic = match &self.topic {
            Some(name) => Topic {
                name: name.clone(),
                partitions: find(&state, name, &stop)?,
                created: None,
                is_own: false,
                state,
            },
            None => self.create(state, self.partitions.unwrap_or(partitions))?,
        };
        Ok(Session {
            topic,
            stop,
            progress: Progress::new(),
            bootstrap: self.connection.bootstrap(),
            properties: self.properties.clone(),
        })
    }

    /// The same, with every replica in sync: what a new topic costs isn't measured.
    pub(super) fn open_in_sync(&self, partitions: u32) -> Result<Session> {
        let session = self.open(partitions)?;
        session.topic.wait_until_in_sync(&session.stop)?;
        Ok(session)
    }

    fn create(&self, state: ClusterState, partitions: u32) -> Result<Topic> {
        let brokers = state.brokers()?.len();
        let replicas = match self.replication_factor {
            Some(replicas) => replicas,
            None => i16::try_from(brokers.min(REPLICAS))?,
        };
        let name = format!("{PREFIX}-{:x}", rand::random::<u64>() >> 16);
        let began = Instant::now();
        let created = state.create_topic(&name, partitions, Some(replicas), &self.topic_config);
        let topic = Topic {
            name,
            partitions,
            created: Some((began, began.elapsed())),
            is_own: true,
            state,
        };
        // After an error, too: it may be there all the same.
        created.map(|()| topic)
    }
}

/// How many partitions a topic has that somebody may have created a moment ago.
fn find(state: &ClusterState, name: &str, stop: &StopSignal) -> Result<u32> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        if let Some(partitions) = state.partitions(name)? {
            return Ok(partitions);
        }
        if Instant::now() > deadline || stop.requested() {
            bail!("there is no topic {name}: see which there are with `klamm topic list`");
        }
        stop.wait(LOOK);
    }
}

impl Topic {
    fn wait_until_in_sync(&self, stop: &StopSignal) -> Result<()> {
        self.state
            .wait_until_in_sync(&self.name, IN_SYNC_WITHIN, || stop.requested())
    }

    /// Where each partition's leader is reached, in the partitions' order.
    pub(super) fn leaders(&self) -> Result<Vec<String>> {
        self.state.leader_addresses(&self.name)
    }

    /// Deletes it if it is the run's own, and says so if it can't.
    pub(super) fn delete(mut self) -> Result<()> {
        self.delete_own()
    }

    fn delete_own(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_own) {
            return Ok(());
        }
        self.state
            .delete_topic(&self.name)
            .with_context(|| format!("topic {} is left behind", self.name))
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        if let Err(error) = self.delete_own() {
            note(&format!("warning: {error:#}"));
        }
    }
}

impl Session {
    /// librdkafka's settings, with those of one client; the user has the last word.
    pub(super) fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", CLIENT_ID)
            .set("log_level", "0");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    /// The topic's partitions, by their numbers.
    pub(super) fn partitions(&self) -> Result<std::ops::Range<i32>> {
        ensure!(self.topic.partitions > 0, "topic {} has no partitions", self.topic.name);
        Ok(0..i32::try_from(self.topic.partitions)?)
    }
}
