//! Typed responses into frames.
//!
//! A frame is a chain of slices, so that records go out of a Fetch response without a copy (WIRE-3); see
//! [`crate::FetchResponse`] for that encoder. Everything else is small and encoded by the codec into one chunk.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, Message};
use thiserror::Error;

use crate::apis::response_header_version;
use crate::beyond_codec::{codec_version, response_from_codec};

/// A response ready for the socket: the size prefix, the header and the body, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseFrame {
    /// Written one after the other; none is empty.
    pub chunks: Vec<Bytes>,
}

impl ResponseFrame {
    /// The bytes on the wire, size prefix included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(Bytes::is_empty)
    }

    /// Copies the chain into one piece. For tests and small frames.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.len());
        for chunk in &self.chunks {
            whole.extend_from_slice(chunk);
        }
        whole.freeze()
    }
}

/// Why a response cannot be encoded: always a fault of the code that built it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The key is none of Kafka's, or the response does not exist in this version.
    #[error("no response exists for api key {api_key}, version {version}")]
    UnsupportedVersion {
        /// The API.
        api_key: i16,
        /// The version asked for.
        version: i16,
    },
    /// The codec refuses it, mostly because a field is set that this version lacks.
    #[error("response (api key {api_key}, version {version}) cannot be encoded: {reason}")]
    Codec {
        /// The API.
        api_key: i16,
        /// The version asked for.
        version: i16,
        /// The codec's words.
        reason: String,
    },
    /// The frame is longer than its size prefix can say (2 GiB).
    #[error("response (api key {api_key}) has {length_bytes} bytes, more than a frame can hold")]
    TooLong {
        /// The API.
        api_key: i16,
        /// What it would have.
        length_bytes: usize,
    },
    /// A string beyond the 32767 bytes that Kafka allows.
    #[error("response (api key {api_key}) has a string of {length_bytes} bytes")]
    StringTooLong {
        /// The API.
        api_key: i16,
        /// Its length.
        length_bytes: usize,
    },
}

/// Encodes a response with its size prefix and the header that (api key, version) asks for.
///
/// # Errors
/// See [`EncodeError`]; the codec refuses a field that this version lacks unless it has its default value.
pub fn encode_response<T: Encodable + Message>(
    api_key: i16,
    version: i16,
    correlation_id: i32,
    response: &T,
) -> Result<ResponseFrame, EncodeError> {
    let unsupported = EncodeError::UnsupportedVersion { api_key, version };
    let codec_version = codec_version(api_key, version);
    if codec_version < T::VERSIONS.min || codec_version > T::VERSIONS.max {
        return Err(unsupported);
    }
    let header_version = response_header_version(api_key, version).ok_or(unsupported)?;
    let codec = |reason: String| EncodeError::Codec {
        api_key,
        version,
        reason,
    };
    let body_bytes = response
        .compute_size(codec_version)
        .map_err(|error| codec(error.to_string()))?;
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES_MAX + body_bytes);
    put_header(&mut buffer, header_version, correlation_id);
    response
        .encode(&mut buffer, codec_version)
        .map_err(|error| codec(error.to_string()))?;
    if codec_version != version {
        let header_bytes = SIZE_BYTES + 4 + usize::from(header_version >= 1);
        let body = buffer.split_off(header_bytes).freeze();
        let rewritten = response_from_codec(api_key, version, body);
        buffer.put(rewritten.ok_or_else(|| codec("the codec's bytes are not understood".to_owned()))?);
    }
    let size = frame_size(api_key, buffer.len() - SIZE_BYTES)?;
    if let Some(prefix) = buffer.first_chunk_mut::<SIZE_BYTES>() {
        *prefix = size.to_be_bytes();
    }
    Ok(ResponseFrame {
        chunks: vec![buffer.freeze()],
    })
}

/// The size prefix.
pub(crate) const SIZE_BYTES: usize = 4;
/// Size prefix, correlation id and the header's empty tagged fields.
pub(crate) const HEADER_BYTES_MAX: usize = SIZE_BYTES + 4 + 1;

/// Puts an empty size prefix and the response header.
pub(crate) fn put_header(buffer: &mut BytesMut, header_version: i16, correlation_id: i32) {
    buffer.put_i32(0);
    buffer.put_i32(correlation_id);
    if header_version >= 1 {
        buffer.put_u8(0);
    }
}

/// The size prefix's value for a frame of this many bytes after it.
pub(crate) fn frame_size(api_key: i16, length_bytes: usize) -> Result<i32, EncodeError> {
    i32::try_from(length_bytes).map_err(|_| EncodeError::TooLong { api_key, length_bytes })
}
