//! Kafka's wire, both halves: frames, decode guard, typed requests and responses, and a small client.
//!
//! A request takes this way: [`FrameReader`] (bounded by `socket.request.max.bytes`) → [`decode_header`] →
//! [`decode_body`], which walks the body with the decode guard before the codec sees it → the broker's `apis/` →
//! [`encode_response`] or [`FetchResponse::encode`] → [`write_frame`].
//!
//! - WIRE-1: nothing is allocated because a number on the wire says so; only bytes that have arrived justify memory.
//! - WIRE-2: no byte sequence from the network panics or aborts the process.
//! - WIRE-3: record bytes are never copied, neither out of a Produce request nor into a Fetch response.
//! - WIRE-4: a response's header version follows from (api key, version); that of `ApiVersions` is always 0.
//!
//! `kafka-protocol`'s types leave this crate only towards `broker/apis` and the operator's commands, which name them
//! through [`messages`] and [`protocol`].

mod api_versions;
mod apis;
mod beyond_codec;
mod client;
mod decode_guard;
mod fetch_response;
mod frame;
mod request;
mod response;
mod write;

pub use api_versions::api_versions_fallback;
pub use apis::{
    ApiKey, ServedApi, advertised_min_version, request_header_version, response_header_version, served_api, served_apis,
};
pub use beyond_codec::{TopicReference, meant_node, topic_reference};
pub use client::{ApiRange, Client, ClientError};
pub use decode_guard::{DECODED_ELEMENTS_MAX, GuardError, Violation, check_body};
pub use fetch_response::{
    FetchAbortedTransaction, FetchEpochEnd, FetchLeader, FetchNodeEndpoint, FetchPartition, FetchResponse,
    FetchSnapshotId, FetchTopic,
};
pub use frame::{FrameError, FrameReader, NotKafka, SOCKET_REQUEST_MAX_BYTES_DEFAULT};
pub use kafka_protocol::messages;
pub use kafka_protocol::protocol;
pub use request::{DecodeError, MalformedReason, RequestHeader, decode_body, decode_header};
pub use response::{EncodeError, ResponseFrame, encode_response};
pub use write::write_frame;
