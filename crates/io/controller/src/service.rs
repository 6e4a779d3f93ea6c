//! What the network reaches of a controller.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metadata::proto::control_request::Request;
use metadata::proto::{ControlRequest, ControlResponse};
use rpc::proto::control_reply::Outcome;
use rpc::proto::{
    BrokerToController, ChangeVotersCall, ChangeVotersReply, ControlCall, ControlReply, ControllerToBroker, NotActive,
    QuorumStatusCall, QuorumStatusReply, RaftCall, RaftReply,
};
use rpc::{ControllerService, Link, Network, PeerIdentity, RaftService, Refused};
use tokio::time::{Instant, sleep_until};
use types::{BrokerId, ErrorCode, MetadataOffset};

use crate::active::ControllerConfig;
use crate::log_ends::LogEnds;
use crate::raft::MetadataQuorum;
use crate::sessions::Sessions;
use crate::writer::{WriteFailure, Writer, WriterHandle};

/// How long a client's answer waits for the brokers to have applied the change (promise META).
const APPLIED_EVERYWHERE: Duration = Duration::from_secs(1);

/// A controller: active or not.
#[derive(Debug)]
pub struct Controller {
    pub(crate) quorum: MetadataQuorum,
    pub(crate) identity: PeerIdentity,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) config: Arc<ControllerConfig>,
    writer: WriterHandle,
    pub(crate) sessions: Sessions,
    pub(crate) log_ends: LogEnds,
}

impl Controller {
    /// Starts the controller's tasks on the current runtime.
    #[must_use]
    pub fn start(
        quorum: MetadataQuorum,
        identity: PeerIdentity,
        network: Arc<dyn Network>,
        config: ControllerConfig,
    ) -> Arc<Self> {
        let config = Arc::new(config);
        let (writer, requests) = WriterHandle::channel();
        tokio::spawn(Writer::new(quorum.clone(), Arc::clone(&config)).run(requests));
        let controller = Arc::new(Self {
            quorum,
            identity,
            network,
            config,
            writer,
            sessions: Sessions::new(),
            log_ends: LogEnds::default(),
        });
        tokio::spawn(Arc::clone(&controller).watch_leadership());
        controller
    }

    /// The quorum below.
    #[must_use]
    pub fn quorum(&self) -> &MetadataQuorum {
        &self.quorum
    }

    pub(crate) fn config(&self) -> &ControllerConfig {
        &self.config
    }

    pub(crate) fn writer(&self) -> &WriterHandle {
        &self.writer
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn not_active(&self) -> NotActive {
        let leadership = self.quorum.leadership().borrow().clone();
        match leadership.leader {
            Some((id, address)) => NotActive {
                leader_id: id.0,
                host: address.host,
                port: u32::from(address.port),
            },
            None => NotActive {
                leader_id: -1,
                host: String::new(),
                port: 0,
            },
        }
    }

    pub(crate) fn active_term(&self) -> Option<u64> {
        let leadership = self.quorum.leadership();
        let leadership = leadership.borrow();
        leadership.active.then_some(leadership.term)
    }

    /// Waits, at most [`APPLIED_EVERYWHERE`], until every unfenced broker has applied `offset`. Only the reply waits.
    async fn applied_everywhere(&self, offset: MetadataOffset) {
        let deadline = Instant::now() + APPLIED_EVERYWHERE;
        let mut progress = self.sessions.progress();
        loop {
            progress.borrow_and_update();
            let image = Arc::clone(&self.quorum.images().borrow().image);
            let unfenced: Vec<BrokerId> = image
                .brokers()
                .filter(|broker| !broker.fenced)
                .map(|broker| broker.id)
                .collect();
            let laggards = self.sessions.laggards(&unfenced, offset);
            if laggards.is_empty() {
                return;
            }
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return },
                () = sleep_until(deadline) => {
                    tracing::warn!(?laggards, %offset, "answered before these brokers had applied the change");
                    return;
                }
            }
        }
    }

    pub(crate) async fn submit(&self, request: impl Into<ControlRequest>) -> Result<ControlResponse, WriteFailure> {
        self.writer.submit(request.into()).await
    }
}

#[async_trait]
impl RaftService for Controller {
    async fn call(&self, call: RaftCall) -> Result<RaftReply, Refused> {
        self.identity
            .check_protocol(call.header.as_ref())
            .map_err(|refusal| Refused(refusal.to_string()))?;
        Ok(RaftReply {
            payload: self.quorum.handle(call.payload).await,
        })
    }
}

/// Whether a client waits for it, so that it must be visible on every broker when answered (promise META).
fn is_clients_change(request: &Request) -> bool {
    matches!(
        request,
        Request::CreateTopics(_)
            | Request::DeleteTopics(_)
            | Request::CreatePartitions(_)
            | Request::AlterConfigs(_)
            | Request::ElectLeaders(_)
            | Request::AlterPartitionReassignments(_)
            | Request::UnregisterBroker(_)
            | Request::AlterClientQuotas(_)
            | Request::UpdateFeatures(_)
    )
}

/// What the network may ask for; the rest is the controller's own, or belongs to a session.
fn is_open_to_the_network(request: &Request) -> bool {
    is_clients_change(request) || matches!(request, Request::AlterPartition(_) | Request::AllocateProducerIds(_))
}

#[async_trait]
impl ControllerService for Controller {
    async fn call(&self, call: ControlCall) -> Result<ControlReply, Refused> {
        self.identity
            .check(call.header.as_ref())
            .map_err(|refusal| Refused(refusal.to_string()))?;
        let Some(request) = call.request else {
            return Err(Refused("the call carries no request".to_owned()));
        };
        let Some(kind) = &request.request else {
            return Err(Refused("the call carries a request of an unknown kind".to_owned()));
        };
        if !is_open_to_the_network(kind) {
            return Err(Refused("this request is the controller's own".to_owned()));
        }
        let visible = is_clients_change(kind);
        if self.active_term().is_none() {
            return Ok(ControlReply {
                outcome: Some(Outcome::NotActive(self.not_active())),
            });
        }
        match self.submit(request).await {
            Ok(response) => {
                if visible {
                    self.applied_everywhere(MetadataOffset(response.metadata_offset)).await;
                }
                Ok(ControlReply {
                    outcome: Some(Outcome::Response(response)),
                })
            }
            Err(WriteFailure::NotActive) => Ok(ControlReply {
                outcome: Some(Outcome::NotActive(self.not_active())),
            }),
            Err(WriteFailure::Unknown) => {
                let response = ControlResponse {
                    error_code: i32::from(ErrorCode::RequestTimedOut.code()),
                    error_message: "the active controller changed; the change may or may not have been made".to_owned(),
                    ..ControlResponse::default()
                };
                Ok(ControlReply {
                    outcome: Some(Outcome::Response(response)),
                })
            }
        }
    }

    async fn quorum_status(&self, call: QuorumStatusCall) -> Result<QuorumStatusReply, Refused> {
        self.identity
            .check(call.header.as_ref())
            .map_err(|refusal| Refused(refusal.to_string()))?;
        Ok(self.describe_quorum())
    }

    async fn change_voters(&self, call: ChangeVotersCall) -> Result<ChangeVotersReply, Refused> {
        self.identity
            .check(call.header.as_ref())
            .map_err(|refusal| Refused(refusal.to_string()))?;
        Ok(self.change_quorum(call).await)
    }

    async fn session(&self, link: Link<ControllerToBroker, BrokerToController>) {
        self.serve_session(link).await;
    }
}
