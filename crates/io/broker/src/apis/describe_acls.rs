//! DescribeAcls (29): there is no authorizer, which is to be told apart from having no ACLs.

use std::sync::Arc;

use types::ErrorCode;
use wire::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

/// Kafka's words for it.
pub(super) const NO_AUTHORIZER: &str = "No Authorizer is configured.";

pub(super) async fn handle(_broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let _: DescribeAclsRequest = decode(&header, request.body)?;
    let response = DescribeAclsResponse::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(text(NO_AUTHORIZER)));
    respond(&header, &response)
}
