//! What the active controller does by itself: bootstraps the cluster's records, watches brokers that have no session,
//! gives leaderships back to preferred replicas.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use config::QuotaConfig;
use metadata::control::{ConfigRules, ControlDefaults};
use metadata::proto::control_request::Request;
use metadata::proto::{BootstrapRequest, ControlRequest, RebalanceLeadersRequest};
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::BrokerId;

use crate::service::Controller;

/// The wall clock, passed in.
pub trait WallClock: Debug + Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// What a controller is told.
pub struct ControllerConfig {
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `broker.heartbeat.interval.ms`, at most 250 ms and an eighth of the session.
    pub heartbeat_interval: Duration,
    /// Which of a broker's listeners other nodes dial (`inter.broker.listener.name`).
    pub inter_broker_listener: String,
    /// Static defaults of decisions.
    pub defaults: ControlDefaults,
    /// Which configurations are allowed.
    pub config_rules: Arc<dyn ConfigRules + Send + Sync>,
    /// How often leaderships go back to preferred replicas; `None` with `auto.leader.rebalance.enable=false`.
    pub rebalance_interval: Option<Duration>,
    /// Over which clients' changes are measured (`controller.quota.window.num` and `.size.seconds`).
    pub mutation_windows: QuotaConfig,
    /// The wall clock.
    pub clock: Arc<dyn WallClock>,
    /// Of the randomness in decisions (topic ids, placement).
    pub seed: u64,
}

impl fmt::Debug for ControllerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerConfig")
            .field("session_timeout", &self.session_timeout)
            .finish_non_exhaustive()
    }
}

/// Leaderships moved in one decision: a bounded burst of fail-overs for the clients.
const REBALANCE_MOVES: u32 = 500;

impl Controller {
    /// Runs for the life of the node: acts while it is active.
    pub(crate) async fn watch_leadership(self: Arc<Self>) {
        let mut leadership = self.quorum().leadership();
        let mut acting: Option<(u64, tokio::task::JoinHandle<()>)> = None;
        let mut before: Option<BrokerId> = None;
        loop {
            let current = leadership.borrow_and_update().clone();
            let other = current.leader.as_ref().map(|(leader, _)| *leader);
            before = other.filter(|leader| *leader != self.identity.node_id()).or(before);
            let term = current.active.then_some(current.term);
            if acting.as_ref().map(|(term, _)| *term) != term {
                if let Some((_, task)) = acting.take() {
                    task.abort();
                    self.sessions().end_all();
                }
                if let Some(term) = term {
                    tracing::info!(term, "active controller");
                    // Only its own predecessor's silence says something.
                    let deposed = before.take();
                    acting = Some((term, tokio::spawn(Arc::clone(&self).act(term, deposed))));
                }
            }
            if leadership.changed().await.is_err() {
                return;
            }
        }
    }

    /// One term as the active controller, after that one's.
    async fn act(self: Arc<Self>, term: u64, before: Option<BrokerId>) {
        let heard = |node| Instant::now().checked_sub(self.quorum().last_contact(node)?);
        let deposed = before.and_then(|node| Some((node, heard(node)?)));
        self.sessions().begin_term(deposed);
        self.bootstrap().await;
        let image = Arc::clone(&self.quorum().images().borrow().image);
        for broker in image.brokers().filter(|broker| !broker.fenced) {
            // Without a session when this term began: dialled, and fenced at once when its port refuses.
            self.spawn_watch(broker.id, broker.epoch, term);
        }
        let Some(every) = self.config().rebalance_interval else {
            return;
        };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let image = Arc::clone(&self.quorum().images().borrow().image);
            let misplaced = image.topics().any(|topic| {
                topic
                    .partitions()
                    .any(|(_, partition)| !partition.has_preferred_leader() && partition.leader.is_some())
            });
            if misplaced {
                let request = Request::RebalanceLeaders(RebalanceLeadersRequest {
                    max_moves: REBALANCE_MOVES,
                });
                let _ = self.writer().submit(ControlRequest::from(request)).await;
            }
        }
    }

    async fn bootstrap(&self) {
        let image = Arc::clone(&self.quorum().images().borrow().image);
        if image.cluster_id().is_some() {
            return;
        }
        let Some(cluster_id) = self.quorum().status().cluster_id else {
            return;
        };
        let request = Request::Bootstrap(BootstrapRequest {
            cluster_id: cluster_id.0,
        });
        if let Err(failure) = self.writer().submit(ControlRequest::from(request)).await {
            tracing::warn!(?failure, "the cluster's first records were not written");
        }
    }
}
