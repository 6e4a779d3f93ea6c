//! A broker put together: from its log directories to a running session. The binary and the simulator start the same one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};

use arc_swap::ArcSwap;
use config::ServerConfig;
use metadata::MetadataImage;
use metadata::proto::{Listener, PartitionId, RegisterBrokerRequest};
use rpc::{Network, PeerAddress, PeerIdentity, ReplicationService};
use storage::{FileSystem, TailBudget};
use tokio::sync::{Notify, mpsc, watch};
use types::{BootId, BrokerEpoch, ClusterId};

use crate::apis::ApiState;
use crate::blocking::BlockingPool;
use crate::cleaner;
use crate::client_quotas::ClientQuotas;
use crate::client_telemetry::ClientTelemetry;
use crate::clock::Clock;
use crate::context::{BrokerContext, NewUuid};
use crate::controller_client::ControllerClient;
use crate::coordinator::GroupCoordinator;
use crate::directory_watch;
use crate::fault::{Fault, FaultSink};
use crate::log_manager::{FoundLogs, LogManager};
use crate::log_manager_error::LogManagerError;
use crate::maintenance::{self, BackgroundQueues};
use crate::metadata::{BrokerIdentity, BrokerSession, ImageListener, MetadataPublisher, SessionLease, SessionState};
use crate::metrics::BrokerMetrics;
use crate::partition::PartitionHost;
use crate::peers::Peers;
use crate::replica_manager::ReplicaManager;
use crate::replication::isr_reporter::report_isr_changes;
use crate::replication::{ReplicaFetchers, ReplicationServer};

/// Partitions that may wait for the ISR reporter; those beyond are found by its next round.
const PROPOSALS_DEPTH: usize = 16_384;
/// Partitions that may wait for a sync.
const FLUSHES_DEPTH: usize = 16_384;
/// Deletions that may wait for their delay.
const DELETIONS_DEPTH: usize = 16_384;
/// Just appended batches that all logs together keep in memory. Sixty-four busy partitions keep all they may; with thousands, followers
/// read from the page cache.
const TAILS_BYTES: usize = 64 << 20;

/// A dead incarnation's session ends after one session timeout: one that outlives so many is another process.
const DUPLICATE_SESSIONS: u32 = 3;

/// What a broker takes from outside.
#[derive(Debug)]
pub struct BrokerEnvironment {
    /// The node's configuration.
    pub config: Arc<ServerConfig>,
    /// The disk.
    pub file_system: Arc<dyn FileSystem>,
    /// The way to other nodes.
    pub network: Arc<dyn Network>,
    /// This node to its peers.
    pub identity: PeerIdentity,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// This boot of the operating system.
    pub boot_id: BootId,
    /// Where blocking work runs.
    pub pool: BlockingPool,
    /// Random ids.
    pub new_uuid: Arc<dyn NewUuid>,
    /// The controllers that the configuration names.
    pub controllers: Vec<PeerAddress>,
    /// Where clients and brokers reach this one, as advertised.
    pub advertised: Vec<Listener>,
    /// Which of them other brokers dial.
    pub inter_broker_listener: String,
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    context: Arc<BrokerContext>,
    logs: Arc<LogManager>,
    replication: Arc<ReplicationServer>,
    session: watch::Receiver<SessionState>,
    shutdown: watch::Sender<bool>,
    faults: watch::Receiver<Option<Fault>>,
    boot_id: BootId,
}

impl Broker {
    /// Opens the log directories (recovering what isn't clean), then starts everything but the session and the listeners.
    ///
    /// # Errors
    /// When a directory or log can't be used.
    pub async fn open(environment: BrokerEnvironment) -> Result<(Self, BrokerSession), LogManagerError> {
        let BrokerEnvironment {
            config,
            network,
            identity,
            clock,
            boot_id,
            pool,
            new_uuid,
            ..
        } = &environment;
        let paths: Vec<PathBuf> = config.log_dirs.clone();
        let (file_system, node, uuids) = (
            Arc::clone(&environment.file_system),
            config.node_id,
            Arc::clone(new_uuid),
        );
        let metadata = config.roles.controller.then(|| config.metadata_log_dir.clone());
        let (boot, now) = (boot_id.clone(), clock.now());
        let opened = pool
            .run(move || {
                let logs = LogManager::open(&file_system, &paths, metadata.as_deref(), node, &mut || {
                    uuids.new_uuid()
                })?;
                let found = logs.load(&boot, now)?;
                Ok::<_, LogManagerError>((logs, found))
            })
            .await;
        let (logs, found) = match opened {
            Some(opened) => opened?,
            None => (
                LogManager::open(&environment.file_system, &[], None, node, &mut || new_uuid.new_uuid())?,
                FoundLogs::default(),
            ),
        };
        if let Some(cluster) = config.cluster_id.clone().or_else(|| identity.cluster_id()) {
            logs.join_cluster(&cluster)?;
        } else if let Some(cluster) = logs.cluster_id()? {
            let _ = identity.learn_cluster(&cluster);
        }
        let logs = Arc::new(logs);
        let registration = registration(&environment, &logs, &found);
        let (proposals, proposals_rx) = mpsc::channel(PROPOSALS_DEPTH);
        let (flushes, flushes_rx) = mpsc::channel(FLUSHES_DEPTH);
        let (deletions, deletions_rx) = mpsc::channel(DELETIONS_DEPTH);
        let (faults, faults_rx) = FaultSink::new();
        let host = Arc::new(PartitionHost {
            local: node,
            broker_epoch: AtomicI64::new(BrokerEpoch::NONE.0),
            clock: Arc::clone(clock),
            image: ArcSwap::from_pointee(MetadataImage::new()),
            peers: Peers::default(),
            lag_time_max_ms: i64::try_from(config.replication.replica_lag_time_max.as_millis()).unwrap_or(i64::MAX),
            proposals,
            proposals_overflowed: AtomicBool::new(false),
            flushes,
            deletions,
            hurry: Notify::new(),
            lease: SessionLease::default(),
            tails: TailBudget::new(TAILS_BYTES),
            writing: AtomicUsize::new(0),
            metrics: Arc::new(BrokerMetrics::new()),
        });
        let fetchers = ReplicaFetchers::new(
            Arc::clone(&host),
            Arc::clone(network),
            identity.clone(),
            environment.inter_broker_listener.clone(),
        );
        let found_logs: HashMap<_, _> = found.logs;
        let replicas = ReplicaManager::new(
            Arc::clone(&host),
            Arc::clone(&logs),
            fetchers,
            config.defaults.clone(),
            pool.clone(),
            found_logs,
        );
        let controllers = Arc::new(ControllerClient::new(
            Arc::clone(network),
            identity.clone(),
            Arc::clone(&host),
            environment.controllers.clone(),
        ));
        let groups = GroupCoordinator::new(Arc::clone(&replicas), &config.groups);
        let listeners: Vec<Arc<dyn ImageListener>> = vec![Arc::clone(&groups) as _];
        let publisher = Arc::new(MetadataPublisher::new(Arc::clone(&replicas), listeners));
        directory_watch::start(&replicas, faults);
        cleaner::start(&replicas, config);
        maintenance::start(
            &replicas,
            config,
            BackgroundQueues {
                flushes: flushes_rx,
                deletions: deletions_rx,
            },
        );
        tokio::spawn(report_isr_changes(
            Arc::clone(&replicas),
            Arc::clone(&controllers),
            proposals_rx,
        ));
        let (shutdown, shutdown_rx) = watch::channel(false);
        let session = BrokerSession::new(
            Arc::clone(network),
            identity.clone(),
            Arc::clone(&controllers),
            BrokerIdentity {
                registration,
                duplicate_wait: config.sessions.session_timeout * DUPLICATE_SESSIONS,
            },
            Arc::clone(&publisher),
            shutdown_rx,
        );
        let replication = Arc::new(ReplicationServer::new(Arc::clone(&replicas), identity.clone()));
        let push_bytes = config.network.telemetry_max_bytes as usize;
        let telemetry = ClientTelemetry::new(push_bytes, Arc::clone(&host.clock), replicas.pool().clone());
        let context = Arc::new(BrokerContext {
            config: Arc::clone(config),
            host,
            replicas,
            controllers,
            publisher,
            session: session.state(),
            apis: ApiState::new(&config.network),
            quotas: ClientQuotas::new(config.quotas),
            telemetry,
            groups,
            new_uuid: Arc::clone(new_uuid),
        });
        let broker = Self {
            context,
            logs,
            replication,
            session: session.state(),
            shutdown,
            faults: faults_rx,
            boot_id: environment.boot_id.clone(),
        };
        Ok((broker, session))
    }

    /// What handlers get.
    #[must_use]
    pub fn context(&self) -> &Arc<BrokerContext> {
        &self.context
    }

    /// What followers' streams reach.
    #[must_use]
    pub fn replication(&self) -> Arc<dyn ReplicationService> {
        Arc::clone(&self.replication) as Arc<dyn ReplicationService>
    }

    /// How the session stands.
    #[must_use]
    pub fn session(&self) -> watch::Receiver<SessionState> {
        self.session.clone()
    }

    /// A fault that this process can't go on with.
    #[must_use]
    pub fn faults(&self) -> watch::Receiver<Option<Fault>> {
        self.faults.clone()
    }

    /// Marks the directories as this incarnation's, once the controller has committed its registration.
    ///
    /// # Errors
    /// The disk's; another cluster's directory.
    pub async fn on_registered(&self, epoch: BrokerEpoch, cluster: Option<ClusterId>) -> Result<(), LogManagerError> {
        let (logs, boot) = (Arc::clone(&self.logs), self.boot_id.clone());
        let written = self.context.replicas.pool().run(move || {
            if let Some(cluster) = cluster {
                logs.join_cluster(&cluster)?;
            }
            logs.write_incarnation(&boot, epoch)
        });
        written.await.unwrap_or(Ok(()))
    }

    /// Asks the controller to move this broker's leaderships; [`SessionState::may_stop`] tells when it is done.
    pub fn begin_shutdown(&self) {
        self.shutdown.send_replace(true);
    }

    /// Closes the logs and marks the directories as clean, those that can be.
    ///
    /// # Errors
    /// When no directory is left.
    pub async fn close(&self) -> Result<(), LogManagerError> {
        let replicas = Arc::clone(&self.context.replicas);
        self.context.replicas.pool().run(move || replicas.close()).await;
        self.logs.check_usable()
    }
}

fn registration(environment: &BrokerEnvironment, logs: &LogManager, found: &FoundLogs) -> RegisterBrokerRequest {
    RegisterBrokerRequest {
        broker_id: environment.config.node_id.0,
        incarnation_id: metadata::record::uuid_bytes(environment.new_uuid.new_uuid()),
        cluster_id: environment.identity.cluster_id().map(|id| id.0).unwrap_or_default(),
        listeners: environment.advertised.clone(),
        rack: environment.config.rack.clone(),
        directory_ids: logs
            .directory_ids()
            .iter()
            .map(|id| metadata::record::uuid_bytes(id.0))
            .collect(),
        unclean_shutdown: found.unclean,
        unclean_partitions: found
            .unclean_partitions
            .iter()
            .map(|id| PartitionId {
                topic_id: metadata::record::uuid_bytes(id.topic_id.0),
                index: id.partition.0,
            })
            .collect(),
        previous_broker_epoch: found.previous_epoch.map(|epoch| epoch.0),
        features: Vec::new(),
        previous_incarnation_lives: false,
    }
}
