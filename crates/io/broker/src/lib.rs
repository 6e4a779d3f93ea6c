//! Serves Kafka clients and hosts replicas.

mod apis;
mod blocking;
mod broker;
mod cleaner;
mod client_quotas;
mod client_telemetry;
mod clock;
mod context;
mod controller_client;
mod coordinator;
mod data_directory;
mod directory_watch;
mod fault;
mod log_manager;
mod log_manager_error;
mod maintenance;
mod metadata;
mod metrics;
mod network;
mod partition;
mod peers;
mod replica_manager;
mod replication;
mod server;
mod topic_settings;

pub use apis::ApiState;
pub use blocking::BlockingPool;
pub use broker::{Broker, BrokerEnvironment};
pub use client_telemetry::ClientTelemetry;
pub use clock::{Clock, SystemClock};
pub use context::{ApiRequest, BrokerContext, ClientConnection, ClientSoftware, NewUuid};
pub use controller_client::{ControllerClient, ControllerError};
pub use coordinator::GroupCoordinator;
pub use fault::{Fault, FaultSink};
pub use log_manager::{FoundLog, FoundLogs, LogManager};
pub use log_manager_error::LogManagerError;
pub use metadata::{
    BrokerIdentity, BrokerSession, ImageListener, MetadataPublisher, PublishError, SessionLease, SessionState,
    whenever_closed,
};
pub use metrics::{ApiLabels, BrokerMetrics};
pub use network::ClientStreams;
pub use partition::{
    AppendError, Appended, DeleteRecordsError, EpochEndAnswer, ListOffsetsTarget, Partition, PartitionHost,
    PartitionStatus, PushError, PushOutcome, REACTOR_WRITES, ReadError, ReadRequest, ReadResult, ReadWaiter,
    ReplicaDisk, RoleChange,
};
pub use peers::Peers;
pub use replica_manager::ReplicaManager;
pub use replication::{ReplicaFetchers, ReplicationServer};
pub use server::BrokerServer;
pub use topic_settings::PartitionSettings;
