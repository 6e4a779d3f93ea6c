//! The broker's session: it registers this incarnation, sends heartbeats, and takes the metadata feed.
//!
//! SESS-3: the applied offset that a heartbeat tells is published here already (promise META). SESS-4: an incarnation
//! registers once; when the controller changes, its session goes on under the same broker epoch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metadata::proto::RegisterBrokerRequest;
use rpc::proto::broker_to_controller::Message as ToController;
use rpc::proto::controller_to_broker::Message as FromController;
use rpc::proto::{BrokerToController, ControllerToBroker, Heartbeat, SessionHello};
use rpc::{Link, LinkReceiver, Network, PeerAddress, PeerIdentity};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use types::{BrokerEpoch, ClusterId, ErrorCode, MetadataOffset};

use super::applier::Applier;
use super::lease::Renewals;
use super::publisher::MetadataPublisher;
use crate::controller_client::ControllerClient;

/// Opening a session takes at most this.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);
/// Registration waits for a Raft entry; a silent controller is given up after this.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);
/// A session that goes on at another controller waits for nothing.
const RESUME_TIMEOUT: Duration = Duration::from_millis(500);
/// A controller that has answered none of so many heartbeats is as good as gone: another one may be active already, and
/// fences whoever hasn't come to it within the session timeout, which is at least as many heartbeats long.
const UNANSWERED_BEATS: u32 = 4;
/// Pause between attempts: an election takes tens of milliseconds.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Heartbeats without a reply before another stream is opened: each applied chunk of metadata brings one.
const UNANSWERED_MAX: usize = 1_024;
/// While no controller can be reached for long, attempts become rarer.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(250);

/// What this incarnation registers with.
#[derive(Debug, Clone)]
pub struct BrokerIdentity {
    /// The registration; its flags of unclean shutdown were determined from the log directories.
    pub registration: RegisterBrokerRequest,
    /// How long a refusal as a duplicate is taken for the last incarnation's trace, before it is another process.
    pub duplicate_wait: Duration,
}

/// How the session stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionState {
    /// Registered with this epoch.
    pub broker_epoch: Option<BrokerEpoch>,
    /// A session with the active controller is open.
    pub open: bool,
    /// The controller lets this broker lead and serve.
    pub unfenced: bool,
    /// Controlled shutdown is done.
    pub may_stop: bool,
    /// Leaderships that couldn't be moved yet.
    pub remaining_leaderships: u32,
    /// Another incarnation took this broker's id, or another cluster refused it: this process must end.
    pub rejected: Option<ErrorCode>,
    /// The controller's words for it.
    pub rejection: Option<Arc<str>>,
    /// How far the metadata went at the last heartbeat's answer.
    pub metadata_offset: MetadataOffset,
    /// When that answer came.
    pub answered: Option<Instant>,
}

/// The session's task.
#[derive(Debug)]
pub struct BrokerSession {
    network: Arc<dyn Network>,
    identity: PeerIdentity,
    controllers: Arc<ControllerClient>,
    broker: BrokerIdentity,
    publisher: Arc<MetadataPublisher>,
    applier: Applier,
    state: watch::Sender<SessionState>,
    shutdown: watch::Receiver<bool>,
    duplicate_since: Option<Instant>,
}

enum Ended {
    /// The stream broke or the controller changed: open another.
    Retry,
    /// That controller is of another cluster: one may be a stranger, most of them mean that this node is.
    Stranger(String),
    /// This process must end; why, in the controller's words.
    Rejected(ErrorCode, String),
}

/// Calls `look` whenever the session, which is a stream to the active controller, has closed, until the session's task ends: that
/// controller may be gone.
pub async fn whenever_closed<F: Future<Output = ()>>(
    mut session: watch::Receiver<SessionState>,
    mut look: impl FnMut() -> F,
) {
    for open in [true, false].into_iter().cycle() {
        if session.wait_for(|state| state.open == open).await.is_err() {
            return;
        }
        if !open {
            look().await;
        }
    }
}

impl BrokerSession {
    /// A session that isn't open yet; the feed is applied on the current runtime, wherever the session runs. `shutdown`
    /// turns true when the broker wants to stop.
    #[must_use]
    pub fn new(
        network: Arc<dyn Network>,
        identity: PeerIdentity,
        controllers: Arc<ControllerClient>,
        broker: BrokerIdentity,
        publisher: Arc<MetadataPublisher>,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let state = watch::Sender::new(SessionState::default());
        Self {
            network,
            identity,
            controllers,
            broker,
            applier: Applier::start(Arc::clone(&publisher)),
            publisher,
            state,
            shutdown,
            duplicate_since: None,
        }
    }

    /// How the session stands, from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.state.subscribe()
    }

    /// Keeps a session open until this incarnation is rejected.
    pub async fn run(mut self) {
        let (mut pause, mut warned) = (RETRY_PAUSE, false);
        loop {
            let candidates = self.controllers.candidates();
            let mut strangers = Vec::new();
            for address in &candidates {
                let began = Instant::now();
                match self.session(address).await {
                    Ended::Stranger(message) => strangers.push(message),
                    Ended::Rejected(code, message) => return self.reject(code, message),
                    Ended::Retry if began.elapsed() > RETRY_PAUSE_MAX => pause = RETRY_PAUSE,
                    Ended::Retry => {}
                }
            }
            if let Some(message) = strangers.first() {
                if strangers.len() * 2 >= candidates.len() {
                    return self.reject(ErrorCode::InconsistentClusterId, message.clone());
                }
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(message, "one of the listed controllers is of another cluster");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    fn reject(&self, code: ErrorCode, message: String) {
        self.state.send_modify(|state| {
            state.rejected = Some(code);
            state.rejection = Some(message.into());
        });
    }

    async fn session(&mut self, address: &PeerAddress) -> Ended {
        let Ok(link) = self.network.session(address, OPEN_TIMEOUT).await else {
            return Ended::Retry;
        };
        let Link { tx, mut rx } = link;
        let epoch = self.publisher.host().broker_epoch();
        let hello = SessionHello {
            header: Some(self.identity.header(epoch)),
            register: (epoch == BrokerEpoch::NONE).then(|| self.broker.registration.clone()),
            metadata_offset: self.publisher.applied().0,
        };
        if tx
            .send(BrokerToController {
                message: Some(ToController::Hello(hello)),
            })
            .await
            .is_err()
        {
            return Ended::Retry;
        }
        let patience = if epoch == BrokerEpoch::NONE {
            REGISTER_TIMEOUT
        } else {
            RESUME_TIMEOUT
        };
        let accepted = match timeout(patience, rx.recv()).await {
            Ok(Some(ControllerToBroker {
                message: Some(FromController::Accepted(accepted)),
            })) => accepted,
            Ok(Some(ControllerToBroker {
                message: Some(FromController::NotActive(answer)),
            })) => {
                self.controllers.note_not_active(&answer);
                return Ended::Retry;
            }
            Ok(Some(ControllerToBroker {
                message: Some(FromController::Refused(refused)),
            })) => {
                let code = ErrorCode::from_code(i16::try_from(refused.error_code).unwrap_or(-1));
                return self.on_refused(code, &refused.message);
            }
            _ => return Ended::Retry,
        };
        if !accepted.cluster_id.is_empty() && !self.identity.learn_cluster(&ClusterId(accepted.cluster_id.clone())) {
            let ours = self.identity.cluster_id().map(|id| id.0).unwrap_or_default();
            let message = format!(
                "this node is of cluster {ours}, the controller {address} of cluster {}: give it the addresses of its own \
                 cluster, or an empty data directory",
                accepted.cluster_id
            );
            return Ended::Stranger(message);
        }
        self.controllers.note_active(address);
        let epoch = BrokerEpoch(accepted.broker_epoch);
        self.publisher.host().broker_epoch.store(epoch.0, Ordering::Release);
        self.state.send_modify(|state| {
            state.broker_epoch = Some(epoch);
            state.open = true;
        });
        tracing::info!(controller = %address, %epoch, "session open");
        let every = Duration::from_millis(u64::from(accepted.heartbeat_interval_ms.max(10)));
        let ended = self.serve(tx, rx, every).await;
        self.state.send_modify(|state| state.open = false);
        ended
    }

    fn on_refused(&mut self, code: ErrorCode, message: &str) -> Ended {
        match code {
            // The last incarnation's stream may not have been noticed as closed yet; one that lives longer than its session
            // is another process.
            ErrorCode::DuplicateBrokerRegistration
                if self.state.borrow().broker_epoch.is_none()
                    && self.duplicate_since.get_or_insert_with(Instant::now).elapsed() < self.broker.duplicate_wait =>
            {
                tracing::debug!(message, "registration refused, trying again");
                Ended::Retry
            }
            ErrorCode::InconsistentClusterId => Ended::Stranger(message.to_owned()),
            ErrorCode::StaleBrokerEpoch | ErrorCode::DuplicateBrokerRegistration => {
                Ended::Rejected(code, message.to_owned())
            }
            _ => {
                tracing::warn!(%code, message, "the session was refused, trying again");
                Ended::Retry
            }
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let replicas = self.publisher.replicas();
        let pending = replicas.logs().watch_pending(Instant::now());
        let offline = replicas.logs().offline_directory_ids();
        Heartbeat {
            applied_offset: self.publisher.applied().0,
            want_shutdown: *self.shutdown.borrow(),
            oldest_pending_write_ms: u64::try_from(pending.as_millis()).unwrap_or(u64::MAX),
            log_ends: self.publisher.log_end_reports(),
            offline_directory_ids: offline
                .into_iter()
                .map(|id| metadata::record::uuid_bytes(id.0))
                .collect(),
            offline_replicas: replicas.offline_to_report(),
        }
    }

    async fn serve(
        &mut self,
        tx: mpsc::Sender<BrokerToController>,
        mut rx: LinkReceiver<ControllerToBroker>,
        every: Duration,
    ) -> Ended {
        // Each heartbeat gets one reply, in order.
        let mut unanswered: VecDeque<Instant> = VecDeque::new();
        let mut renewals = Renewals::default();
        let mut beats = interval(every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_beats = 0;
        let mut applied = self.publisher.subscribe();
        let mut offline = self.publisher.replicas().offline_changes();
        self.applier.misfits.borrow_and_update();
        loop {
            let room = self.applier.chunks.capacity() > 0;
            let beat = tokio::select! {
                biased;
                _ = beats.tick() => {
                    silent_beats += 1;
                    true
                }
                changed = self.shutdown.changed() => {
                    if changed.is_err() {
                        return Ended::Retry;
                    }
                    true
                }
                // Told at once: an answer to a client may wait for it.
                changed = applied.changed() => changed.is_ok(),
                // Told at once: leaderships are to move.
                changed = offline.changed() => changed.is_ok(),
                _ = self.applier.misfits.changed() => return Ended::Retry,
                message = rx.recv(), if room => {
                    let Some(message) = message else { return Ended::Retry };
                    silent_beats = 0;
                    match message.message {
                        Some(FromController::Metadata(chunk)) => {
                            if self.applier.chunks.try_send(chunk).is_err() {
                                return Ended::Retry;
                            }
                            false
                        }
                        Some(FromController::Heartbeat(reply)) => {
                            if let Some(sent) = unanswered.pop_front().filter(|_| !reply.fenced) {
                                let until = sent + Duration::from_millis(u64::from(reply.lease_ms));
                                renewals.answered(until, MetadataOffset(reply.metadata_offset));
                            }
                            self.state.send_if_modified(|state| {
                                let before = (state.unfenced, state.may_stop, state.remaining_leaderships);
                                state.unfenced = !reply.fenced;
                                state.may_stop = reply.may_stop;
                                state.remaining_leaderships = reply.remaining_leaderships;
                                state.metadata_offset = MetadataOffset(reply.metadata_offset);
                                state.answered = Some(Instant::now());
                                before != (state.unfenced, state.may_stop, state.remaining_leaderships)
                            });
                            // Fenced though everything is applied: the next heartbeat asks to be unfenced.
                            false
                        }
                        Some(FromController::NotActive(answer)) => {
                            self.controllers.note_not_active(&answer);
                            return Ended::Retry;
                        }
                        Some(FromController::Refused(refused)) => {
                            let code = ErrorCode::from_code(i16::try_from(refused.error_code).unwrap_or(-1));
                            return self.on_refused(code, &refused.message);
                        }
                        Some(FromController::Accepted(_)) | None => false,
                    }
                }
            };
            if let Some(until) = renewals.take_applied(self.publisher.applied()) {
                self.publisher.host().lease.renew(until);
            }
            if !room {
                // Nobody listens: that silence is our own.
                silent_beats = 0;
            }
            if silent_beats > UNANSWERED_BEATS {
                tracing::info!("the controller is silent: trying the others");
                return Ended::Retry;
            }
            if beat {
                applied.borrow_and_update();
                offline.borrow_and_update();
                let heartbeat = self.heartbeat();
                if unanswered.len() >= UNANSWERED_MAX {
                    return Ended::Retry;
                }
                unanswered.push_back(Instant::now());
                if tx
                    .send(BrokerToController {
                        message: Some(ToController::Heartbeat(heartbeat)),
                    })
                    .await
                    .is_err()
                {
                    return Ended::Retry;
                }
            }
        }
    }
}
