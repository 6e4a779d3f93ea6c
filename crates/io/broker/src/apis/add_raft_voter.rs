//! AddRaftVoter (80, KIP-853): an observer of the metadata quorum becomes a voter.

use std::sync::Arc;

use rpc::proto::ChangeVotersCall;
use wire::messages::{AddRaftVoterRequest, AddRaftVoterResponse};

use super::change_voters::change_voters;
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: AddRaftVoterRequest = decode(&header, request.body)?;
    // The first is the one that the other voters dial, as in Kafka.
    let listener = body.listeners.first();
    let change = ChangeVotersCall {
        node_id: body.voter_id,
        directory_id: body.voter_directory_id.as_bytes().to_vec().into(),
        host: listener.map(|listener| listener.host.to_string()).unwrap_or_default(),
        port: listener.map_or(0, |listener| u32::from(listener.port)),
        ..ChangeVotersCall::default()
    };
    let response = match change_voters(&broker, body.cluster_id.as_deref(), change, body.timeout_ms).await {
        Ok(()) => AddRaftVoterResponse::default(),
        Err(refused) => AddRaftVoterResponse::default()
            .with_error_code(refused.code.code())
            .with_error_message(refused.text()),
    };
    respond(&header, &response)
}
