//! ApiVersions (18): what is served. Derived from the table; Produce is listed from 0 (KAFKA-18659).
//!
//! A feature that isn't served isn't shown: a finalised `transaction.version` would make producers use the second transaction protocol.

use std::sync::Arc;

use metadata::MetadataImage;
use metadata::features::KAFKA_FEATURES;
use types::ErrorCode;
use wire::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use wire::{advertised_min_version, meant_node};

use super::exchange::{Handled, decode, respond, text};
use super::table;
use crate::context::{ApiRequest, BrokerContext};

const FIRST_VERSION_WITH_FEATURES: i16 = 3;
/// Clients before take a lowest level of 0 for a fault (KAFKA-17011).
const FIRST_VERSION_WITH_ZERO: i16 = 4;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: ApiVersionsRequest = decode(&header, request.body.clone())?;
    if let Err(error) = check_meant(&broker, meant_node(header.api_version, &request.body)) {
        return respond(&header, &ApiVersionsResponse::default().with_error_code(error.code()));
    }
    let named = header.api_version < 3
        || (is_software_name(&body.client_software_name) && is_software_name(&body.client_software_version));
    if !named {
        return respond(
            &header,
            &ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code()),
        );
    }
    respond(&header, &response(&broker.host.image.load(), header.api_version))
}

/// Whether the client found the node that it looks for (KIP-1242): at an address that was given to another cluster, or another node, it
/// would go on with what it knows of the old one. It names both, or neither.
fn check_meant(broker: &BrokerContext, meant: (Option<String>, i32)) -> Result<(), ErrorCode> {
    match meant {
        (None, ..0) => Ok(()),
        (Some(_), ..0) | (None, 0..) => Err(ErrorCode::InvalidRequest),
        (Some(cluster), node) => {
            let image = broker.host.image.load();
            let ours = image.cluster_id().is_none_or(|ours| ours.0 == cluster);
            if ours && node == broker.host.local.0 {
                Ok(())
            } else {
                Err(ErrorCode::RebootstrapRequired)
            }
        }
    }
}

fn response(image: &MetadataImage, version: i16) -> ApiVersionsResponse {
    let keys = table::served().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key)
            .with_min_version(advertised_min_version(api))
            .with_max_version(api.max)
    });
    let response = ApiVersionsResponse::default().with_api_keys(keys.collect());
    if version < FIRST_VERSION_WITH_FEATURES {
        return response;
    }
    let level = |level: u16| i16::try_from(level).unwrap_or(i16::MAX);
    let supported = KAFKA_FEATURES
        .iter()
        .filter(|feature| feature.min > 0 || version >= FIRST_VERSION_WITH_ZERO);
    let supported = supported.map(|feature| {
        SupportedFeatureKey::default()
            .with_name(text(feature.name))
            .with_min_version(level(feature.min))
            .with_max_version(level(feature.max))
    });
    let finalized = KAFKA_FEATURES.iter().filter_map(|feature| {
        let finalized = Some(feature.level(image)).filter(|level| *level > 0)?;
        Some(
            FinalizedFeatureKey::default()
                .with_name(text(feature.name))
                .with_min_version_level(level(finalized))
                .with_max_version_level(level(finalized)),
        )
    });
    response
        .with_supported_features(supported.collect())
        .with_finalized_features(finalized.collect())
        .with_finalized_features_epoch(image.offset().0)
}

/// Kafka's rule for software names and versions (KIP-511): letters, digits, and inside also `-` and `.`.
fn is_software_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn produce_is_listed_from_zero_and_features_only_where_clients_bear_them() {
        let image = MetadataImage::new();
        for version in 0..=5 {
            let response = response(&image, version);
            let produce = response.api_keys.iter().find(|api| api.api_key == 0).unwrap();
            assert_eq!((produce.min_version, produce.max_version), (0, 13));
            let zero = response
                .supported_features
                .iter()
                .any(|feature| feature.min_version == 0);
            assert_eq!(zero, version >= FIRST_VERSION_WITH_ZERO);
            assert_eq!(
                response.finalized_features.is_empty(),
                version < FIRST_VERSION_WITH_FEATURES
            );
            let transactions = |name: &str| name == "transaction.version";
            assert!(
                !response
                    .finalized_features
                    .iter()
                    .any(|feature| transactions(&feature.name))
            );
            wire::encode_response(18, version, 1, &response).unwrap();
        }
    }

    #[test]
    fn software_names_follow_kafkas_rule() {
        for name in ["apache-kafka-java", "4.4.0", "a"] {
            assert!(is_software_name(name), "{name}");
        }
        for name in ["", "-a", "a.", "a b", "ä"] {
            assert!(!is_software_name(name), "{name}");
        }
    }
}
