//! CreateAcls (30): refused one by one, for there is no authorizer that would keep them.

use std::sync::Arc;

use types::ErrorCode;
use wire::messages::create_acls_response::AclCreationResult;
use wire::messages::{CreateAclsRequest, CreateAclsResponse};

use super::describe_acls::NO_AUTHORIZER;
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(_broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: CreateAclsRequest = decode(&header, request.body)?;
    let results = body.creations.iter().map(|_| {
        AclCreationResult::default()
            .with_error_code(ErrorCode::SecurityDisabled.code())
            .with_error_message(Some(text(NO_AUTHORIZER)))
    });
    respond(&header, &CreateAclsResponse::default().with_results(results.collect()))
}
