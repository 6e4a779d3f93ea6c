//! ApiVersions (18): what is served. Derived from the table; Produce is listed from 0 (KAFKA-18659).
//!
//! No features are shown: a finalised `transaction.version` would make producers use the second transaction protocol,
//! and clients take an empty list for "unknown".

use std::sync::Arc;

use types::ErrorCode;
use wire::advertised_min_version;
use wire::messages::api_versions_response::ApiVersion;
use wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::exchange::{Handled, decode, respond};
use super::table;
use crate::context::{ApiRequest, BrokerContext};

pub(super) async fn handle(_broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: ApiVersionsRequest = decode(&header, request.body)?;
    let named = header.api_version < 3
        || (is_software_name(&body.client_software_name) && is_software_name(&body.client_software_version));
    if !named {
        return respond(
            &header,
            &ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code()),
        );
    }
    respond(&header, &response())
}

fn response() -> ApiVersionsResponse {
    let keys = table::served().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key)
            .with_min_version(advertised_min_version(api))
            .with_max_version(api.max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
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
    fn produce_is_listed_from_zero_and_no_feature_is_promised() {
        let response = response();
        let produce = response.api_keys.iter().find(|api| api.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        assert!(response.finalized_features.is_empty() && response.supported_features.is_empty());
        for version in 0..=4 {
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
