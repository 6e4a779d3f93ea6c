//! A node put together from its roles: the metadata quorum and controller, the broker, the listeners.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use broker::{
    BlockingPool, Broker, BrokerEnvironment, BrokerServer, Clock, NewUuid, SessionState, SystemClock, whenever_closed,
};
use config::{Endpoint, ServerConfig};
use controller::raft::{LogIo, MetadataQuorum, QuorumConfig, RaftThreads, VoterAddress};
use controller::{Controller, ControllerConfig, RpcRaftTransport, WallClock};
use metadata::control::{ControlDefaults, KafkaConfigRules};
use metadata::proto::Listener;
use rpc::{ConnectionLimits, GrpcNetwork, GrpcServer, Network, PeerAddress, PeerIdentity, Services};
use storage::{FileSystem, RealFileSystem};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use types::{BootId, BrokerId, ClusterId, ErrorCode, Uuid};

use crate::directories;
use crate::http::{self, NodeHealth};

/// Controlled shutdown gives up after this: a leadership that nobody can take must not keep the process.
const CONTROLLED_SHUTDOWN: Duration = Duration::from_secs(20);
/// Without any controller for so long, nobody will move them.
const CONTROLLER_MISSING: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct RandomUuid;

impl NewUuid for RandomUuid {
    fn new_uuid(&self) -> Uuid {
        random_uuid()
    }
}

/// Version 4, variant 1.
fn random_uuid() -> Uuid {
    let bits: u128 = rand::random();
    Uuid::from_u128((bits & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62))
}

#[derive(Debug)]
struct ControllerClock;

impl WallClock for ControllerClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now().0
    }
}

/// A running node.
pub(crate) struct Node {
    quorum: Option<MetadataQuorum>,
    _controller: Option<Arc<Controller>>,
    broker: Option<RunningBroker>,
}

struct RunningBroker {
    broker: Broker,
    server: BrokerServer,
    session: watch::Receiver<SessionState>,
}

impl Node {
    /// Starts the roles. The health endpoint serves first, and tells why the node isn't ready: finding the quorum may take
    /// as long as the others do.
    pub(crate) async fn start(config: ServerConfig) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        let network: Arc<dyn Network> = Arc::new(GrpcNetwork::new());
        let file_system: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
        let health = NodeHealth::new(Arc::clone(&config));
        if let Some(endpoint) = &config.http_listener {
            http::serve(bind(&endpoint.host, endpoint.port).await?, Arc::clone(&health));
        }
        let registered = directories::registered_cluster(&config, file_system.as_ref())?;
        let known = config.cluster_id.clone().or_else(|| registered.clone());
        let identity = PeerIdentity::new(config.node_id, known);
        let mut node = Self {
            quorum: None,
            _controller: None,
            broker: None,
        };
        if config.roles.controller {
            let (quorum, controller) = start_controller(&config, registered, &identity, &network, &file_system).await?;
            health.set_controller(Arc::clone(&controller));
            node.quorum = Some(quorum);
            node._controller = Some(controller);
        }
        if config.roles.broker {
            let control = node.quorum.as_ref().map(MetadataQuorum::runtime);
            let running = start_broker(&config, &identity, &network, &file_system, control).await?;
            health.set_broker(Arc::clone(running.broker.context()));
            if let Some(quorum) = &node.quorum {
                let (quorum, session) = (quorum.clone(), running.session.clone());
                // Sooner than two missing heartbeats.
                tokio::spawn(whenever_closed(session, move || {
                    let quorum = quorum.clone();
                    async move { quorum.suspect_leader().await }
                }));
            }
            node.broker = Some(running);
            tokio::select! {
                fault = node.fault() => return Err(fault),
                registered = node.registered(&identity) => registered?,
            }
        }
        Ok(node)
    }

    /// Waits until the controller has committed the registration; the directories are of this incarnation then.
    async fn registered(&self, identity: &PeerIdentity) -> anyhow::Result<()> {
        let Some(running) = &self.broker else { return Ok(()) };
        let mut session = running.session.clone();
        let epoch = match session.wait_for(|state| state.broker_epoch.is_some()).await {
            Ok(state) => state.broker_epoch,
            // The session has ended, rejected: that is a fault, which says more.
            Err(_) => return std::future::pending().await,
        };
        if let Some(epoch) = epoch {
            running.broker.on_registered(epoch, identity.cluster_id()).await?;
        }
        Ok(())
    }

    /// Waits for a fault that this process can't go on with.
    pub(crate) async fn fault(&self) -> anyhow::Error {
        let quorum = async {
            match &self.quorum {
                Some(quorum) => anyhow!(quorum.fatal().await),
                None => std::future::pending().await,
            }
        };
        let broker = async {
            let Some(running) = &self.broker else {
                return std::future::pending().await;
            };
            let (mut faults, mut session) = (running.broker.faults(), running.session.clone());
            tokio::select! {
                fault = faults.wait_for(Option::is_some) => match fault.as_deref() {
                    Ok(Some(fault)) => anyhow!(fault.reason.clone()),
                    _ => anyhow!("the broker ended"),
                },
                state = session.wait_for(|state| state.rejected.is_some()) => match state.as_deref() {
                    Ok(state) => rejection(state, running.broker.context().host.local),
                    _ => anyhow!("the broker's session ended"),
                },
            }
        };
        tokio::select! {
            error = quorum => error,
            error = broker => error,
        }
    }

    /// Ends in good order: leaderships move first, then listeners close, then logs.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        if let Some(RunningBroker {
            broker,
            server,
            mut session,
        }) = self.broker
        {
            broker.begin_shutdown();
            if timeout(CONTROLLED_SHUTDOWN, leaderships_moved(&mut session)).await != Ok(true) {
                tracing::warn!("some leaderships could not be moved; stopping anyway");
            }
            server.stop().await;
            broker.close().await?;
        }
        if let Some(quorum) = self.quorum {
            quorum.resign().await;
            quorum.shutdown().await;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Waits for the controller's leave to stop. False when there is no controller to give it: all nodes stop at once, or
/// the quorum is gone.
async fn leaderships_moved(session: &mut watch::Receiver<SessionState>) -> bool {
    loop {
        let state = session.borrow_and_update().clone();
        if state.may_stop || state.rejected.is_some() || state.broker_epoch.is_none() {
            return true;
        }
        let changed = session.changed();
        let wait = if state.open {
            CONTROLLED_SHUTDOWN
        } else {
            CONTROLLER_MISSING
        };
        match timeout(wait, changed).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}

fn rejection(state: &SessionState, node: BrokerId) -> anyhow::Error {
    let said = state.rejection.as_deref().unwrap_or_default();
    let code = state.rejected.unwrap_or(ErrorCode::UnknownServerError);
    if code == ErrorCode::InconsistentClusterId {
        return anyhow!("the controller rejects this broker: {code}: {said}");
    }
    anyhow!(
        "the controller rejects this broker: {code}: {said}. Another process runs with node.id={node}: give each its own, or \
         stop one of them"
    )
}

async fn start_controller(
    config: &Arc<ServerConfig>,
    registered: Option<ClusterId>,
    identity: &PeerIdentity,
    network: &Arc<dyn Network>,
    file_system: &Arc<dyn FileSystem>,
) -> anyhow::Result<(MetadataQuorum, Arc<Controller>)> {
    let own = config
        .listeners
        .controller
        .first()
        .context("a controller needs a controller listener")?;
    // Reachable before the others are asked: each waits until all have answered.
    let mut bound = Vec::new();
    for listener in &config.listeners.controller {
        bound.push(
            bind(&listener.endpoint.host, listener.endpoint.port)
                .await?
                .into_std()?,
        );
    }
    let address = own_controller_address(config, &own.endpoint);
    let mut quorum_config = QuorumConfig::new(
        config.node_id,
        address.host.clone(),
        address.port,
        config.metadata_log_dir.join("__cluster_metadata-0"),
    );
    quorum_config.cluster_id.clone_from(&config.cluster_id);
    quorum_config.registered_in = registered;
    quorum_config.snapshot_bytes = config.quorum.snapshot_after_bytes;
    quorum_config.voters = voters(config);
    quorum_config.auto_join = config.quorum.auto_join;
    quorum_config.log_io = LogIo::Thread;
    quorum_config.threads = RaftThreads::Own;
    let transport = Arc::new(RpcRaftTransport::new(Arc::clone(network), identity.clone()));
    let quorum = MetadataQuorum::start(quorum_config, Arc::clone(file_system), transport).await?;
    directories::write_quorum_identity(config, file_system.as_ref(), quorum.directory_id(), None)?;
    if !config.roles.broker || !config.log_dirs.contains(&config.metadata_log_dir) {
        write_cluster_id(config, file_system, &quorum);
    }
    let controller_config = ControllerConfig {
        session_timeout: config.sessions.session_timeout,
        heartbeat_interval: config.sessions.heartbeat_interval,
        inter_broker_listener: config.listeners.inter_broker.clone(),
        defaults: ControlDefaults {
            num_partitions: config.topics.num_partitions,
            default_replication_factor: config.topics.default_replication_factor,
            min_insync_replicas: config
                .defaults
                .get("min.insync.replicas")
                .and_then(|value| value.parse().ok())
                .unwrap_or(1),
            unclean_leader_election_enable: config.defaults.get("unclean.leader.election.enable") == Some("true"),
            ..ControlDefaults::default()
        },
        config_rules: Arc::new(KafkaConfigRules::new(config.defaults.clone())),
        rebalance_interval: config
            .replication
            .auto_leader_rebalance_enable
            .then_some(config.replication.leader_imbalance_check_interval),
        mutation_windows: config.controller_quotas,
        clock: Arc::new(ControllerClock),
        seed: rand::random(),
    };
    // A count of its own, as in Kafka: a broker's clients don't keep the quorum's members out.
    let connections = ConnectionLimits::new(config.network.max_connections, config.network.max_connections_per_ip);
    let (network, identity) = (Arc::clone(network), identity.clone());
    let (started, learnt) = (quorum.clone(), identity.clone());
    let controller = quorum
        .runtime()
        .spawn(async move {
            let mut cluster_id = started.cluster_id();
            tokio::spawn(async move {
                // Peers of another cluster are refused as soon as this one is known.
                if let Ok(known) = cluster_id.wait_for(Option::is_some).await
                    && let Some(cluster) = &*known
                {
                    let _ = learnt.learn_cluster(cluster);
                }
            });
            let controller = Controller::start(started, identity, network, controller_config);
            let server = GrpcServer::start(Services {
                raft: Some(Arc::clone(&controller) as _),
                controller: Some(Arc::clone(&controller) as _),
                replication: None,
            });
            for listener in bound {
                let listener = TcpListener::from_std(listener)?;
                tokio::spawn(accept_internal(listener, server.clone(), Arc::clone(&connections)));
            }
            std::io::Result::Ok(controller)
        })
        .await??;
    Ok((quorum, controller))
}

/// Beside the metadata log, once it is known. The broker does it in its own directories.
fn write_cluster_id(config: &Arc<ServerConfig>, file_system: &Arc<dyn FileSystem>, quorum: &MetadataQuorum) {
    let (config, files, directory) = (Arc::clone(config), Arc::clone(file_system), quorum.directory_id());
    let mut cluster_id = quorum.cluster_id();
    tokio::spawn(async move {
        let Ok(cluster) = cluster_id.wait_for(Option::is_some).await.map(|known| known.clone()) else {
            return;
        };
        let written = directories::write_quorum_identity(&config, files.as_ref(), directory, cluster.as_ref());
        if let Err(error) = written {
            tracing::error!(%error, "the cluster's id could not be written beside the metadata log");
        }
    });
}

async fn accept_internal(listener: TcpListener, server: GrpcServer, connections: Arc<ConnectionLimits>) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => match connections.open(address.ip().to_canonical()) {
                Ok(slot) => {
                    let server = server.clone();
                    // One that doesn't say what it speaks mustn't hold up the others.
                    tokio::spawn(async move { server.serve(stream, slot).await });
                }
                Err(limit) => tracing::warn!(%address, limit, "a connection to the controller was refused"),
            },
            Err(error) => {
                // Out of files, mostly: accepting again at once would spin.
                tracing::warn!(%error, "could not accept a connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn start_broker(
    config: &Arc<ServerConfig>,
    identity: &PeerIdentity,
    network: &Arc<dyn Network>,
    file_system: &Arc<dyn FileSystem>,
    control: Option<tokio::runtime::Handle>,
) -> anyhow::Result<RunningBroker> {
    let mut listeners = Vec::new();
    for listener in &config.listeners.broker {
        listeners.push((
            listener.name.clone(),
            bind(&listener.endpoint.host, listener.endpoint.port).await?,
        ));
    }
    let advertised = config
        .listeners
        .advertised
        .iter()
        .map(|listener| Listener {
            name: listener.name.clone(),
            host: advertised_host(&listener.endpoint.host),
            port: u32::from(listener.endpoint.port),
            security_protocol: 0,
        })
        .collect();
    let controllers = voters(config)
        .iter()
        .map(|voter| PeerAddress::new(&voter.host, voter.port))
        .collect();
    let environment = BrokerEnvironment {
        config: Arc::clone(config),
        file_system: Arc::clone(file_system),
        network: Arc::clone(network),
        identity: identity.clone(),
        clock: Arc::new(SystemClock),
        boot_id: boot_id(),
        pool: BlockingPool::threads(),
        new_uuid: Arc::new(RandomUuid),
        controllers,
        advertised,
        inter_broker_listener: config.listeners.inter_broker.clone(),
    };
    let (broker, session) = Broker::open(environment).await?;
    let internal = GrpcServer::start(Services {
        replication: Some(broker.replication()),
        ..Services::default()
    });
    let server = BrokerServer::start(
        Arc::clone(broker.context()),
        listeners,
        &config.listeners.inter_broker,
        &internal,
    );
    let state = session.state();
    match control {
        Some(control) => drop(control.spawn(session.run())),
        None => drop(tokio::spawn(session.run())),
    }
    Ok(RunningBroker {
        broker,
        server,
        session: state,
    })
}

/// The controllers that the configuration names.
fn voters(config: &ServerConfig) -> Vec<VoterAddress> {
    let listed = config.quorum.voters.iter().map(|voter| VoterAddress {
        node_id: Some(voter.id),
        host: voter.endpoint.host.clone(),
        port: voter.endpoint.port,
    });
    let servers = config.quorum.bootstrap_servers.iter().map(|server| VoterAddress {
        node_id: None,
        host: server.host.clone(),
        port: server.port,
    });
    listed.chain(servers).collect()
}

/// Where the others reach this controller: as the list of voters says, else as advertised, else as it listens; without a
/// host that can be dialled, by the machine's name, as in Kafka.
fn own_controller_address(config: &ServerConfig, listens: &Endpoint) -> Endpoint {
    let listed = config.quorum.voters.iter().find(|voter| voter.id == config.node_id);
    if let Some(voter) = listed {
        return voter.endpoint.clone();
    }
    let advertised = config.listeners.advertised_controller.first();
    let own = advertised.map_or(listens, |own| &own.endpoint);
    let host = if own.is_unroutable() { "" } else { own.host.as_str() };
    Endpoint {
        host: advertised_host(host),
        port: own.port,
    }
}

async fn bind(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    TcpListener::bind((host, port))
        .await
        .with_context(|| format!("can't listen on {host}:{port}"))
}

/// A listener without a host is advertised under the machine's name, as in Kafka.
fn advertised_host(host: &str) -> String {
    if host.is_empty() {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        host.to_owned()
    }
}

/// Unsynced writes survive a process, not a boot. Tests set the id to play a power cut.
fn boot_id() -> BootId {
    #[expect(clippy::disallowed_methods, reason = "the binary is where the environment is read")]
    let given = std::env::var("KLAMM_BOOT_ID").ok();
    let read = || std::fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).ok();
    // Without a boot id every start counts as after a power cut: safe, and slow.
    let id = given.or_else(read).unwrap_or_else(|| random_uuid().to_string());
    BootId(id.trim().to_owned())
}
