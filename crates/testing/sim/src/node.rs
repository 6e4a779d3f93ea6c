//! One node: the same parts as the binary's, over the simulated disk, network and clock.

use std::path::PathBuf;
use std::sync::Arc;

use broker::{BlockingPool, Broker, BrokerContext, BrokerEnvironment, ClientStreams, NewUuid, whenever_closed};
use config::{Properties, ServerConfig};
use controller::raft::{LogIo, MetadataQuorum, QuorumConfig, RaftThreads, VoterAddress};
use controller::{Controller, ControllerConfig, RpcRaftTransport};
use metadata::control::{ControlDefaults, KafkaConfigRules};
use metadata::proto::Listener;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use rpc::{Network, PeerAddress, PeerIdentity, Services};
use storage::FileSystem;
use storage::testing::MemoryFileSystem;
use tokio::sync::watch;
use types::{BootId, BrokerId, Uuid};

use crate::entrance::{Entrance, OFFSETS_COMMIT_MS};
use crate::fabric::{BROKER_PORT, CONTROLLER_PORT, Fabric, NodeId, Process, host_name};
use crate::network::SimNetwork;
use crate::scope::Scope;

/// What a process is started with.
#[derive(Debug, Clone)]
pub(crate) struct Boot {
    pub(crate) node: NodeId,
    pub(crate) nodes: NodeId,
    pub(crate) seed: u64,
    pub(crate) boot_id: u64,
    /// Whether every acknowledgement waits for the disk.
    pub(crate) synced: bool,
}

/// What the world sees of a running node.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) quorum: Option<MetadataQuorum>,
    pub(crate) context: Option<Arc<BrokerContext>>,
    broker: Option<Arc<Broker>>,
    /// Where clients come in.
    pub(crate) entrance: Option<Arc<Entrance>>,
    /// Why the process ends by itself.
    pub(crate) failure: Option<String>,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) scope: Scope,
    pub(crate) parts: Arc<Mutex<Parts>>,
}

#[derive(Debug)]
struct SeededUuid(Mutex<StdRng>);

impl NewUuid for SeededUuid {
    fn new_uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.lock().fill_bytes(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Uuid::from_bytes(bytes)
    }
}

impl Node {
    /// Starts the process; it boots as the world runs it.
    pub(crate) fn start(
        boot: Boot,
        disk: MemoryFileSystem,
        gate: watch::Receiver<bool>,
        fabric: &Arc<Fabric>,
        now_ms: u64,
        skew_ms: i64,
    ) -> Result<Self, String> {
        let scope = Scope::start(boot.seed, now_ms, skew_ms).map_err(|error| error.to_string())?;
        let config = Arc::new(server_config(&boot)?);
        let process = Process {
            handle: scope.handle(),
            clock: scope.clock().clone(),
            controller: None,
            broker: None,
            entrance: None,
        };
        fabric.register(boot.node, process);
        let parts = Arc::new(Mutex::new(Parts::default()));
        let starting = Starting {
            network: Arc::new(SimNetwork::new(
                boot.node,
                scope.clock().clone(),
                scope.handle(),
                Arc::clone(fabric),
            )),
            clock: scope.clock().clone(),
            fabric: Arc::clone(fabric),
            disk: Arc::new(disk),
            gate,
            config,
            parts: Arc::clone(&parts),
            boot,
        };
        scope.handle().spawn(async move {
            let parts = Arc::clone(&starting.parts);
            if let Err(failure) = starting.run().await {
                fail(&parts, failure);
            }
        });
        Ok(Self { scope, parts })
    }
}

fn fail(parts: &Mutex<Parts>, failure: String) {
    parts.lock().failure.get_or_insert(failure);
}

fn server_config(boot: &Boot) -> Result<ServerConfig, String> {
    let voters: Vec<String> = (1..=boot.nodes)
        .map(|node| format!("{node}@{}:{CONTROLLER_PORT}", host_name(node)))
        .collect();
    let host = host_name(boot.node);
    let flush = if boot.synced {
        "log.flush.interval.messages=1\n"
    } else {
        ""
    };
    let text = format!(
        "process.roles=broker,controller\n\
         node.id={}\n\
         controller.quorum.voters={}\n\
         listeners=PLAINTEXT://{host}:{BROKER_PORT},CONTROLLER://{host}:{CONTROLLER_PORT}\n\
         advertised.listeners=PLAINTEXT://{host}:{BROKER_PORT}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs=/data\n\
         default.replication.factor=3\n\
         min.insync.replicas=2\n\
         replica.lag.time.max.ms=3000\n\
         leader.imbalance.check.interval.seconds=2\n\
         replica.high.watermark.checkpoint.interval.ms=700\n\
         log.flush.offset.checkpoint.interval.ms=900\n\
         offsets.topic.replication.factor=3\n\
         offsets.topic.num.partitions=2\n\
         offsets.commit.timeout.ms={OFFSETS_COMMIT_MS}\n\
         group.min.session.timeout.ms=1000\n\
         group.initial.rebalance.delay.ms=300\n{flush}",
        boot.node,
        voters.join(","),
    );
    ServerConfig::from_properties(&Properties::parse(&text))
        .map(|(config, _)| config)
        .map_err(|errors| errors.to_string())
}

struct Starting {
    boot: Boot,
    config: Arc<ServerConfig>,
    network: Arc<SimNetwork>,
    clock: crate::clock::SimClock,
    fabric: Arc<Fabric>,
    disk: Arc<dyn FileSystem>,
    gate: watch::Receiver<bool>,
    parts: Arc<Mutex<Parts>>,
}

impl Starting {
    async fn run(self) -> Result<(), String> {
        let identity = PeerIdentity::new(self.config.node_id, None);
        self.start_controller(&identity).await?;
        self.start_broker(&identity).await
    }

    fn voters(&self) -> Vec<VoterAddress> {
        (1..=self.boot.nodes)
            .map(|node| VoterAddress {
                node_id: Some(BrokerId(node)),
                host: host_name(node),
                port: CONTROLLER_PORT,
            })
            .collect()
    }

    fn network(&self) -> Arc<dyn Network> {
        Arc::clone(&self.network) as Arc<dyn Network>
    }

    async fn start_controller(&self, identity: &PeerIdentity) -> Result<(), String> {
        let config = &self.config;
        let mut quorum_config = QuorumConfig::new(
            config.node_id,
            host_name(self.boot.node),
            CONTROLLER_PORT,
            PathBuf::from("/data/__cluster_metadata-0"),
        );
        quorum_config.voters = self.voters();
        quorum_config.log_io = LogIo::Inline;
        quorum_config.threads = RaftThreads::Current;
        quorum_config.image_cache = None;
        quorum_config.seed = Some(self.boot.seed);
        quorum_config.snapshot_entries = 60;
        let transport = Arc::new(RpcRaftTransport::new(self.network(), identity.clone()));
        let quorum = MetadataQuorum::start(quorum_config, Arc::clone(&self.disk), transport)
            .await
            .map_err(|error| format!("quorum: {error}"))?;
        let (fatal, parts) = (quorum.clone(), Arc::clone(&self.parts));
        tokio::spawn(async move {
            let fatal = fatal.fatal().await;
            fail(&parts, format!("quorum: {fatal:?}"));
        });
        let mut cluster_id = quorum.cluster_id();
        let learnt = identity.clone();
        tokio::spawn(async move {
            if let Ok(known) = cluster_id.wait_for(Option::is_some).await
                && let Some(cluster) = &*known
            {
                let _ = learnt.learn_cluster(cluster);
            }
        });
        let controller_config = ControllerConfig {
            session_timeout: config.sessions.session_timeout,
            heartbeat_interval: config.sessions.heartbeat_interval,
            inter_broker_listener: config.listeners.inter_broker.clone(),
            defaults: ControlDefaults {
                num_partitions: config.topics.num_partitions,
                default_replication_factor: config.topics.default_replication_factor,
                min_insync_replicas: 2,
                ..ControlDefaults::default()
            },
            config_rules: Arc::new(KafkaConfigRules::new(config.defaults.clone())),
            rebalance_interval: config
                .replication
                .auto_leader_rebalance_enable
                .then_some(config.replication.leader_imbalance_check_interval),
            mutation_windows: config.controller_quotas,
            clock: Arc::new(self.clock.clone()),
            seed: self.boot.seed,
        };
        let controller = Controller::start(quorum.clone(), identity.clone(), self.network(), controller_config);
        self.parts.lock().quorum = Some(quorum);
        self.fabric.update(self.boot.node, |process| {
            process.controller = Some(Services {
                raft: Some(Arc::clone(&controller) as _),
                controller: Some(controller as _),
                replication: None,
            });
        });
        Ok(())
    }

    async fn start_broker(&self, identity: &PeerIdentity) -> Result<(), String> {
        let host = host_name(self.boot.node);
        let advertised = vec![Listener {
            name: self.config.listeners.inter_broker.clone(),
            host,
            port: u32::from(BROKER_PORT),
            security_protocol: 0,
        }];
        let controllers = self
            .voters()
            .iter()
            .map(|voter| PeerAddress::new(&voter.host, voter.port))
            .collect();
        let environment = BrokerEnvironment {
            config: Arc::clone(&self.config),
            file_system: Arc::clone(&self.disk),
            network: self.network(),
            identity: identity.clone(),
            clock: Arc::new(self.clock.clone()),
            boot_id: BootId(format!("boot-{}", self.boot.boot_id)),
            pool: BlockingPool::Gated(self.gate.clone()),
            new_uuid: Arc::new(SeededUuid(Mutex::new(StdRng::seed_from_u64(self.boot.seed)))),
            controllers,
            advertised,
            inter_broker_listener: self.config.listeners.inter_broker.clone(),
        };
        let (broker, session) = Broker::open(environment)
            .await
            .map_err(|error| format!("broker: {error}"))?;
        let broker = Arc::new(broker);
        let (mut faults, parts) = (broker.faults(), Arc::clone(&self.parts));
        tokio::spawn(async move {
            if let Ok(fault) = faults.wait_for(Option::is_some).await {
                fail(&parts, format!("broker: {fault:?}"));
            }
        });
        let entrance = Entrance::new(ClientStreams::new(broker.context()), self.clock.clone());
        {
            let mut parts = self.parts.lock();
            parts.entrance = Some(Arc::clone(&entrance));
            parts.context = Some(Arc::clone(broker.context()));
            parts.broker = Some(Arc::clone(&broker));
        }
        self.fabric.update(self.boot.node, |process| {
            process.broker = Some(Services {
                replication: Some(broker.replication()),
                ..Services::default()
            });
            process.entrance = Some(entrance);
        });
        let mut state = session.state();
        let quorum = self.parts.lock().quorum.clone();
        if let Some(quorum) = quorum {
            tokio::spawn(whenever_closed(state.clone(), move || {
                let quorum = quorum.clone();
                async move { quorum.suspect_leader().await }
            }));
        }
        tokio::spawn(session.run());
        let registered = state
            .wait_for(|state| state.broker_epoch.is_some() || state.rejected.is_some())
            .await
            .map(|state| state.broker_epoch)
            .map_err(|_| "the session ended".to_owned())?;
        if let Some(epoch) = registered {
            let cluster = identity.cluster_id();
            broker
                .on_registered(epoch, cluster)
                .await
                .map_err(|error| format!("broker: {error}"))?;
        }
        let rejected = state.wait_for(|state| state.rejected.is_some()).await;
        Err(format!("broker: rejected {:?}", rejected.map(|state| state.rejected)))
    }
}

impl Parts {
    /// The broker, for a controlled shutdown.
    pub(crate) fn broker(&self) -> Option<Arc<Broker>> {
        self.broker.clone()
    }
}
