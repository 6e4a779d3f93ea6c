//! UpdateFeatures (57, KIP-584): levels of the features that can be turned on and off.

use std::sync::Arc;

use metadata::proto;
use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{FeatureUpdate, UpgradeType};
use types::ErrorCode;
use wire::messages::update_features_response::UpdatableFeatureResult;
use wire::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::controller_call::{ask_controller, mismatched};
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

/// Before, a request is an upgrade; what it says of downgrades counts no more, as in Kafka 4.
const FIRST_VERSION_WITH_TYPE: i16 = 1;
/// From this version on there is one outcome for all.
const FIRST_VERSION_WITHOUT_RESULTS: i16 = 2;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: UpdateFeaturesRequest = decode(&header, request.body)?;
    let updates = body.feature_updates.iter().map(|update| FeatureUpdate {
        name: update.feature.to_string(),
        level: i32::from(update.max_version_level),
        upgrade_type: if header.api_version >= FIRST_VERSION_WITH_TYPE {
            i32::from(update.upgrade_type)
        } else {
            UpgradeType::Upgrade.into()
        },
    });
    let asked = proto::UpdateFeaturesRequest {
        updates: updates.collect(),
        validate_only: body.validate_only,
    };
    let refused = match ask_controller(&broker, Request::UpdateFeatures(asked), body.timeout_ms).await {
        Ok(Response::UpdateFeatures(_)) => None,
        Ok(_) => Some(mismatched()),
        Err(refused) => Some(refused),
    };
    let response = match refused {
        None if header.api_version < FIRST_VERSION_WITHOUT_RESULTS => {
            let results = body.feature_updates.into_iter().map(|update| {
                UpdatableFeatureResult::default()
                    .with_feature(update.feature)
                    .with_error_code(ErrorCode::None.code())
                    .with_error_message(Some(text("NONE")))
            });
            UpdateFeaturesResponse::default()
                .with_error_message(None)
                .with_results(results.collect())
        }
        None => UpdateFeaturesResponse::default().with_error_message(None),
        Some(refused) => UpdateFeaturesResponse::default()
            .with_error_code(refused.code.code())
            .with_error_message(refused.text()),
    };
    respond(&header, &response)
}
