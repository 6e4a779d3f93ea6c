//! `/metrics`, `/healthz`, `/readyz`, `/safe-to-stop`. Serves from the first moment: why a node isn't ready is asked most
//! while it starts.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use broker::BrokerContext;
use config::ServerConfig;
use controller::Controller;
use controller::raft::MetadataQuorum;
use metadata::{MetadataImage, StopPartition, StopRisks, StopVoter, risks_of_stopping};
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rpc::proto::QuorumStatusReply;
use tokio::net::TcpListener;
use tokio::time::timeout;
use types::BrokerId;

/// How long a probe waits for metadata that is on its way: between two images nobody is behind.
const CATCH_UP: Duration = Duration::from_millis(500);
/// Whoever asks wants to know soon that there is no controller.
const STATUS_WAIT: Duration = Duration::from_secs(2);
/// A voter that the active controller hasn't heard for so long doesn't count.
const VOTER_SILENCE_MS: i64 = 3_000;
/// Partitions named in an answer.
const NAMED: usize = 20;

/// What the answers are made of; the roles come as they start.
#[derive(Debug)]
pub(crate) struct NodeHealth {
    config: Arc<ServerConfig>,
    broker: OnceLock<Arc<BrokerContext>>,
    controller: OnceLock<Arc<Controller>>,
    registry: Mutex<Registry>,
    open_files: Gauge,
    quorum: QuorumGauges,
}

#[derive(Debug, Default)]
struct QuorumGauges {
    term: Gauge,
    leader: Gauge,
    commit: Gauge,
    applied: Gauge,
    lag: Gauge,
    active: Gauge,
    voters: Gauge,
    snapshot: Gauge,
    log_start: Gauge,
}

impl NodeHealth {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Arc<Self> {
        let mut registry = Registry::default();
        let open_files = Gauge::default();
        registry.register("process_open_fds", "Open file descriptors", open_files.clone());
        Arc::new(Self {
            config,
            broker: OnceLock::new(),
            controller: OnceLock::new(),
            registry: Mutex::new(registry),
            open_files,
            quorum: QuorumGauges::default(),
        })
    }

    /// The broker's role is open.
    pub(crate) fn set_broker(&self, broker: Arc<BrokerContext>) {
        {
            let mut registry = self.registry.lock();
            broker.host.metrics.register(&mut registry);
            registry.register_collector(Box::new(Arc::clone(&broker.telemetry)));
        }
        let _ = self.broker.set(broker);
    }

    /// The controller's role has started.
    pub(crate) fn set_controller(&self, controller: Arc<Controller>) {
        let mut registry = self.registry.lock();
        let gauges = &self.quorum;
        for (name, text, gauge) in [
            ("klamm_raft_current_epoch", "Term of the metadata quorum", &gauges.term),
            (
                "klamm_raft_current_leader",
                "Node id of the quorum's leader",
                &gauges.leader,
            ),
            (
                "klamm_raft_commit_index",
                "Last committed entry known here",
                &gauges.commit,
            ),
            ("klamm_raft_applied_index", "Last entry applied here", &gauges.applied),
            (
                "klamm_raft_max_lag",
                "Entries that the slowest voter lacks, on the leader",
                &gauges.lag,
            ),
            ("klamm_raft_voters", "Voters of the metadata quorum", &gauges.voters),
            (
                "klamm_raft_snapshot_index",
                "Last entry in the newest snapshot here",
                &gauges.snapshot,
            ),
            (
                "klamm_raft_purged_index",
                "Entries up to this one are gone from the log",
                &gauges.log_start,
            ),
            ("klamm_controller_active", "1 on the active controller", &gauges.active),
        ] {
            registry.register(name, text, gauge.clone());
        }
        drop(registry);
        let _ = self.controller.set(controller);
    }

    fn quorum(&self) -> Option<&MetadataQuorum> {
        self.controller.get().map(|controller| controller.quorum())
    }

    fn measure(&self) {
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        self.open_files.set(i64::try_from(files).unwrap_or(i64::MAX));
        let Some(quorum) = self.quorum() else { return };
        let (status, gauges) = (quorum.status(), &self.quorum);
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        gauges.term.set(number(status.term));
        gauges
            .leader
            .set(status.leader.map_or(-1, |leader| i64::from(leader.0)));
        gauges.commit.set(number(status.commit_index));
        gauges.applied.set(number(status.applied_index));
        gauges.snapshot.set(number(status.snapshot_index));
        gauges.log_start.set(number(status.purged_index));
        let lag = status.voters.iter().filter_map(|voter| voter.lag).max().unwrap_or(0);
        gauges.lag.set(number(lag));
        gauges.voters.set(number(status.voters.len() as u64));
        gauges.active.set(i64::from(quorum.leadership().borrow().active));
    }

    /// Why the node isn't ready; nothing: it is.
    async fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.config.roles.broker {
            match self.broker.get() {
                None => reasons.push("starting: the log directories are being opened".to_owned()),
                Some(broker) => self.broker_not_ready(broker, &mut reasons).await,
            }
        }
        if self.config.roles.controller {
            match self.quorum() {
                None => reasons.push("starting: the metadata log is being opened".to_owned()),
                Some(quorum) => controller_not_ready(quorum, &mut reasons),
            }
        }
        reasons
    }

    /// Unfenced, its session open and answered, and everything applied that the controller knew at its last answer.
    async fn broker_not_ready(&self, broker: &BrokerContext, reasons: &mut Vec<String>) {
        let session = broker.session.borrow().clone();
        if let Some(code) = session.rejected {
            reasons.push(format!("rejected by the controller: {code}"));
        } else if session.broker_epoch.is_none() {
            reasons.push("not registered with a controller yet".to_owned());
        } else if !session.open {
            reasons.push("no session with an active controller".to_owned());
        } else if session
            .answered
            .is_none_or(|at| at.elapsed() >= self.config.sessions.session_timeout)
        {
            reasons.push("the session's heartbeats aren't answered".to_owned());
        } else if !session.unfenced {
            reasons.push("fenced: the controller has not let this broker serve yet".to_owned());
        }
        if !reasons.is_empty() {
            return;
        }
        let mut applied = broker.publisher.subscribe();
        let caught_up = applied.wait_for(|applied| *applied >= session.metadata_offset);
        if timeout(CATCH_UP, caught_up).await.is_err() {
            let here = broker.publisher.applied();
            reasons.push(format!("applied metadata up to {here} of {}", session.metadata_offset));
        }
        let image = broker.host.image.load();
        if image
            .broker(broker.host.local)
            .is_some_and(|own| own.in_controlled_shutdown)
        {
            reasons.push("stopping: its leaderships are being moved".to_owned());
        }
    }

    /// STOP-1 for this node, by what it knows itself.
    async fn risks(&self) -> Result<StopRisks, String> {
        let (image, status) = match (self.broker.get(), self.controller.get()) {
            (Some(broker), _) => {
                let status = broker.controllers.quorum_status(STATUS_WAIT).await;
                let image = Arc::clone(&broker.host.image.load());
                (image, status.map_err(|error| error.to_string())?)
            }
            (None, Some(controller)) => {
                let image = Arc::clone(&controller.quorum().images().borrow().image);
                (image, controller.ask_active(STATUS_WAIT).await?)
            }
            (None, None) => return Err("the node is starting".to_owned()),
        };
        Ok(self.judge(&image, &status))
    }

    fn judge(&self, image: &MetadataImage, status: &QuorumStatusReply) -> StopRisks {
        let default = self.config.defaults.get("min.insync.replicas");
        let default = default.and_then(|value| value.parse().ok()).unwrap_or(1);
        let partitions = image.topics().flat_map(|topic| {
            let min_isr = image.min_insync_replicas(&topic.name, default);
            topic.partitions().map(move |(index, partition)| StopPartition {
                topic: topic.name.as_str(),
                partition: index.0,
                isr: &partition.isr,
                min_isr,
            })
        });
        let voters: Vec<StopVoter> = status
            .voters
            .iter()
            .map(|voter| StopVoter {
                node: BrokerId(voter.node_id),
                alive: (0..VOTER_SILENCE_MS).contains(&voter.last_fetch_ms_ago),
            })
            .collect();
        risks_of_stopping(self.config.node_id, partitions, &voters)
    }
}

fn controller_not_ready(quorum: &MetadataQuorum, reasons: &mut Vec<String>) {
    let leadership = quorum.leadership().borrow().clone();
    let own = quorum.node_id();
    match leadership.leader {
        Some((leader, _)) if leader == own && !leadership.active => {
            reasons.push("leads the metadata quorum, but no majority answers".to_owned());
        }
        Some((leader, _))
            if leader != own && quorum.last_contact(leader).is_none_or(|silence| silence > STATUS_WAIT) =>
        {
            reasons.push(format!("the metadata quorum's leader, node {leader}, is silent"));
        }
        Some(_) => {}
        None => reasons.push("the metadata quorum has no leader".to_owned()),
    }
    reasons.extend(quorum.waiting_for());
}

/// Serves until the runtime ends.
pub(crate) fn serve(listener: TcpListener, health: Arc<NodeHealth>) {
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/safe-to-stop", get(safe_to_stop))
        .with_state(health);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the HTTP listener ended");
        }
    });
}

async fn metrics(State(health): State<Arc<NodeHealth>>) -> impl IntoResponse {
    health.measure();
    // What clients push may be megabytes, and replicas many.
    let encoded = tokio::task::spawn_blocking(move || {
        if let Some(broker) = health.broker.get() {
            broker.replicas.count();
        }
        let mut text = String::new();
        encode(&mut text, &health.registry.lock()).map(|()| text)
    });
    match encoded.await {
        Ok(Ok(text)) => (
            StatusCode::OK,
            [(
                "content-type",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(health): State<Arc<NodeHealth>>) -> impl IntoResponse {
    let reasons = health.not_ready().await;
    if reasons.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {}\n", reasons.join("; ")),
        )
    }
}

async fn safe_to_stop(State(health): State<Arc<NodeHealth>>) -> impl IntoResponse {
    match health.risks().await {
        Ok(risks) if risks.is_safe() => (StatusCode::OK, "safe to stop\n".to_owned()),
        Ok(risks) => (StatusCode::SERVICE_UNAVAILABLE, explain(&risks)),
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not safe to stop: nothing is known of the quorum: {error}\n"),
        ),
    }
}

/// What stands against stopping, a line each.
pub(crate) fn explain(risks: &StopRisks) -> String {
    let mut text = "not safe to stop:\n".to_owned();
    if let Some(quorum) = risks.quorum {
        let _ = writeln!(
            text,
            "the metadata quorum would lose its majority: {} voters would answer, {} are needed",
            quorum.left, quorum.needed
        );
    }
    for risk in risks.partitions.iter().take(NAMED) {
        let _ = writeln!(
            text,
            "{} would have {} in-sync replicas, min.insync.replicas is {}",
            risk.name, risk.left, risk.min_isr
        );
    }
    let more = risks.partitions.len().saturating_sub(NAMED);
    if more > 0 {
        let _ = writeln!(text, "and {more} partitions more");
    }
    text
}
