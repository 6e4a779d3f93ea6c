//! DescribeAcls (29): there is no authorizer, which is to be told apart from having no ACLs.

use std::sync::Arc;

use types::ErrorCode;
use wire::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(_broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let _: DescribeAclsRequest = decode(&header, request.body)?;
    let response = DescribeAclsResponse::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(text("No Authorizer is configured.")));
    respond(&header, &response)
}
