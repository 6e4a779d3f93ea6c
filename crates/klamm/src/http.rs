//! `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use broker::BrokerContext;
use controller::raft::MetadataQuorum;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// What the answers are made of.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(crate) broker: Option<Arc<BrokerContext>>,
    pub(crate) quorum: Option<MetadataQuorum>,
}

#[derive(Debug)]
struct Shown {
    health: Health,
    registry: Registry,
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
}

/// Serves until the runtime ends.
pub(crate) fn serve(listener: TcpListener, health: Health) {
    let mut registry = Registry::default();
    if let Some(broker) = &health.broker {
        broker.host.metrics.register(&mut registry);
    }
    let open_files = Gauge::default();
    registry.register("process_open_fds", "Open file descriptors", open_files.clone());
    let quorum = QuorumGauges::default();
    if health.quorum.is_some() {
        registry.register(
            "klamm_raft_current_epoch",
            "Term of the metadata quorum",
            quorum.term.clone(),
        );
        registry.register(
            "klamm_raft_current_leader",
            "Node id of the quorum's leader",
            quorum.leader.clone(),
        );
        registry.register(
            "klamm_raft_commit_index",
            "Last committed entry known here",
            quorum.commit.clone(),
        );
        registry.register(
            "klamm_raft_applied_index",
            "Last entry applied here",
            quorum.applied.clone(),
        );
        registry.register(
            "klamm_raft_max_lag",
            "Entries that the slowest voter lacks, on the leader",
            quorum.lag.clone(),
        );
        registry.register(
            "klamm_controller_active",
            "1 on the active controller",
            quorum.active.clone(),
        );
    }
    let shown = Arc::new(Shown {
        health,
        registry,
        open_files,
        quorum,
    });
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(shown);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the HTTP listener ended");
        }
    });
}

async fn metrics(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    shown.open_files.set(i64::try_from(files).unwrap_or(i64::MAX));
    if let Some(quorum) = &shown.health.quorum {
        let status = quorum.status();
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        shown.quorum.term.set(number(status.term));
        shown
            .quorum
            .leader
            .set(status.leader.map_or(-1, |leader| i64::from(leader.0)));
        shown.quorum.commit.set(number(status.commit_index));
        shown.quorum.applied.set(number(status.applied_index));
        let lag = status.voters.iter().filter_map(|voter| voter.lag).max().unwrap_or(0);
        shown.quorum.lag.set(number(lag));
        shown.quorum.active.set(i64::from(quorum.leadership().borrow().active));
    }
    let mut text = String::new();
    match encode(&mut text, &shown.registry) {
        Ok(()) => (
            StatusCode::OK,
            [(
                "content-type",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Ready: unfenced, and caught up with the metadata; a controller alone: it knows a leader.
async fn ready(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let mut reasons = Vec::new();
    if let Some(broker) = &shown.health.broker {
        let session = *broker.session.borrow();
        if session.broker_epoch.is_none() {
            reasons.push("not registered with a controller yet".to_owned());
        } else if !session.unfenced {
            reasons.push("fenced: the controller has not let this broker serve yet".to_owned());
        }
        if let Some(quorum) = &shown.health.quorum {
            let (here, quorum) = (broker.publisher.applied(), quorum.images().borrow().offset);
            if here < quorum {
                reasons.push(format!("applied metadata up to {here} of {quorum}"));
            }
        }
    }
    if let Some(quorum) = &shown.health.quorum
        && quorum.leadership().borrow().leader.is_none()
    {
        reasons.push("the metadata quorum has no leader".to_owned());
    }
    if reasons.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {}\n", reasons.join("; ")),
        )
    }
}
