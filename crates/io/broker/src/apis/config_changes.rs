//! What AlterConfigs and IncrementalAlterConfigs have in common: one change a resource, decided by the controller.

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{AlterConfigsItem, AlterConfigsRequest};
use types::ErrorCode;

use super::controller_call::{DEFAULT_TIMEOUT_MS, Refused, ask_controller, error_code, mismatched};
use crate::context::BrokerContext;

/// Names a resource within a request.
type ResourceKey = (i32, String);

/// Applies the changes. One outcome an item, in their order; a resource that is named twice is refused each time.
pub(super) async fn alter(
    broker: &BrokerContext,
    items: Vec<AlterConfigsItem>,
    validate_only: bool,
) -> Vec<Result<(), Refused>> {
    let keys: Vec<ResourceKey> = items
        .iter()
        .map(|item| (item.resource_type, item.resource_name.clone()))
        .collect();
    let twice = |key: &ResourceKey| keys.iter().filter(|other| *other == key).count() > 1;
    let unique: Vec<bool> = keys.iter().map(|key| !twice(key)).collect();
    let resources: Vec<AlterConfigsItem> = items
        .into_iter()
        .zip(&unique)
        .filter_map(|(item, unique)| unique.then_some(item))
        .collect();
    let mut decided = decide(broker, resources, validate_only).await.into_iter();
    let outcomes = unique.into_iter().map(|unique| {
        if unique {
            decided.next().unwrap_or_else(|| Err(mismatched()))
        } else {
            Err(Refused::new(
                ErrorCode::InvalidRequest,
                "Each resource must appear at most once.",
            ))
        }
    });
    outcomes.collect()
}

async fn decide(
    broker: &BrokerContext,
    resources: Vec<AlterConfigsItem>,
    validate_only: bool,
) -> Vec<Result<(), Refused>> {
    let count = resources.len();
    if count == 0 {
        return Vec::new();
    }
    let asked = Request::AlterConfigs(AlterConfigsRequest {
        resources,
        validate_only,
    });
    let refused = match ask_controller(broker, asked, DEFAULT_TIMEOUT_MS).await {
        Ok(Response::AlterConfigs(answer)) if answer.resources.len() == count => {
            let outcomes = answer
                .resources
                .into_iter()
                .map(|result| match error_code(result.error_code) {
                    ErrorCode::None => Ok(()),
                    code => Err(Refused::new(code, result.error_message)),
                });
            return outcomes.collect();
        }
        Ok(_) => mismatched(),
        Err(refused) => refused,
    };
    vec![Err(refused); count]
}
