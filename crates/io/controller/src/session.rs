//! A broker's session on the active controller: registration, heartbeats, the metadata feed, and what follows its end.

use std::sync::Arc;
use std::time::Duration;

use metadata::MetadataImage;
use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{
    ControlResponse, ControlledShutdownRequest, DirectoriesOfflineRequest, FenceBrokerRequest, Listener,
    RegisterBrokerRequest, UnfenceBrokerRequest,
};
use metadata::record::uuid_bytes;
use rpc::proto::broker_to_controller::Message as FromBroker;
use rpc::proto::controller_to_broker::Message as ToBroker;
use rpc::proto::{
    BrokerToController, ControllerToBroker, Heartbeat, HeartbeatReply, PeerHeader, SessionAccepted, SessionHello,
    SessionRefused,
};
use rpc::{DialOutcome, Link, LinkReceiver, PeerAddress};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use types::{BrokerEpoch, BrokerId, ErrorCode, MetadataOffset};

use crate::feed::chunks_after;
use crate::service::Controller;

/// A stream that says nothing at first is closed after this.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before a fencing that wasn't written is tried again.
const FENCE_RETRY: Duration = Duration::from_millis(50);
/// Pauses between two dials of a broker whose stream is closed: a killed process closes its listener within a few milliseconds, one
/// that lives on may not be asked too often.
const REDIAL: Duration = Duration::from_millis(2);
const REDIAL_MAX: Duration = Duration::from_millis(50);
/// A dial that stays unanswered so long says nothing.
const DIAL_TIMEOUT: Duration = Duration::from_millis(200);

impl Controller {
    /// [`Self::watch`] on a task of its own.
    pub(crate) fn spawn_watch(self: &Arc<Self>, broker: BrokerId, epoch: BrokerEpoch, term: u64) {
        let controller = Arc::clone(self);
        tokio::spawn(async move { controller.watch(broker, epoch, term).await });
    }

    /// Watches a broker that has no stream, until it has one: fenced as soon as its port refuses, else when its session's clock
    /// runs out, which began with the last sign of life, or, unheard of in this term, begins now. A process that is killed
    /// closes its connections before its listener, so one dial that finds somebody there proves nothing yet.
    async fn watch(&self, broker: BrokerId, epoch: BrokerEpoch, term: u64) {
        let image = Arc::clone(&self.quorum.images().borrow().image);
        if image
            .broker(broker)
            .is_none_or(|registration| registration.fenced || registration.epoch != epoch)
        {
            self.sessions.remove(broker, epoch);
            return;
        }
        let session = self.sessions.of(broker, epoch);
        let since = session.map_or_else(|| self.sessions.last_sign(broker), |session| session.last_seen);
        // A new controller is first found by those who are looking for it.
        let found_by = self
            .sessions
            .term_began()
            .map(|began| began + self.config.heartbeat_interval * 2);
        let deadline = (since + self.config.session_timeout).max(found_by.unwrap_or(since));
        let mut pause = REDIAL;
        while self.active_term() == Some(term) && self.is_silent(broker, epoch) {
            if self.sessions.early_path_open(broker, epoch) && self.port_refuses(broker).await {
                if self.is_silent(broker, epoch) {
                    tracing::info!(%broker, "its stream is closed and its port refuses: fenced");
                    self.sessions.note_fenced_early(broker, epoch);
                    self.fence(broker, epoch, term).await;
                }
                return;
            }
            let now = Instant::now();
            if now >= deadline {
                if self.is_silent(broker, epoch) && self.is_overdue(broker, epoch) {
                    tracing::info!(%broker, "its session timed out: fenced");
                    self.fence(broker, epoch, term).await;
                }
                return;
            }
            sleep_until(deadline.min(now + pause)).await;
            pause = (pause * 2).min(REDIAL_MAX);
        }
    }

    /// Whether that incarnation is still the registered one, unfenced, and without an open stream.
    fn is_silent(&self, broker: BrokerId, epoch: BrokerEpoch) -> bool {
        let image = Arc::clone(&self.quorum.images().borrow().image);
        let unfenced = image
            .broker(broker)
            .is_some_and(|registration| registration.epoch == epoch && !registration.fenced);
        unfenced && self.sessions.of(broker, epoch).is_none_or(|session| !session.open)
    }

    /// Whether nothing was heard of it for a whole session: an older watcher must not count a short pause of now.
    fn is_overdue(&self, broker: BrokerId, epoch: BrokerEpoch) -> bool {
        let session = self.sessions.of(broker, epoch);
        session.is_none_or(|session| session.last_seen.elapsed() >= self.config.session_timeout)
    }

    async fn port_refuses(&self, broker: BrokerId) -> bool {
        let image = Arc::clone(&self.quorum.images().borrow().image);
        let Some(registration) = image.broker(broker) else {
            return false;
        };
        let listener = registration
            .listener(&self.config.inter_broker_listener)
            .or_else(|| registration.listeners.first());
        let Some(listener) = listener else { return false };
        let address = PeerAddress::new(&listener.host, listener.port);
        self.network.dial(&address, DIAL_TIMEOUT).await == DialOutcome::Refused
    }

    async fn fence(&self, broker: BrokerId, epoch: BrokerEpoch, term: u64) {
        // Until it is written, or no longer called for: a dead broker must not keep its leaderships.
        while self.active_term() == Some(term) && self.is_silent(broker, epoch) {
            self.sessions.remove(broker, epoch);
            let request = FenceBrokerRequest {
                broker_id: broker.0,
                broker_epoch: epoch.0,
            };
            match self.submit(Request::FenceBroker(request)).await {
                Ok(_) => return,
                Err(failure) => tracing::info!(%broker, ?failure, "fencing was not written, trying again"),
            }
            sleep(FENCE_RETRY).await;
        }
    }

    /// Takes a session's stream; returns when the session is over.
    pub(crate) async fn serve_session(&self, link: Link<ControllerToBroker, BrokerToController>) {
        let Link { tx, mut rx } = link;
        let Ok(Some(BrokerToController {
            message: Some(FromBroker::Hello(hello)),
        })) = timeout(HELLO_TIMEOUT, rx.recv()).await
        else {
            return;
        };
        // By each controller, active or not: a broker of another cluster counts them.
        let header = match self.identity.check(hello.header.as_ref()) {
            Ok(header) => header.clone(),
            Err(refusal) => {
                let _ = send(&tx, refused(ErrorCode::InconsistentClusterId, &refusal.to_string())).await;
                return;
            }
        };
        let Some(term) = self.active_term() else {
            let _ = send(&tx, ToBroker::NotActive(self.not_active())).await;
            return;
        };
        match self.admit(&header, hello).await {
            Ok((epoch, applied)) => self.serve(BrokerId(header.node_id), epoch, applied, term, tx, rx).await,
            Err(refusal) => {
                let _ = send(&tx, refusal).await;
            }
        }
    }

    /// Registers a new incarnation, or lets a registered one go on.
    async fn admit(&self, header: &PeerHeader, hello: SessionHello) -> Result<(BrokerEpoch, MetadataOffset), ToBroker> {
        let broker = BrokerId(header.node_id);
        let applied = MetadataOffset(hello.metadata_offset);
        let image = Arc::clone(&self.quorum.images().borrow().image);
        if header.broker_epoch >= 0 {
            let epoch = BrokerEpoch(header.broker_epoch);
            return match image.broker(broker) {
                Some(registration) if registration.epoch == epoch => Ok((epoch, applied)),
                // A deposed controller must not send a healthy broker to its end.
                _ if self.quorum.read_barrier().await.is_err() => Err(ToBroker::NotActive(self.not_active())),
                _ => Err(refused(
                    ErrorCode::StaleBrokerEpoch,
                    "another incarnation of this broker is registered",
                )),
            };
        }
        let Some(register) = hello.register else {
            return Err(refused(
                ErrorCode::InvalidRequest,
                "neither a registration nor an epoch",
            ));
        };
        let lives = self.sessions.lives(broker, self.config.session_timeout)
            || self.may_live_elsewhere(&image, broker, &register).await;
        let request = RegisterBrokerRequest {
            broker_id: broker.0,
            previous_incarnation_lives: lives,
            ..register
        };
        match self.submit(Request::RegisterBroker(request)).await {
            Ok(ControlResponse {
                response: Some(Response::RegisterBroker(response)),
                ..
            }) => Ok((BrokerEpoch(response.broker_epoch), applied)),
            Ok(response) => Err(ToBroker::Refused(SessionRefused {
                error_code: response.error_code,
                message: response.error_message,
            })),
            Err(_) => Err(ToBroker::NotActive(self.not_active())),
        }
    }

    /// Whether the registered incarnation may live though this term hasn't heard of it yet: it was at another address, which
    /// doesn't refuse. Without this a second process with its id would win the moment a controller is elected.
    async fn may_live_elsewhere(
        &self,
        image: &MetadataImage,
        broker: BrokerId,
        register: &RegisterBrokerRequest,
    ) -> bool {
        let Some(registered) = image.broker(broker).filter(|registered| !registered.fenced) else {
            return false;
        };
        let timeout = self.config.session_timeout;
        if !self.sessions.may_be_unheard(broker, registered.epoch, timeout) {
            return false;
        }
        let moved = registered
            .listener(&self.config.inter_broker_listener)
            .is_some_and(|old| {
                let same = |new: &Listener| new.host == old.host && new.port == u32::from(old.port);
                !register.listeners.iter().any(same)
            });
        moved && !self.port_refuses(broker).await
    }

    /// One session, until its stream, this term, or its clock ends.
    async fn serve(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        applied: MetadataOffset,
        term: u64,
        tx: mpsc::Sender<ControllerToBroker>,
        mut rx: LinkReceiver<BrokerToController>,
    ) {
        let stream = self.sessions.begin(broker, epoch, applied);
        let accepted = SessionAccepted {
            broker_epoch: epoch.0,
            heartbeat_interval_ms: millis(self.config.heartbeat_interval),
            session_timeout_ms: millis(self.config.session_timeout),
            cluster_id: self.identity.cluster_id().map(|id| id.0).unwrap_or_default(),
        };
        let mut images = self.quorum.images();
        let mut leadership = self.quorum.leadership();
        let mut sent = applied;
        let mut last_heard = Instant::now();
        let mut going = send(&tx, ToBroker::Accepted(accepted)).await;
        images.mark_changed();
        while going {
            tokio::select! {
                biased;
                message = rx.recv() => {
                    let Some(message) = message else { break };
                    last_heard = Instant::now();
                    if let Some(FromBroker::Heartbeat(heartbeat)) = message.message {
                        if !self.sessions.heard(broker, stream, MetadataOffset(heartbeat.applied_offset)) {
                            return;
                        }
                        going = match self.on_heartbeat(broker, epoch, &heartbeat).await {
                            Some(reply) => send(&tx, ToBroker::Heartbeat(reply)).await,
                            None => false,
                        };
                    }
                }
                changed = images.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    images.borrow_and_update();
                    let (chunks, end) = chunks_after(&self.quorum, sent);
                    sent = end;
                    for chunk in chunks {
                        going = going && send(&tx, ToBroker::Metadata(chunk)).await;
                    }
                }
                changed = leadership.changed() => {
                    leadership.borrow_and_update();
                    if changed.is_err() || self.active_term() != Some(term) {
                        let _ = send(&tx, ToBroker::NotActive(self.not_active())).await;
                        return;
                    }
                }
                () = sleep_until(last_heard + self.config.session_timeout) => {
                    if !self.sessions.closed(broker, stream) {
                        // A newer stream of the same broker took over.
                        return;
                    }
                    tracing::info!(%broker, "its session timed out: fenced");
                    self.fence(broker, epoch, term).await;
                    return;
                }
            }
        }
        if self.active_term() == Some(term) && self.sessions.closed(broker, stream) {
            self.watch(broker, epoch, term).await;
        }
    }

    async fn on_heartbeat(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        heartbeat: &Heartbeat,
    ) -> Option<HeartbeatReply> {
        let image = Arc::clone(&self.quorum.images().borrow().image);
        let registration = image
            .broker(broker)
            .filter(|registration| registration.epoch == epoch)?;
        if !heartbeat.log_ends.is_empty() {
            let reports = self.log_ends.gather(&image, broker, epoch, &heartbeat.log_ends);
            if !reports.partitions.is_empty() {
                let _ = self.submit(Request::ElectLastKnown(reports)).await;
            }
        }
        let lost_directory = registration
            .directories
            .iter()
            .any(|directory| heartbeat.offline_directory_ids.contains(&uuid_bytes(directory.0)));
        if lost_directory || !heartbeat.offline_replicas.is_empty() {
            tracing::warn!(%broker, replicas = heartbeat.offline_replicas.len(), "log directories of it are offline");
            let request = DirectoriesOfflineRequest {
                broker_id: broker.0,
                broker_epoch: epoch.0,
                directory_ids: heartbeat.offline_directory_ids.clone(),
                replicas: heartbeat.offline_replicas.clone(),
            };
            let _ = self.submit(Request::DirectoriesOffline(request)).await;
        }
        let mut reply = HeartbeatReply {
            fenced: registration.fenced,
            may_stop: false,
            remaining_leaderships: 0,
            metadata_offset: image.offset().0,
            lease_ms: 0,
        };
        if heartbeat.want_shutdown {
            let request = ControlledShutdownRequest {
                broker_id: broker.0,
                broker_epoch: epoch.0,
            };
            if let Ok(ControlResponse {
                response: Some(Response::ControlledShutdown(response)),
                ..
            }) = self.submit(Request::ControlledShutdown(request)).await
            {
                reply.may_stop = response.ready_to_stop;
                reply.remaining_leaderships = response.remaining_leaderships;
            }
        } else if registration.fenced && heartbeat.offline_replicas.is_empty() {
            // Not before everybody knows what it can't serve: unfencing elects.
            let request = UnfenceBrokerRequest {
                broker_id: broker.0,
                broker_epoch: epoch.0,
                metadata_offset: heartbeat.applied_offset,
            };
            if let Ok(ControlResponse {
                response: Some(Response::UnfenceBroker(response)),
                ..
            }) = self.submit(Request::UnfenceBroker(request)).await
            {
                reply.fenced = !response.unfenced;
            }
        }
        reply.lease_ms = self.lease_ms();
        Some(reply)
    }

    /// A controller that is parted from its majority goes on answering for a while, when its successor may have fenced the
    /// broker already: its answers mustn't let the broker believe that nobody has (LEASE-1).
    fn lease_ms(&self) -> u32 {
        millis(self.quorum.undisputed_for().min(self.config.session_timeout))
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn refused(code: ErrorCode, message: &str) -> ToBroker {
    ToBroker::Refused(SessionRefused {
        error_code: i32::from(code.code()),
        message: message.to_owned(),
    })
}

/// A broker that takes nothing for so long is stalled; its session's clock goes on.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

async fn send(tx: &mpsc::Sender<ControllerToBroker>, message: ToBroker) -> bool {
    let sent = timeout(SEND_TIMEOUT, tx.send(ControllerToBroker { message: Some(message) })).await;
    matches!(sent, Ok(Ok(())))
}
