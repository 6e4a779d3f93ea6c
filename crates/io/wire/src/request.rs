//! Typed requests out of frames.
//!
//! The codec allocates by counts that the sender declares, so every body goes through the decode guard first
//! (WIRE-1, WIRE-2). Bytes after the last field are ignored, as in Kafka, whose parser reads what the schema names and
//! leaves the rest.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Request;
use thiserror::Error;

use crate::apis::{request_header_version, served_api};
use crate::beyond_codec::{request_codec_version, request_for_codec};
use crate::decode_guard::{GuardError, check_body, check_header};

/// What precedes each request's body (Kafka's `RequestHeader`, versions 1 and 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Kafka's number of the API.
    pub api_key: i16,
    /// The version of the body. It may be one that is not served: then the header alone can be relied on.
    pub api_version: i16,
    /// Chosen by the client, repeated in the response.
    pub correlation_id: i32,
    /// `client.id`. `None` also for an `ApiVersions` request of an unknown version, whose header is not read further.
    pub client_id: Option<String>,
}

/// Why a request cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The key is none of Kafka's, or one that is not served. Kafka closes the connection.
    #[error("api key {api_key} is not served")]
    UnknownApi {
        /// The key on the wire.
        api_key: i16,
    },
    /// The version is outside the served range. The answer is `UNSUPPORTED_VERSION` (35) where the API's response can
    /// carry it; for `ApiVersions` it is [`crate::api_versions_fallback`].
    #[error("version {version} of api key {api_key} is not served")]
    UnsupportedVersion {
        /// The API.
        api_key: i16,
        /// The version on the wire.
        version: i16,
    },
    /// The bytes are no request of this API and version. Kafka closes the connection.
    #[error("malformed request (api key {api_key}, version {version}): {reason}")]
    Malformed {
        /// The API; -1 when not even the key could be read.
        api_key: i16,
        /// The version on the wire; -1 when it could not be read.
        version: i16,
        /// What is wrong, and where.
        reason: MalformedReason,
    },
}

/// What is wrong with a malformed request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MalformedReason {
    /// The decode guard refused it.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The guard accepted it but the codec did not.
    #[error("the codec refuses it: {0}")]
    Codec(String),
}

/// Reads the header and leaves `frame` at the body.
///
/// An `ApiVersions` request of a version above the served ones is read leniently (its first 8 bytes only): the client
/// may use a header that does not exist yet, and it must get the fallback answer in any case (KIP-511).
///
/// # Errors
/// [`DecodeError::UnknownApi`] for a key that Kafka does not have, [`DecodeError::Malformed`] for anything unreadable.
pub fn decode_header(frame: &mut Bytes) -> Result<RequestHeader, DecodeError> {
    let (api_key, api_version, correlation_id) = {
        let mut peek: &[u8] = frame;
        match (peek.try_get_i16(), peek.try_get_i16(), peek.try_get_i32()) {
            (Ok(key), Ok(version), Ok(correlation_id)) => (key, version, correlation_id),
            _ => return Err(malformed(-1, -1, GuardError::header_cut())),
        }
    };
    let lenient =
        api_key == ApiKey::ApiVersions as i16 && !served_api(api_key).is_some_and(|api| api.serves(api_version));
    if lenient {
        frame.clear();
        return Ok(RequestHeader {
            api_key,
            api_version,
            correlation_id,
            client_id: None,
        });
    }
    let Some(header_version) = request_header_version(api_key, api_version) else {
        return Err(DecodeError::UnknownApi { api_key });
    };
    let header = check_header(header_version, frame).map_err(|error| malformed(api_key, api_version, error))?;
    let client_id = header.client_id.map(str::to_owned);
    let length = header.length;
    frame.advance(length);
    Ok(RequestHeader {
        api_key,
        api_version,
        correlation_id,
        client_id,
    })
}

/// Decodes a body whose header said `version`, after the guard has walked it. Byte fields (the records of Produce) are
/// slices of `body`.
///
/// # Errors
/// [`DecodeError::UnknownApi`] and [`DecodeError::UnsupportedVersion`] for what [`crate::served_apis`] lacks,
/// [`DecodeError::Malformed`] for the rest.
pub fn decode_body<T: Request>(version: i16, mut body: Bytes) -> Result<T, DecodeError> {
    let api_key = T::KEY;
    let Some(api) = served_api(api_key) else {
        return Err(DecodeError::UnknownApi { api_key });
    };
    if !api.serves(version) {
        return Err(DecodeError::UnsupportedVersion { api_key, version });
    }
    let length = check_body(api_key, version, &body).map_err(|error| malformed(api_key, version, error))?;
    body.truncate(length);
    let refused = |reason: String| DecodeError::Malformed {
        api_key,
        version,
        reason: MalformedReason::Codec(reason),
    };
    let mut body =
        request_for_codec(api_key, version, body).ok_or_else(|| refused("it ends within a field".to_owned()))?;
    T::decode(&mut body, request_codec_version(api_key, version)).map_err(|error| refused(error.to_string()))
}

fn malformed(api_key: i16, version: i16, error: GuardError) -> DecodeError {
    DecodeError::Malformed {
        api_key,
        version,
        reason: MalformedReason::Guard(error),
    }
}
