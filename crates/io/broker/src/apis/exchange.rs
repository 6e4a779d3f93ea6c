//! From a request's bytes to its message, and from an answer to its frame: the same two steps for every API.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use thiserror::Error;
use types::{TopicId, TopicName};
use wire::protocol::{Encodable, Message, Request, StrBytes};
use wire::{DecodeError, EncodeError, RequestHeader, ResponseFrame, decode_body, encode_response};

/// What a handler hands back: a frame, nothing (acks=0), or why the connection is to be closed.
pub(crate) type Handled = Result<Option<ResponseFrame>, ApiFault>;
/// A handler's work.
pub(crate) type Handling = BoxFuture<'static, Handled>;

/// Why a connection is closed instead of answered, as Kafka does where its protocol has no place for the error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ApiFault {
    /// Unreadable, unknown, or of a version that isn't served.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A fault of ours: the answer can't be written in this version.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A produce request with acks=0 failed: closing is the only way to tell (as Kafka's `closeConnection`).
    #[error("a produce request with acks=0 failed: {0}")]
    UnacknowledgedFailure(String),
}

/// The longest that a request waits for the controller, whatever its client allows.
pub(crate) const CONTROLLER_WAIT_MAX: Duration = Duration::from_secs(30);

/// The request's message.
pub(crate) fn decode<T: Request>(header: &RequestHeader, body: Bytes) -> Result<T, ApiFault> {
    Ok(decode_body(header.api_version, body)?)
}

/// The answer's frame.
pub(crate) fn respond<T: Encodable + Message>(header: &RequestHeader, response: &T) -> Handled {
    Ok(Some(encode_response(
        header.api_key,
        header.api_version,
        header.correlation_id,
        response,
    )?))
}

/// Text for the wire.
pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A topic's name for the wire.
pub(crate) fn wire_topic(name: &TopicName) -> wire::messages::TopicName {
    wire::messages::TopicName(text(name.as_str()))
}

/// A topic's name from the wire.
pub(crate) fn topic_name(name: &wire::messages::TopicName) -> TopicName {
    TopicName::new(name.0.as_str())
}

/// A topic's id from the wire; all zeroes is none.
pub(crate) fn topic_id(id: types::Uuid) -> Option<TopicId> {
    (!id.is_nil()).then_some(TopicId(id))
}

/// A client's timeout; a negative one counts as none.
pub(crate) fn timeout(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}
