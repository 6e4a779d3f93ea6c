//! The answer to an `ApiVersions` request of a version that is not served (KIP-511).
//!
//! Clients later than Kafka 4.4's open with a version above 5. They understand version 0 in any case and retry with
//! the range that it carries, so this body must stay what Kafka sends: error 35, one entry, response header 0.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::ApiKey;
use types::ErrorCode;

use crate::apis::served_api;
use crate::response::ResponseFrame;

/// A version 0 frame with `UNSUPPORTED_VERSION` and the range of `ApiVersions` alone, as Kafka's
/// `ApiVersionsRequest.getErrorResponse` builds it.
#[must_use]
pub fn api_versions_fallback(correlation_id: i32) -> ResponseFrame {
    let key = ApiKey::ApiVersions as i16;
    let (min, max) = served_api(key).map_or((0, 0), |api| (api.min, api.max));
    let mut frame = BytesMut::with_capacity(FRAME_BYTES);
    frame.put_i32(FRAME_BYTES as i32 - 4);
    frame.put_i32(correlation_id);
    frame.put_i16(ErrorCode::UnsupportedVersion.code());
    frame.put_i32(1);
    frame.put_i16(key);
    frame.put_i16(min);
    frame.put_i16(max);
    ResponseFrame {
        chunks: vec![frame.freeze()],
    }
}

/// Size prefix, correlation id, error code, array count, one entry.
const FRAME_BYTES: usize = 4 + 4 + 2 + 4 + 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_gets_error_35_with_the_range_of_api_versions_only() {
        let expected = [0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5];
        assert_eq!(api_versions_fallback(7).to_bytes()[..], expected);
    }
}
