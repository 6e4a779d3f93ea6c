//! DeleteAcls (31): refused filter by filter, for there is no authorizer that would have any.

use std::sync::Arc;

use types::ErrorCode;
use wire::messages::delete_acls_response::DeleteAclsFilterResult;
use wire::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::describe_acls::NO_AUTHORIZER;
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(_broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DeleteAclsRequest = decode(&header, request.body)?;
    let results = body.filters.iter().map(|_| {
        DeleteAclsFilterResult::default()
            .with_error_code(ErrorCode::SecurityDisabled.code())
            .with_error_message(Some(text(NO_AUTHORIZER)))
    });
    respond(
        &header,
        &DeleteAclsResponse::default().with_filter_results(results.collect()),
    )
}
