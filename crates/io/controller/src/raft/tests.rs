//! Whole quorums in one process: an in-memory network, disks in memory whose power can be cut, and paused time.

mod cluster;
mod recovery;
mod strangers;
mod voters;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use metadata::proto::{FeatureLevel, MetadataRecord, metadata_record};
use parking_lot::Mutex;
use prost::Message;
use storage::testing::MemoryFileSystem;
use types::{BrokerId, DirectoryId, MetadataOffset};

use super::*;

/// Who listens where, and which ways are cut.
#[derive(Debug, Default)]
struct Hub {
    listening: Mutex<BTreeMap<u16, MetadataQuorum>>,
    /// Hosts that fell silent: neither refuse nor answer.
    silent: Mutex<BTreeSet<u16>>,
    /// Processes that aren't ours.
    strangers: Mutex<BTreeMap<u16, Stranger>>,
}

/// Answers as it likes; `None`: not at all.
#[derive(Clone)]
struct Stranger(Arc<dyn Fn(proto::RaftRequest) -> Option<proto::RaftResponse> + Send + Sync>);

impl std::fmt::Debug for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stranger")
    }
}

#[derive(Debug)]
struct Link {
    hub: Arc<Hub>,
    from: u16,
}

impl Link {
    fn is_cut(&self, to: u16) -> bool {
        let silent = self.hub.silent.lock();
        silent.contains(&to) || silent.contains(&self.from)
    }
}

#[async_trait]
impl RaftTransport for Link {
    async fn call(&self, to: &VoterAddress, request: Bytes, deadline: Duration) -> Result<Bytes, TransportError> {
        let exchange = async {
            // A call takes a while, so that time passes and others get their turn.
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.is_cut(to.port) {
                std::future::pending::<()>().await;
            }
            let stranger = self.hub.strangers.lock().get(&to.port).cloned();
            if let Some(Stranger(answer)) = stranger {
                return match answer(proto::RaftRequest::decode(request).unwrap()) {
                    Some(response) => Ok(response.encode_to_vec().into()),
                    None => std::future::pending().await,
                };
            }
            let peer = self.hub.listening.lock().get(&to.port).cloned();
            let Some(peer) = peer else {
                return Err(TransportError::Unreachable("connection refused".to_owned()));
            };
            let response = peer.handle(request).await;
            if self.is_cut(to.port) {
                std::future::pending::<()>().await;
            }
            Ok(response)
        };
        tokio::time::timeout(deadline, exchange)
            .await
            .unwrap_or(Err(TransportError::Timeout))
    }

    async fn dial(&self, to: &VoterAddress) -> DialOutcome {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.is_cut(to.port) {
            DialOutcome::Silent
        } else if self.hub.listening.lock().contains_key(&to.port) {
            DialOutcome::Accepted
        } else {
            DialOutcome::Refused
        }
    }
}

/// Some quorum members, their disks, and the network between them.
struct Cluster {
    hub: Arc<Hub>,
    voters: Vec<VoterAddress>,
    disks: BTreeMap<i32, MemoryFileSystem>,
    starts: u64,
    change: fn(&mut QuorumConfig),
}

fn address(node: i32) -> VoterAddress {
    VoterAddress {
        node_id: Some(BrokerId(node)),
        host: "test".to_owned(),
        port: port(node),
    }
}

fn port(node: i32) -> u16 {
    u16::try_from(9000 + node).unwrap()
}

fn feature(name: &str, level: i32) -> MetadataRecord {
    let level = FeatureLevel {
        name: name.to_owned(),
        level,
    };
    MetadataRecord {
        record: Some(metadata_record::Record::FeatureLevel(level)),
    }
}

impl Cluster {
    fn new(nodes: i32) -> Self {
        Self {
            hub: Arc::default(),
            voters: (1..=nodes).map(address).collect(),
            disks: BTreeMap::new(),
            starts: 0,
            change: |_| {},
        }
    }

    async fn started(nodes: i32) -> Self {
        let mut cluster = Self::new(nodes);
        for node in 1..=nodes {
            cluster.start(node).await.unwrap();
        }
        cluster
    }

    fn config(&mut self, node: i32) -> QuorumConfig {
        self.starts += 1;
        let mut config = QuorumConfig::new(BrokerId(node), "test", port(node), PathBuf::from("/metadata"));
        config.voters.clone_from(&self.voters);
        config.log_io = LogIo::Inline;
        config.threads = RaftThreads::Current;
        config.image_cache = None;
        config.seed = Some(self.starts);
        (self.change)(&mut config);
        config
    }

    async fn start(&mut self, node: i32) -> Result<MetadataQuorum, QuorumError> {
        let config = self.config(node);
        let disk = self.disks.entry(node).or_default().clone();
        let transport = Arc::new(Link {
            hub: Arc::clone(&self.hub),
            from: port(node),
        });
        let quorum = MetadataQuorum::start(config, Arc::new(disk), transport).await?;
        self.hub.listening.lock().insert(port(node), quorum.clone());
        Ok(quorum)
    }

    /// kill -9: the port refuses at once, everything written stays.
    async fn kill(&mut self, node: i32) {
        let quorum = self.hub.listening.lock().remove(&port(node)).unwrap();
        self.disks[&node].kill();
        quorum.kill().await;
    }

    async fn power_cut(&mut self, node: i32, seed: u64) {
        let quorum = self.hub.listening.lock().remove(&port(node)).unwrap();
        self.disks[&node].power_cut(seed);
        quorum.kill().await;
    }

    fn wipe(&mut self, node: i32) {
        self.disks.insert(node, MemoryFileSystem::new());
    }

    fn node(&self, node: i32) -> MetadataQuorum {
        self.hub.listening.lock().get(&port(node)).cloned().unwrap()
    }

    fn running(&self) -> Vec<MetadataQuorum> {
        self.hub.listening.lock().values().cloned().collect()
    }

    /// Waits for an active controller among the running nodes that aren't silent.
    async fn active(&self) -> MetadataQuorum {
        let silent = self.hub.silent.lock().clone();
        let candidates: Vec<MetadataQuorum> = self
            .hub
            .listening
            .lock()
            .iter()
            .filter(|(port, _)| !silent.contains(port))
            .map(|(_, quorum)| quorum.clone())
            .collect();
        eventually("an active controller", || {
            candidates
                .iter()
                .find(|quorum| quorum.leadership().borrow().active)
                .cloned()
        })
        .await
    }

    /// Writes one record through the active controller, as the writer does.
    async fn write(&self, name: &str) -> MetadataOffset {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let quorum = self.active().await;
            let term = quorum.leadership().borrow().term;
            let offset = quorum.images().borrow().offset;
            match quorum.write(term, offset, &[feature(name, 1)]).await {
                Ok(offset) => return offset,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "not written in time: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every running node has the same image, at least at `offset`.
    async fn agree(&self, offset: MetadataOffset) {
        let running = self.running();
        eventually("equal images", || {
            let images: Vec<_> = running
                .iter()
                .map(|quorum| Arc::clone(&quorum.images().borrow()))
                .collect();
            let first = &images[0];
            (first.offset >= offset && images.iter().all(|other| other.image == first.image)).then_some(())
        })
        .await;
    }
}

/// Waits for a condition, a minute of the test's time at most.
async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6000 {
        if let Some(found) = condition() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not in time");
}
