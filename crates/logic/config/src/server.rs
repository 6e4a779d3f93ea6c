//! A node's configuration, typed and checked as a whole.
//!
//! Read once at start by the binary; each component gets its own struct by value. What may change while the node
//! runs isn't here but in the metadata, over `BrokerDefaults`. All errors are reported together.

mod groups;

use std::path::PathBuf;
use std::time::Duration;

use types::{BrokerId, ClusterId};

use crate::defaults::BrokerDefaults;
use crate::error::{ConfigError, ConfigErrors, Warning};
use crate::listeners::{Endpoint, Listeners};
use crate::properties::Properties;
use crate::quorum::QuorumConfig;
use crate::reader::Reader;

pub use groups::GroupConfig;

/// The selector of replicas that Kafka ships besides the default one; classes of others can't be loaded.
const RACK_AWARE_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
/// The default one.
const LEADER_SELECTOR: &str = "org.apache.kafka.common.replica.LeaderSelector";

/// `process.roles`. At least one is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessRoles {
    /// Serves clients and hosts replicas.
    pub broker: bool,
    /// Votes in the metadata quorum.
    pub controller: bool,
}

/// The session between a broker and the active controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionConfig {
    /// The interval used: the configured one, but at most 250 ms and an eighth of the session. At least 1 ms.
    pub heartbeat_interval: Duration,
    /// Without a sign of life for so long, the broker is fenced.
    pub session_timeout: Duration,
    /// A starting broker tries for so long to register.
    pub initial_registration_timeout: Duration,
}

/// Limits of connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// `SO_SNDBUF`; `None` leaves it to the kernel.
    pub socket_send_buffer_bytes: Option<u32>,
    /// `SO_RCVBUF`; `None` leaves it to the kernel.
    pub socket_receive_buffer_bytes: Option<u32>,
    /// The largest frame taken. At least 1.
    pub socket_request_max_bytes: u32,
    /// Connections the kernel keeps waiting.
    pub listen_backlog: u32,
    /// Idle connections are closed after this.
    pub connections_max_idle: Duration,
    /// Connections at a time.
    pub max_connections: u32,
    /// Connections from one address at a time.
    pub max_connections_per_ip: u32,
    /// Bytes in one fetch response.
    pub fetch_max_bytes: u32,
    /// Incremental fetch sessions kept.
    pub fetch_session_slots: u32,
    /// Bytes of one push of a client's metrics. At least 1.
    pub telemetry_max_bytes: u32,
}

/// The log's background work. What topics can set for themselves is in `TopicSettings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How often segments are looked through for what is to be deleted.
    pub retention_check_interval: Duration,
    /// How often recovery points are written down.
    pub recovery_point_checkpoint_interval: Duration,
    /// How often log start offsets are written down.
    pub log_start_offset_checkpoint_interval: Duration,
    /// How often high watermarks are written down.
    pub high_watermark_checkpoint_interval: Duration,
    /// Partitions of one directory that are recovered at a time. At least 1.
    pub recovery_threads_per_data_dir: u32,
    /// An idempotent producer that writes no more is forgotten after this.
    pub producer_id_expiration: Duration,
    /// How often such producers are looked for.
    pub producer_id_expiration_check_interval: Duration,
    /// Whether logs are compacted at all.
    pub cleaner_enable: bool,
}

/// Over which clients' use is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaConfig {
    /// Windows over which use is measured.
    pub windows: u32,
    /// How long each is.
    pub window: Duration,
}

/// In-sync replicas and leadership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicationConfig {
    /// A follower that hasn't caught up for this long leaves the ISR.
    pub replica_lag_time_max: Duration,
    /// Whether preferred replicas get their leadership back.
    pub auto_leader_rebalance_enable: bool,
    /// How often the controller looks for leaderships to be given back.
    pub leader_imbalance_check_interval: Duration,
    /// Whether consumers are sent to a follower in their rack (KIP-392).
    pub rack_aware_reads: bool,
}

/// What topics are like that are created with few words, and whether they may come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicCreationConfig {
    /// Whether naming an unknown topic creates it.
    pub auto_create_topics_enable: bool,
    /// Whether topics can be deleted.
    pub delete_topic_enable: bool,
    /// Partitions when nothing is said. At least 1.
    pub num_partitions: i32,
    /// Replicas when nothing is said.
    pub default_replication_factor: i16,
}

/// The transaction coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionConfig {
    /// Partitions of `__transaction_state`.
    pub state_log_num_partitions: i32,
    /// Replicas of `__transaction_state`.
    pub state_log_replication_factor: i16,
    /// In-sync replicas that `__transaction_state` needs.
    pub state_log_min_isr: i32,
    /// Segment size of `__transaction_state`.
    pub state_log_segment_bytes: u32,
    /// The longest transaction timeout.
    pub max_timeout: Duration,
    /// An unused transactional id is forgotten after this.
    pub transactional_id_expiration: Duration,
    /// How often transactions past their timeout are looked for.
    pub abort_timed_out_interval: Duration,
}

/// Everything a node is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// `node.id`, or `broker.id`.
    pub node_id: BrokerId,
    /// `process.roles`.
    pub roles: ProcessRoles,
    /// The cluster's id, where one is configured.
    pub cluster_id: Option<ClusterId>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// All listeners.
    pub listeners: Listeners,
    /// Whom to ask about the metadata quorum.
    pub quorum: QuorumConfig,
    /// Heartbeats.
    pub sessions: SessionConfig,
    /// `log.dirs`, in the file's order; at least one.
    pub log_dirs: Vec<PathBuf>,
    /// Where the metadata log lies.
    pub metadata_log_dir: PathBuf,
    /// Where metrics and health are served.
    pub http_listener: Option<Endpoint>,
    /// Connections and requests.
    pub network: NetworkConfig,
    /// The log's background work.
    pub log: LogConfig,
    /// In-sync replicas and leadership.
    pub replication: ReplicationConfig,
    /// Client quotas.
    pub quotas: QuotaConfig,
    /// Clients' quotas for created and deleted partitions (KIP-599).
    pub controller_quotas: QuotaConfig,
    /// Topic creation.
    pub topics: TopicCreationConfig,
    /// The group coordinator.
    pub groups: GroupConfig,
    /// The transaction coordinator.
    pub transactions: TransactionConfig,
    /// The file's layer for topics and DescribeConfigs.
    pub defaults: BrokerDefaults,
}

impl ServerConfig {
    /// Reads and checks a node's properties (file, environment and overrides merged by the caller).
    ///
    /// # Errors
    /// Everything that is wrong, each with its key, its value and what is allowed.
    pub fn from_properties(properties: &Properties) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let mut reader = Reader::new(properties);
        let config = Self::read(&mut reader, properties);
        config.check_together(&mut reader);
        if reader.errors.is_empty() {
            Ok((config, reader.warnings))
        } else {
            Err(ConfigErrors(reader.errors))
        }
    }

    fn read(reader: &mut Reader<'_>, properties: &Properties) -> Self {
        let node_id = read_node_id(reader);
        let role_names = reader.list("process.roles");
        let roles = ProcessRoles {
            broker: role_names.contains(&"broker"),
            controller: role_names.contains(&"controller"),
        };
        let listeners = Listeners::read(reader, roles);
        let quorum = QuorumConfig::read(reader, node_id, roles);
        let log_dirs: Vec<PathBuf> = match reader.list("log.dirs") {
            none if none.is_empty() => reader.list("log.dir"),
            given => given,
        }
        .into_iter()
        .map(PathBuf::from)
        .collect();
        let metadata_log_dir = match reader.given("metadata.log.dir") {
            Some(given) => PathBuf::from(given),
            None => log_dirs.first().cloned().unwrap_or_default(),
        };
        let mut file = properties.clone();
        file.set("node.id", node_id.to_string());
        file.set("broker.id", node_id.to_string());
        Self {
            node_id,
            roles,
            cluster_id: reader.given("cluster.id").map(|id| ClusterId(id.to_owned())),
            rack: reader.given("broker.rack").map(str::to_owned),
            listeners,
            quorum,
            sessions: read_sessions(reader),
            log_dirs,
            metadata_log_dir,
            http_listener: read_http_listener(reader),
            network: read_network(reader),
            log: read_log(reader),
            replication: ReplicationConfig {
                replica_lag_time_max: reader.milliseconds("replica.lag.time.max.ms"),
                auto_leader_rebalance_enable: reader.boolean("auto.leader.rebalance.enable"),
                leader_imbalance_check_interval: seconds(reader.long("leader.imbalance.check.interval.seconds")),
                rack_aware_reads: reader.text("replica.selector.class") == Some(RACK_AWARE_SELECTOR),
            },
            quotas: QuotaConfig {
                windows: reader.size("quota.window.num").unwrap_or(1).max(1),
                window: seconds(reader.long("quota.window.size.seconds")).max(Duration::from_secs(1)),
            },
            controller_quotas: QuotaConfig {
                windows: reader.size("controller.quota.window.num").unwrap_or(1).max(1),
                window: seconds(reader.long("controller.quota.window.size.seconds")).max(Duration::from_secs(1)),
            },
            topics: TopicCreationConfig {
                auto_create_topics_enable: reader.boolean("auto.create.topics.enable"),
                delete_topic_enable: reader.boolean("delete.topic.enable"),
                num_partitions: reader.int("num.partitions"),
                default_replication_factor: i16::try_from(reader.int("default.replication.factor")).unwrap_or(i16::MAX),
            },
            groups: GroupConfig::read(reader),
            transactions: TransactionConfig {
                state_log_num_partitions: reader.int("transaction.state.log.num.partitions"),
                state_log_replication_factor: reader.short("transaction.state.log.replication.factor"),
                state_log_min_isr: reader.int("transaction.state.log.min.isr"),
                state_log_segment_bytes: reader.size("transaction.state.log.segment.bytes").unwrap_or(u32::MAX),
                max_timeout: reader.milliseconds("transaction.max.timeout.ms"),
                transactional_id_expiration: reader.milliseconds("transactional.id.expiration.ms"),
                abort_timed_out_interval: reader
                    .milliseconds("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            },
            defaults: BrokerDefaults::new(file),
        }
    }

    /// What no key can say for itself.
    fn check_together(&self, reader: &mut Reader<'_>) {
        for key in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
            if reader
                .given(key)
                .is_some_and(|text| text == "0" || (text.starts_with('-') && text != "-1"))
            {
                reader.invalid(
                    key,
                    reader.given(key).unwrap_or_default(),
                    "must be -1 (no limit) or at least 1",
                );
            }
        }
        for (key, low) in [
            ("log.roll.ms", 1),
            ("log.roll.jitter.ms", 0),
            ("log.flush.interval.ms", 0),
            ("default.replication.factor", 1),
            ("replica.lag.time.max.ms", 1),
            ("broker.heartbeat.interval.ms", 1),
            ("broker.session.timeout.ms", 1),
        ] {
            let given = reader.given(key);
            if let Some(text) = given.filter(|text| text.parse::<i64>().is_ok_and(|value| value < low)) {
                reader.invalid(key, text, format!("must be at least {low}"));
            }
        }
        if let Some(class) = reader.given("authorizer.class.name") {
            let expected =
                "authorization isn't served yet, and this node would let everybody do everything: leave it out";
            reader.invalid("authorizer.class.name", class, expected);
        }
        if self.groups.min_session_timeout > self.groups.max_session_timeout {
            let given = reader.text("group.min.session.timeout.ms").unwrap_or_default();
            reader.invalid(
                "group.min.session.timeout.ms",
                given,
                "must not exceed group.max.session.timeout.ms",
            );
        }
        self.warn(reader);
    }

    fn warn(&self, reader: &mut Reader<'_>) {
        let selector = reader.given("replica.selector.class");
        if let Some(value) = selector.filter(|value| ![RACK_AWARE_SELECTOR, LEADER_SELECTOR].contains(&value.trim())) {
            let value = value.to_owned();
            reader.warnings.push(Warning::NotActedOn {
                key: "replica.selector.class".to_owned(),
                value,
            });
        }
        // Keys whose silence would be taken for their effect.
        for key in [
            "alter.config.policy.class.name",
            "client.quota.callback.class",
            "create.topic.policy.class.name",
        ] {
            if let Some(value) = reader.given(key) {
                reader.warnings.push(Warning::NotActedOn {
                    key: key.to_owned(),
                    value: value.to_owned(),
                });
            }
        }
        if reader.boolean("remote.log.storage.system.enable") {
            let key = "remote.log.storage.system.enable".to_owned();
            reader.warnings.push(Warning::NotActedOn {
                key,
                value: "true".to_owned(),
            });
        }
        let elsewhere = |voter: &crate::quorum::QuorumVoter| !voter.endpoint.is_loopback();
        let loopback = self
            .listeners
            .advertised
            .iter()
            .find(|listener| listener.endpoint.is_loopback());
        if let Some(listener) = loopback.filter(|_| {
            self.listeners
                .advertised
                .iter()
                .all(|other| other.endpoint.is_loopback())
                && self.quorum.voters.len() > 1
                && self.quorum.voters.iter().any(elsewhere)
        }) {
            let message = format!(
                "{listener} is advertised, which only this machine can dial, yet controllers are elsewhere: advertise a \
                 name that clients and the other brokers can resolve"
            );
            reader.doubtful("advertised.listeners", message);
        }
    }
}

/// Turns warnings about unknown keys into errors, for `--strict`.
///
/// # Errors
/// All unknown keys, if there are any.
pub fn refuse_unknown_keys(warnings: Vec<Warning>) -> Result<Vec<Warning>, ConfigErrors> {
    let mut kept = Vec::new();
    let mut errors = Vec::new();
    for warning in warnings {
        match warning {
            Warning::UnknownKey { key, nearest } => errors.push(ConfigError::Unknown { key, nearest }),
            Warning::NotActedOn { .. } | Warning::Doubtful { .. } => kept.push(warning),
        }
    }
    if errors.is_empty() {
        Ok(kept)
    } else {
        Err(ConfigErrors(errors))
    }
}

fn read_node_id(reader: &mut Reader<'_>) -> BrokerId {
    match (reader.given("node.id"), reader.given("broker.id")) {
        (Some(node), Some(broker)) if node != broker => {
            reader.invalid(
                "broker.id",
                broker,
                format!("must be the same as node.id ({node}); leave it out"),
            );
        }
        (None, None) => reader.missing("node.id", "a number of its own for each node of the cluster, as in 1"),
        (None, Some(broker)) if broker.starts_with('-') => {
            reader.invalid("broker.id", broker, "must not be negative: ids aren't made up any more");
        }
        (None | Some(_), _) => {}
    }
    let key = if reader.given("node.id").is_some() {
        "node.id"
    } else {
        "broker.id"
    };
    BrokerId(reader.int(key))
}

/// A broker's lease (the controller gives it with each answer) ends at most a second after the controller last heard of its
/// majority: with longer intervals, which files written for Kafka have, it would lapse between two heartbeats, and a healthy
/// leader would decline to tell a consumer that its offset is out of range.
const LONGEST_HEARTBEAT: Duration = Duration::from_millis(250);

fn read_sessions(reader: &mut Reader<'_>) -> SessionConfig {
    let session_timeout = reader.milliseconds("broker.session.timeout.ms");
    let configured = reader.milliseconds("broker.heartbeat.interval.ms");
    let longest = (session_timeout / 8).clamp(Duration::from_millis(1), LONGEST_HEARTBEAT);
    if configured > longest
        && let Some(given) = reader.given("broker.heartbeat.interval.ms")
    {
        let message = format!(
            "{given} ms is too long for a broker that is to be missed at once; {} ms is used",
            longest.as_millis()
        );
        reader.doubtful("broker.heartbeat.interval.ms", message);
    }
    SessionConfig {
        heartbeat_interval: configured.clamp(Duration::from_millis(1), longest),
        session_timeout,
        initial_registration_timeout: reader.milliseconds("initial.broker.registration.timeout.ms"),
    }
}

fn read_http_listener(reader: &mut Reader<'_>) -> Option<Endpoint> {
    let text = reader.given("klamm.http.listener")?;
    let endpoint = Endpoint::parse(text);
    if endpoint.is_none() {
        reader.invalid("klamm.http.listener", text, "expected host:port, as in 127.0.0.1:9644");
    }
    endpoint
}

fn read_network(reader: &Reader<'_>) -> NetworkConfig {
    NetworkConfig {
        socket_send_buffer_bytes: reader.size("socket.send.buffer.bytes"),
        socket_receive_buffer_bytes: reader.size("socket.receive.buffer.bytes"),
        socket_request_max_bytes: reader.size("socket.request.max.bytes").unwrap_or(1).max(1),
        listen_backlog: reader.size("socket.listen.backlog.size").unwrap_or(1).max(1),
        // Kafka: a negative time never closes a connection.
        connections_max_idle: match reader.long("connections.max.idle.ms") {
            negative if negative < 0 => Duration::MAX,
            _ => reader.milliseconds("connections.max.idle.ms"),
        },
        max_connections: reader.size("max.connections").unwrap_or_default(),
        max_connections_per_ip: reader.size("max.connections.per.ip").unwrap_or_default(),
        fetch_max_bytes: reader.size("fetch.max.bytes").unwrap_or(1024),
        fetch_session_slots: reader
            .size("max.incremental.fetch.session.cache.slots")
            .unwrap_or_default(),
        telemetry_max_bytes: reader.size("telemetry.max.bytes").unwrap_or(1).max(1),
    }
}

fn read_log(reader: &Reader<'_>) -> LogConfig {
    LogConfig {
        retention_check_interval: reader.milliseconds("log.retention.check.interval.ms"),
        recovery_point_checkpoint_interval: reader.milliseconds("log.flush.offset.checkpoint.interval.ms"),
        log_start_offset_checkpoint_interval: reader.milliseconds("log.flush.start.offset.checkpoint.interval.ms"),
        high_watermark_checkpoint_interval: reader.milliseconds("replica.high.watermark.checkpoint.interval.ms"),
        recovery_threads_per_data_dir: reader.size("num.recovery.threads.per.data.dir").unwrap_or(1).max(1),
        producer_id_expiration: reader.milliseconds("producer.id.expiration.ms"),
        producer_id_expiration_check_interval: reader.milliseconds("producer.id.expiration.check.interval.ms"),
        cleaner_enable: reader.boolean("log.cleaner.enable"),
    }
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or_default())
}

#[cfg(test)]
mod tests;
