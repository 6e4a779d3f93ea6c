//! A network of the nodes' own: each in a namespace, with one link to a bridge, which stands in a namespace, too. Links are cut
//! there, and packets dropped, without touching anybody else's network.
//!
//! ```text
//! node 1 ── eth0 198.18.x.1 ──┐
//! node 2 ── eth0 198.18.x.2 ──┤ bridge (namespace hub) ── 198.18.x.254, this process
//! node 3 ── eth0 198.18.x.3 ──┘
//! ```
//!
//! The addresses are those that are set aside for such things (RFC 2544). Needs root, `ip`, `nsenter` and `iptables`.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::fault::Cut;
use crate::local_cluster::{Layout, NodePlace, run_command};

/// The nodes' ports: nobody else is in their namespaces.
const CLIENT_PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;
const HTTP_PORT: u16 = 9644;
/// The last part of this process's address.
const OWN_HOST: u8 = 254;

/// The namespaces. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct Network {
    /// Begins the names of everything that is made.
    tag: String,
    subnet: [u8; 3],
    nodes: u8,
}

impl Network {
    /// Makes a network for nodes 1 to `nodes`.
    ///
    /// # Errors
    /// It can't be made here; says what is needed.
    pub(crate) fn create(nodes: u8) -> Result<Self> {
        let id = std::process::id();
        let network = Self {
            tag: format!("kv{id}"),
            // 198.18.0.0/15: two times 256 networks, so that runs side by side seldom meet.
            subnet: [198, 18 + u8::from(id % 2 == 1), (id / 2 % 256) as u8],
            nodes,
        };
        network.build().context(
            "cuts of the network need namespaces: run as root on Linux, with `ip` (iproute2) and `iptables`; \
             or leave `partition` out of --chaos",
        )?;
        Ok(network)
    }

    /// Where the nodes are reached.
    pub(crate) fn layout(&self) -> Layout {
        let place = |id| NodePlace {
            host: self.address(id),
            client: CLIENT_PORT,
            controller: CONTROLLER_PORT,
            http: HTTP_PORT,
            namespace: Some(self.namespace(id)),
        };
        Layout {
            nodes: (1..=self.nodes).map(place).collect(),
        }
    }

    /// Parts a node.
    pub(crate) fn cut(&self, node: i32, cut: Cut) -> Result<()> {
        let node = self.number(node)?;
        match cut {
            Cut::All => ip(&["-n", &self.hub(), "link", "set", &port(node), "down"]),
            Cut::Peers => (1..=self.nodes)
                .filter(|peer| *peer != node)
                .try_for_each(|peer| self.drop_both_ways(node, peer)),
            Cut::Link(peer) => self.drop_both_ways(node, self.number(peer)?),
            Cut::Hears(peer) => self.iptables(
                node,
                &["-A", "INPUT", "-s", &self.text(self.number(peer)?), "-j", "DROP"],
            ),
        }
    }

    /// Takes all cuts of a node back.
    pub(crate) fn heal(&self, node: i32) -> Result<()> {
        let node = self.number(node)?;
        ip(&["-n", &self.hub(), "link", "set", &port(node), "up"])?;
        self.iptables(node, &["-F"])
    }

    /// Both rules stand in this node's namespace, so that healing it heals the link.
    fn drop_both_ways(&self, node: u8, peer: u8) -> Result<()> {
        self.iptables(node, &["-A", "INPUT", "-s", &self.text(peer), "-j", "DROP"])?;
        self.iptables(node, &["-A", "OUTPUT", "-d", &self.text(peer), "-j", "DROP"])
    }

    fn build(&self) -> Result<()> {
        let hub = self.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "bridge", "up"])?;
        for node in 1..=self.nodes {
            let (name, port) = (self.namespace(node), port(node));
            ip(&["netns", "add", &name])?;
            ip(&[
                "-n", &name, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &hub,
            ])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"])?;
            ip(&[
                "-n",
                &name,
                "addr",
                "add",
                &format!("{}/24", self.text(node)),
                "dev",
                "eth0",
            ])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            self.iptables(node, &["-L", "-n"])?;
        }
        let own = self.tag.as_str();
        ip(&[
            "link", "add", own, "type", "veth", "peer", "name", "outside", "netns", &hub,
        ])?;
        ip(&["-n", &hub, "link", "set", "outside", "master", "bridge", "up"])?;
        ip(&["addr", "add", &format!("{}/24", self.text(OWN_HOST)), "dev", own])?;
        ip(&["link", "set", own, "up"])
    }

    fn iptables(&self, node: u8, arguments: &[&str]) -> Result<()> {
        run_command(
            Command::new("ip")
                .args(["netns", "exec", &self.namespace(node), "iptables", "-w"])
                .args(arguments),
        )
    }

    fn number(&self, node: i32) -> Result<u8> {
        u8::try_from(node)
            .ok()
            .filter(|node| (1..=self.nodes).contains(node))
            .with_context(|| format!("no node {node} in the network"))
    }

    fn hub(&self) -> String {
        format!("{}hub", self.tag)
    }

    fn namespace(&self, node: u8) -> String {
        format!("{}n{node}", self.tag)
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        let [a, b, c] = self.subnet;
        Ipv4Addr::new(a, b, c, host)
    }

    fn text(&self, host: u8) -> String {
        self.address(host).to_string()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // With a namespace its end of each link goes, and with it the other end. What was never made can't be removed.
        for node in 1..=self.nodes {
            let _ = ip(&["netns", "del", &self.namespace(node)]);
        }
        let _ = ip(&["link", "del", &self.tag]);
        let _ = ip(&["netns", "del", &self.hub()]);
    }
}

/// The bridge's end of a node's link.
fn port(node: u8) -> String {
    format!("p{node}")
}

fn ip(arguments: &[&str]) -> Result<()> {
    run_command(Command::new("ip").args(arguments))
}
