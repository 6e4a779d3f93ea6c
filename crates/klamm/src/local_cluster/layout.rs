//! Where the nodes of a cluster on this machine are reached.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// What is kept beside the data.
const FILE: &str = "ports.json";

/// Where the nodes are reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) nodes: Vec<NodePlace>,
}

/// Where one node is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodePlace {
    /// Its address.
    #[serde(default = "loopback")]
    pub(crate) host: Ipv4Addr,
    pub(crate) client: u16,
    pub(crate) controller: u16,
    pub(crate) http: u16,
    /// The network namespace that it runs in, if not this process's own.
    #[serde(skip)]
    pub(crate) namespace: Option<String>,
}

fn loopback() -> Ipv4Addr {
    Ipv4Addr::LOCALHOST
}

/// Which ports a new cluster shall have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PortChoice {
    /// This one and those after it.
    From(u16),
    /// The same if they are free, else any.
    Preferred(u16),
    /// Any.
    Free,
}

impl Layout {
    /// The layout of this data directory's cluster: the one it had, else a new one.
    pub(crate) fn of(data: &Path, count: u16, choice: PortChoice) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        if let Ok(text) = fs::read_to_string(&path) {
            let layout: Self = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
            layout.check(data, count)?;
            return Ok(layout);
        }
        let layout = Self {
            nodes: new_places(count, choice)?,
        };
        fs::write(&path, serde_json::to_string_pretty(&layout)?)
            .with_context(|| format!("can't write {}", path.display()))?;
        Ok(layout)
    }

    /// The nodes' client addresses.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| format!("{}:{}", node.host, node.client))
            .collect()
    }

    fn check(&self, data: &Path, count: u16) -> anyhow::Result<()> {
        if self.nodes.len() != usize::from(count) {
            bail!(
                "{} holds a cluster of {} nodes: start it with --nodes {}, or give another --data",
                data.display(),
                self.nodes.len(),
                self.nodes.len()
            );
        }
        for port in self.nodes.iter().flat_map(NodePlace::ports) {
            if !is_free(port) {
                bail!("port {port} is taken: does this cluster run already?");
            }
        }
        Ok(())
    }
}

impl NodePlace {
    fn new(client: u16, controller: u16, http: u16) -> Self {
        Self {
            host: loopback(),
            client,
            controller,
            http,
            namespace: None,
        }
    }

    fn ports(&self) -> [u16; 3] {
        [self.client, self.controller, self.http]
    }
}

fn new_places(count: u16, choice: PortChoice) -> anyhow::Result<Vec<NodePlace>> {
    let wanted = match choice {
        PortChoice::From(port) | PortChoice::Preferred(port) => port,
        PortChoice::Free => return free_places(count),
    };
    let fixed: Vec<NodePlace> = (0..count)
        .map(|at| {
            NodePlace::new(
                wanted.saturating_add(at),
                wanted.saturating_add(1_000 + at),
                wanted.saturating_add(2_000 + at),
            )
        })
        .collect();
    if fixed.iter().flat_map(NodePlace::ports).all(is_free) {
        return Ok(fixed);
    }
    match choice {
        PortChoice::Preferred(_) | PortChoice::Free => free_places(count),
        PortChoice::From(_) => bail!(
            "not all of the ports {wanted}, {}, {} and the {count} after each are free",
            wanted.saturating_add(1_000),
            wanted.saturating_add(2_000)
        ),
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Below the range from which the kernel takes clients' ports: a node that restarts must find its port free.
fn free_places(count: u16) -> anyhow::Result<Vec<NodePlace>> {
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    let mut free = (start..32_000).chain(15_000..start).filter(|port| is_free(*port));
    let mut next = || free.next().context("no free ports between 15000 and 32000");
    (0..count)
        .map(|_| Ok(NodePlace::new(next()?, next()?, next()?)))
        .collect()
}
