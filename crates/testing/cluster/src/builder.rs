//! What a cluster shall look like, and its start.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};

use crate::binary::klamm_binary;
use crate::disk::Disk;
use crate::members::{Cluster, Turn};
use crate::node::Node;
use crate::ports::free_ports;

/// Seconds until every broker must be in the metadata.
const READY_SECONDS: u64 = 60;
/// Starts with new ports when somebody was faster on one of them.
const STARTS: usize = 3;

/// Settings of a [`Cluster`]: the properties that one writes for Apache Kafka.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    brokers: usize,
    properties: Vec<(String, String)>,
    disks: Vec<DiskSpec>,
}

#[derive(Debug, Clone)]
struct DiskSpec {
    node: i32,
    directory: String,
    bytes: u64,
}

impl ClusterBuilder {
    /// `brokers` nodes with ids from 1. The first three are voters, too; the others are brokers only.
    pub fn new(brokers: usize) -> Self {
        Self {
            brokers,
            properties: Vec::new(),
            disks: Vec::new(),
        }
    }

    /// One more property of every node; a later one wins.
    #[must_use]
    pub fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A disk of its own for a node's data directory: its first one is called `data`, any other is one more.
    #[must_use]
    pub fn disk(mut self, node: i32, directory: &str, bytes: u64) -> Self {
        self.disks.push(DiskSpec {
            node,
            directory: directory.to_owned(),
            bytes,
        });
        self
    }

    /// Starts the nodes and waits until each broker is in the metadata.
    ///
    /// # Errors
    /// There is no binary, a node ended, or the brokers didn't all appear within a minute; the message holds the logs' ends.
    pub fn start(&self) -> anyhow::Result<Cluster> {
        let binary = klamm_binary()?;
        let turn = Turn::take();
        let folder = tempfile::Builder::new().prefix("klamm-cluster-").tempdir()?;
        let mut clash = None;
        for attempt in 0..STARTS {
            let place = folder.path().join(format!("start-{attempt}"));
            let mut cluster = Cluster::new(self.prepare(&binary, &place)?, self.mount(&place)?);
            match cluster
                .start_all()
                .and_then(|()| cluster.wait_for_brokers(self.brokers, READY_SECONDS))
            {
                Ok(()) => return Ok(cluster.own(folder, turn)),
                Err(error) if cluster.has_port_clash() => clash = Some(error),
                Err(error) => bail!("{error:#}\n{}", cluster.log_tails()),
            }
        }
        Err(clash.context("never started")?)
    }

    fn mount(&self, folder: &Path) -> anyhow::Result<BTreeMap<(i32, String), Disk>> {
        let mounted = self.disks.iter().map(|spec| {
            let place = folder.join(spec.node.to_string()).join(&spec.directory);
            Ok(((spec.node, spec.directory.clone()), Disk::mount(&place, spec.bytes)?))
        });
        mounted.collect()
    }

    /// `log.dirs`: the usual directory, and those of further disks.
    fn log_dirs(&self, node: i32, place: &Path) -> String {
        let further = self
            .disks
            .iter()
            .filter(|spec| spec.node == node && spec.directory != "data")
            .map(|spec| spec.directory.as_str());
        let all = std::iter::once("data").chain(further);
        all.map(|name| place.join(name).display().to_string())
            .collect::<Vec<_>>()
            .join(",")
    }

    fn prepare(&self, binary: &Path, folder: &Path) -> anyhow::Result<Vec<Node>> {
        let ports = free_ports(self.brokers * 2)?;
        let (clients, controllers) = ports.split_at(self.brokers);
        let voters: Vec<String> = (1..)
            .zip(controllers)
            .take(3)
            .map(|(id, p)| format!("{id}@127.0.0.1:{p}"))
            .collect();
        let mut nodes = Vec::new();
        for (at, (client, controller)) in clients.iter().zip(controllers).enumerate() {
            let id = i32::try_from(at + 1)?;
            let place = folder.join(id.to_string());
            let mut properties = vec![
                pair("node.id", id),
                pair("controller.quorum.voters", voters.join(",")),
                pair("controller.listener.names", "CONTROLLER"),
                pair("inter.broker.listener.name", "PLAINTEXT"),
                pair("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{client}")),
                pair("log.dirs", self.log_dirs(id, &place)),
            ];
            properties.extend(roles(at, *client, *controller));
            properties.extend(replication(self.brokers));
            properties.extend(self.properties.iter().cloned());
            nodes.push(Node::prepare(id, *client, binary, place, &last_wins(properties))?);
        }
        Ok(nodes)
    }
}

fn roles(at: usize, client: u16, controller: u16) -> [(String, String); 2] {
    let clients = format!("PLAINTEXT://127.0.0.1:{client}");
    if at < 3 {
        let listeners = format!("{clients},CONTROLLER://127.0.0.1:{controller}");
        [pair("process.roles", "broker,controller"), pair("listeners", listeners)]
    } else {
        [pair("process.roles", "broker"), pair("listeners", clients)]
    }
}

fn replication(brokers: usize) -> Vec<(String, String)> {
    let (factor, min_isr) = if brokers >= 3 { (3, 2) } else { (brokers, 1) };
    let mut properties = vec![
        pair("default.replication.factor", factor),
        pair("min.insync.replicas", min_isr),
    ];
    properties.push(pair("offsets.topic.replication.factor", factor));
    // Few partitions: a test that creates the offsets topic waits for each of them.
    properties.push(pair("offsets.topic.num.partitions", 6));
    properties.push(pair("group.initial.rebalance.delay.ms", 0));
    for topic in ["transaction.state.log", "share.coordinator.state.topic"] {
        properties.push(pair(&format!("{topic}.replication.factor"), factor));
        properties.push(pair(&format!("{topic}.min.isr"), min_isr));
    }
    properties
}

fn pair(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

fn last_wins(properties: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (key, value) in properties {
        kept.retain(|(other, _)| *other != key);
        kept.push((key, value));
    }
    kept
}
