//! Requests to whichever controller is active.

use std::sync::Arc;
use std::time::Duration;

use metadata::proto::{ControlRequest, ControlResponse};
use parking_lot::Mutex;
use rpc::proto::control_reply::Outcome;
use rpc::proto::{ChangeVotersCall, ChangeVotersReply, ControlCall, NotActive, QuorumStatusCall, QuorumStatusReply};
use rpc::{Network, NetworkError, PeerAddress, PeerIdentity};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::partition::PartitionHost;

/// Pause before the next controller is asked when none was active: an election takes tens of milliseconds.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// One attempt waits at most this, so that a silent controller doesn't use up the whole deadline.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControllerError {
    /// No controller was active before the deadline.
    #[error("no active controller answered in time")]
    NoController,
    /// A controller was reached, but its answer wasn't: the change may have been made.
    #[error("the active controller's answer was lost: {0}")]
    Unknown(String),
}

/// Where the controllers are; the active one is remembered.
#[derive(Debug)]
pub struct ControllerClient {
    network: Arc<dyn Network>,
    identity: PeerIdentity,
    host: Arc<PartitionHost>,
    controllers: Vec<PeerAddress>,
    active: Mutex<Option<PeerAddress>>,
}

impl ControllerClient {
    /// Over the controllers that the configuration names.
    #[must_use]
    pub fn new(
        network: Arc<dyn Network>,
        identity: PeerIdentity,
        host: Arc<PartitionHost>,
        controllers: Vec<PeerAddress>,
    ) -> Self {
        Self {
            network,
            identity,
            host,
            controllers,
            active: Mutex::new(None),
        }
    }

    /// The controllers to ask, the one last known as active first.
    #[must_use]
    pub fn candidates(&self) -> Vec<PeerAddress> {
        let active = self.active.lock().clone();
        let mut candidates: Vec<PeerAddress> = active.into_iter().collect();
        for controller in &self.controllers {
            if !candidates.contains(controller) {
                candidates.push(controller.clone());
            }
        }
        candidates
    }

    /// A controller answered as the active one.
    pub fn note_active(&self, address: &PeerAddress) {
        *self.active.lock() = Some(address.clone());
    }

    /// A controller isn't active; it may know who is.
    pub fn note_not_active(&self, answer: &NotActive) {
        let port = u16::try_from(answer.port).unwrap_or(0);
        *self.active.lock() = (answer.leader_id >= 0 && port > 0).then(|| PeerAddress::new(&answer.host, port));
    }

    /// Asks until an active controller answers or the deadline passes. A change whose answer was lost is not asked
    /// again, unless `request` is compare-and-set: the caller decides.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn request(
        &self,
        request: impl Into<ControlRequest>,
        deadline: Duration,
    ) -> Result<ControlResponse, ControllerError> {
        let request = request.into();
        let until = Instant::now() + deadline;
        loop {
            for address in self.candidates() {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ControllerError::NoController);
                }
                let call = ControlCall {
                    header: Some(self.identity.header(self.host.broker_epoch())),
                    request: Some(request.clone()),
                    deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
                };
                match self
                    .network
                    .control(&address, call, left.min(ATTEMPT.max(deadline / 2)))
                    .await
                {
                    Ok(reply) => match reply.outcome {
                        Some(Outcome::Response(response)) => {
                            self.note_active(&address);
                            return Ok(response);
                        }
                        Some(Outcome::NotActive(answer)) => {
                            self.note_not_active(&answer);
                        }
                        None => {}
                    },
                    Err(NetworkError::Timeout { .. }) => {
                        return Err(ControllerError::Unknown("no answer in time".to_owned()));
                    }
                    Err(NetworkError::Refused { reason, .. }) => {
                        tracing::warn!(%address, reason, "a controller refused the request");
                    }
                    Err(NetworkError::Unreachable { .. }) => {
                        let mut active = self.active.lock();
                        if active.as_ref() == Some(&address) {
                            *active = None;
                        }
                    }
                }
            }
            sleep(RETRY_PAUSE.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Has the active controller change the voters. What was sent and not answered may have been done.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn change_voters(
        &self,
        change: ChangeVotersCall,
        deadline: Duration,
    ) -> Result<ChangeVotersReply, ControllerError> {
        let until = Instant::now() + deadline;
        loop {
            for address in self.candidates() {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ControllerError::NoController);
                }
                let call = ChangeVotersCall {
                    header: Some(self.identity.header(self.host.broker_epoch())),
                    ..change.clone()
                };
                match self.network.change_voters(&address, call, left).await {
                    Ok(reply) => match &reply.not_active {
                        None => return Ok(reply),
                        Some(answer) => self.note_not_active(answer),
                    },
                    Err(NetworkError::Timeout { .. }) => {
                        return Err(ControllerError::Unknown("no answer in time".to_owned()));
                    }
                    Err(NetworkError::Refused { reason, .. }) => {
                        tracing::warn!(%address, reason, "a controller refused the request");
                    }
                    Err(NetworkError::Unreachable { .. }) => {
                        let mut active = self.active.lock();
                        if active.as_ref() == Some(&address) {
                            *active = None;
                        }
                    }
                }
            }
            sleep(RETRY_PAUSE.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// The quorum as the active controller sees it.
    ///
    /// # Errors
    /// When no controller answered.
    pub async fn quorum_status(&self, deadline: Duration) -> Result<QuorumStatusReply, ControllerError> {
        let until = Instant::now() + deadline;
        loop {
            for address in self.candidates() {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ControllerError::NoController);
                }
                let call = QuorumStatusCall {
                    header: Some(self.identity.header(self.host.broker_epoch())),
                };
                if let Ok(reply) = self.network.quorum_status(&address, call, left.min(ATTEMPT)).await {
                    match &reply.not_active {
                        None => return Ok(reply),
                        Some(answer) => self.note_not_active(answer),
                    }
                }
            }
            sleep(RETRY_PAUSE.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }
}
