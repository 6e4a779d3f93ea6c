//! AlterConfigs (33): a resource's whole configuration at once; what isn't named goes back to its default.

use std::sync::Arc;

use metadata::proto::{AlterConfigsItem, ConfigAlteration, ConfigOperation};
use wire::messages::alter_configs_request::AlterConfigsResource;
use wire::messages::alter_configs_response::AlterConfigsResourceResponse;
use wire::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::config_changes::alter;
use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: AlterConfigsRequest = decode(&header, request.body)?;
    let items = body.resources.iter().map(item).collect();
    let outcomes = alter(&broker, items, body.validate_only).await;
    let responses = body.resources.into_iter().zip(outcomes).map(|(resource, outcome)| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match outcome {
            Ok(()) => response.with_error_message(None),
            Err(refused) => response
                .with_error_code(refused.code.code())
                .with_error_message(refused.text()),
        }
    });
    respond(
        &header,
        &AlterConfigsResponse::default().with_responses(responses.collect()),
    )
}

fn item(resource: &AlterConfigsResource) -> AlterConfigsItem {
    let alterations = resource.configs.iter().map(|config| ConfigAlteration {
        key: config.name.to_string(),
        operation: ConfigOperation::Set.into(),
        value: config.value.as_ref().map(ToString::to_string),
    });
    AlterConfigsItem {
        resource_type: i32::from(resource.resource_type),
        resource_name: resource.resource_name.to_string(),
        alterations: alterations.collect(),
        replace_all: true,
    }
}
