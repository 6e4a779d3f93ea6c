//! RemoveRaftVoter (81, KIP-853): a voter of the metadata quorum is one no longer.

use std::sync::Arc;

use rpc::proto::ChangeVotersCall;
use wire::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};

use super::change_voters::change_voters;
use super::controller_call::DEFAULT_TIMEOUT_MS;
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: RemoveRaftVoterRequest = decode(&header, request.body)?;
    let change = ChangeVotersCall {
        node_id: body.voter_id,
        directory_id: body.voter_directory_id.as_bytes().to_vec().into(),
        remove: true,
        ..ChangeVotersCall::default()
    };
    let response = match change_voters(&broker, body.cluster_id.as_deref(), change, DEFAULT_TIMEOUT_MS).await {
        Ok(()) => RemoveRaftVoterResponse::default(),
        Err(refused) => RemoveRaftVoterResponse::default()
            .with_error_code(refused.code.code())
            .with_error_message(refused.text()),
    };
    respond(&header, &response)
}
