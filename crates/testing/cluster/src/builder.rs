//! What a cluster shall look like, and its start.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};

use crate::binary::klamm_binary;
use crate::disk::Disk;
use crate::members::{Cluster, Turn};
use crate::node::{Node, Ports};
use crate::ports::free_ports;

/// Seconds until every broker must be in the metadata.
const READY_SECONDS: u64 = 60;
/// Starts with new ports when somebody was faster on one of them.
const STARTS: usize = 3;
/// Combined nodes beyond these are brokers only.
const COMBINED_VOTERS: usize = 3;
/// Controllers without the broker role have ids of their own from here, as in Kafka's examples.
const FIRST_CONTROLLER: i32 = 101;

/// Settings of a [`Cluster`]: the properties that one writes for Apache Kafka.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    brokers: usize,
    /// Nodes that are controllers only; none: brokers vote, too.
    controllers: usize,
    by_bootstrap_servers: bool,
    properties: Vec<(String, String)>,
    disks: Vec<DiskSpec>,
}

#[derive(Debug, Clone)]
struct DiskSpec {
    node: i32,
    directory: String,
    bytes: u64,
}

/// One node's place in the layout.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: i32,
    is_broker: bool,
    is_controller: bool,
    ports: Ports,
}

impl ClusterBuilder {
    /// `brokers` nodes with ids from 1. The first three are voters, too; the others are brokers only.
    pub fn new(brokers: usize) -> Self {
        Self {
            brokers,
            controllers: 0,
            by_bootstrap_servers: false,
            properties: Vec::new(),
            disks: Vec::new(),
        }
    }

    /// `brokers` nodes with ids from 1 that are brokers only, and `controllers` nodes with ids from 101 that are controllers
    /// only.
    pub fn separate(controllers: usize, brokers: usize) -> Self {
        Self {
            controllers,
            ..Self::new(brokers)
        }
    }

    /// `controller.quorum.bootstrap.servers` instead of `controller.quorum.voters`, and what Kafka's own file has besides.
    #[must_use]
    pub fn bootstrap_servers(mut self) -> Self {
        self.by_bootstrap_servers = true;
        self
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

    /// The nodes with their properties, none of them started.
    ///
    /// # Errors
    /// There is no binary, or no port.
    pub fn prepare_only(&self) -> anyhow::Result<Cluster> {
        let binary = klamm_binary()?;
        let turn = Turn::take();
        let folder = tempfile::Builder::new().prefix("klamm-cluster-").tempdir()?;
        let place = folder.path().join("start-0");
        let cluster = Cluster::new(self.prepare(&binary, &place)?, self.mount(&place)?);
        Ok(cluster.own(folder, turn))
    }

    fn places(&self) -> anyhow::Result<Vec<Place>> {
        let count = self.brokers + self.controllers;
        let ports = free_ports(count * 3)?;
        let ports = ports.chunks_exact(3).map(|ports| Ports {
            client: ports[0],
            controller: ports[1],
            http: ports[2],
        });
        let brokers = (1..).take(self.brokers).enumerate().map(|(at, id)| {
            let is_controller = self.controllers == 0 && at < COMBINED_VOTERS;
            (id, true, is_controller)
        });
        let controllers = (FIRST_CONTROLLER..).take(self.controllers).map(|id| (id, false, true));
        let places = brokers
            .chain(controllers)
            .zip(ports)
            .map(|((id, is_broker, is_controller), ports)| Place {
                id,
                is_broker,
                is_controller,
                ports,
            });
        Ok(places.collect())
    }

    fn prepare(&self, binary: &Path, folder: &Path) -> anyhow::Result<Vec<Node>> {
        let places = self.places()?;
        let quorum = self.quorum(&places);
        let mut nodes = Vec::new();
        for place in &places {
            let own = folder.join(place.id.to_string());
            let mut properties = vec![
                pair("node.id", place.id),
                quorum.clone(),
                pair("controller.listener.names", "CONTROLLER"),
                pair("log.dirs", self.log_dirs(place.id, &own)),
                pair("klamm.http.listener", format!("127.0.0.1:{}", place.ports.http)),
            ];
            properties.extend(self.roles(*place));
            properties.extend(replication(self.brokers));
            properties.extend(self.properties.iter().cloned());
            nodes.push(Node::prepare(
                place.id,
                (place.is_broker, place.is_controller),
                place.ports,
                binary,
                own,
                &last_wins(properties),
            )?);
        }
        Ok(nodes)
    }

    fn quorum(&self, places: &[Place]) -> (String, String) {
        let controllers = places.iter().filter(|place| place.is_controller);
        let list: Vec<String> = controllers
            .map(|place| match self.by_bootstrap_servers {
                true => format!("127.0.0.1:{}", place.ports.controller),
                false => format!("{}@127.0.0.1:{}", place.id, place.ports.controller),
            })
            .collect();
        let key = if self.by_bootstrap_servers {
            "controller.quorum.bootstrap.servers"
        } else {
            "controller.quorum.voters"
        };
        pair(key, list.join(","))
    }

    fn roles(&self, place: Place) -> Vec<(String, String)> {
        let clients = format!("PLAINTEXT://127.0.0.1:{}", place.ports.client);
        let controller = format!("CONTROLLER://127.0.0.1:{}", place.ports.controller);
        // Kafka's own file advertises the controller's listener, too.
        let advertised = |brokers: &str| match (self.by_bootstrap_servers, place.is_controller) {
            (true, true) if brokers.is_empty() => controller.clone(),
            (true, true) => format!("{brokers},{controller}"),
            _ => brokers.to_owned(),
        };
        match (place.is_broker, place.is_controller) {
            (true, true) => vec![
                pair("process.roles", "broker,controller"),
                pair("listeners", format!("{clients},{controller}")),
                pair("advertised.listeners", advertised(&clients)),
                pair("inter.broker.listener.name", "PLAINTEXT"),
            ],
            (true, false) => vec![
                pair("process.roles", "broker"),
                pair("listeners", &clients),
                pair("advertised.listeners", &clients),
                pair("inter.broker.listener.name", "PLAINTEXT"),
            ],
            _ => {
                let mut properties = vec![pair("process.roles", "controller"), pair("listeners", &controller)];
                let advertised = advertised("");
                if !advertised.is_empty() {
                    properties.push(pair("advertised.listeners", advertised));
                }
                properties
            }
        }
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
