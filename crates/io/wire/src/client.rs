//! A small client: one connection, one call at a time, typed.
//!
//! The operator's commands use it against Klamm and against Apache Kafka; brokers speak gRPC among themselves.
//!
//! It trusts the broker that it was pointed at more than a broker trusts its clients: a response is decoded by the
//! codec without a decode guard. What keeps a wrong peer from being decoded is the bound on the frame, the check of the
//! connection's first bytes, and the correlation id, which has to match before a body is looked at.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use types::ErrorCode;

use crate::frame::{FrameError, FrameReader, NotKafka};

/// The largest response taken. Kafka's own clients have no bound; a hundred thousand partitions of metadata have 10 MB.
const RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Stands in for a timeout that the clock cannot express: a day.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What `ApiVersions` names as the client's software.
const SOFTWARE_NAME: &str = "klamm";

/// A range of versions that the broker serves (both ends inclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiRange {
    /// Kafka's number of the API.
    pub key: i16,
    /// The oldest.
    pub min: i16,
    /// The newest.
    pub max: i16,
}

/// Why a call failed, with what to do about it. Errors inside a response are the caller's to look for.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection came about.
    #[error("cannot connect to {address}: {source}; check the address and that a broker is running there")]
    Connect {
        /// As it was given.
        address: String,
        /// The socket's error.
        source: std::io::Error,
    },
    /// No answer in time. The connection is of no more use.
    #[error(
        "{address} did not answer within {timeout:?} ({step}); the broker may be overloaded or paused, try again or raise the timeout"
    )]
    Timeout {
        /// Whom.
        address: String,
        /// What it was waited for.
        step: &'static str,
        /// How long.
        timeout: Duration,
    },
    /// The peer closed instead of answering.
    #[error(
        "{address} closed the connection; it may have stopped, or this listener wants TLS or SASL: check the port and security.protocol"
    )]
    Closed {
        /// Who.
        address: String,
    },
    /// The peer is something else.
    #[error("{address} is no Kafka listener ({protocol:?}); check the port")]
    NotKafka {
        /// Who.
        address: String,
        /// What it speaks.
        protocol: NotKafka,
    },
    /// Reading failed.
    #[error("no readable answer from {address}: {source}")]
    Read {
        /// From whom.
        address: String,
        /// Why.
        source: FrameError,
    },
    /// Writing failed.
    #[error("cannot send to {address}: {source}; the connection is gone, try again")]
    Write {
        /// To whom.
        address: String,
        /// The socket's error.
        source: std::io::Error,
    },
    /// The broker does not serve this API, or no version of it in common.
    #[error(
        "{address} does not serve {api} in versions {min} to {max}; the broker may be older or newer than this command, or run another role"
    )]
    Unsupported {
        /// Who.
        address: String,
        /// Kafka's name of the API.
        api: String,
        /// The oldest version asked for.
        min: i16,
        /// The newest.
        max: i16,
    },
    /// The request cannot be said in the version agreed on, mostly because a field is newer than the broker.
    #[error(
        "{api} version {version}, the newest that both sides speak, cannot carry this request: {reason}; the broker is too old for it"
    )]
    Encode {
        /// Kafka's name of the API.
        api: String,
        /// Agreed on.
        version: i16,
        /// The codec's words.
        reason: String,
    },
    /// The response is not what the protocol says.
    #[error("{address} answered {api} version {version} with bytes that cannot be decoded: {reason}")]
    Decode {
        /// Who.
        address: String,
        /// Kafka's name of the API.
        api: String,
        /// Agreed on.
        version: i16,
        /// What is wrong.
        reason: String,
    },
    /// The broker refused `ApiVersions`.
    #[error("{address} refused ApiVersions with {}", .error.name())]
    Refused {
        /// Who.
        address: String,
        /// Its error.
        error: ErrorCode,
    },
    /// An earlier call failed or was dropped midway, so answers no longer match requests.
    #[error("the connection to {address} is broken by an earlier failure; connect again")]
    Broken {
        /// To whom.
        address: String,
    },
}

/// One connection to one broker.
#[derive(Debug)]
pub struct Client {
    address: String,
    stream: TcpStream,
    reader: FrameReader,
    client_id: StrBytes,
    correlation_id: i32,
    ranges: Vec<ApiRange>,
    /// True while a call is under way: it stays so when the call fails or is dropped.
    broken: bool,
}

impl Client {
    /// Connects to `address` (`host:port`) and asks which versions it serves. `timeout` bounds all of it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn connect(address: &str, client_id: &str, timeout: Duration) -> Result<Self, ClientError> {
        let deadline = Deadline::after(timeout);
        let stream = match timeout_at(deadline.at, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => {
                return Err(ClientError::Connect {
                    address: address.to_owned(),
                    source,
                });
            }
            Err(_) => return Err(deadline.missed(address, "connect")),
        };
        // Without it a small request may wait for the acknowledgement of the previous one; failure costs only time.
        let _ = stream.set_nodelay(true);
        let mut client = Self {
            address: address.to_owned(),
            stream,
            reader: FrameReader::new(RESPONSE_BYTES_MAX),
            client_id: StrBytes::from_string(client_id.to_owned()),
            correlation_id: 0,
            ranges: Vec::new(),
            broken: false,
        };
        client.ranges = client.api_versions(deadline).await?;
        Ok(client)
    }

    /// As it was given to [`Client::connect`].
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the broker serves, in its order.
    #[must_use]
    pub fn ranges(&self) -> &[ApiRange] {
        &self.ranges
    }

    /// The newest version of `R` that both sides speak, not above `version_max`.
    #[must_use]
    pub fn version_of<R: Request>(&self, version_max: i16) -> Option<i16> {
        let range = self.ranges.iter().find(|range| range.key == R::KEY)?;
        let ours = Self::versions::<R>();
        let newest = range.max.min(ours.1).min(version_max);
        (newest >= range.min.max(ours.0)).then_some(newest)
    }

    /// Sends a request in the newest version that both sides speak and waits for its response.
    ///
    /// # Errors
    /// See [`ClientError`]. After a failure to send or to receive the connection is of no more use, and further calls
    /// say so ([`ClientError::Broken`]); so they do after a call that was dropped midway.
    pub async fn call<R: Request>(&mut self, request: &R, timeout: Duration) -> Result<R::Response, ClientError> {
        self.call_up_to(request, i16::MAX, timeout).await
    }

    /// As [`Client::call`], in no version above `version_max`: for requests whose newest versions need more than the
    /// caller has, such as topic ids.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_up_to<R: Request>(
        &mut self,
        request: &R,
        version_max: i16,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let Some(version) = self.version_of::<R>(version_max) else {
            let (min, max) = Self::versions::<R>();
            let max = max.min(version_max);
            return Err(ClientError::Unsupported {
                address: self.address.clone(),
                api: api_name(R::KEY),
                min,
                max,
            });
        };
        let mut body = self.exchange(request, version, Deadline::after(timeout)).await?;
        self.decode_response::<R>(version, &mut body)
    }

    /// What the codec has of `R`, request and response: in some APIs they differ.
    fn versions<R: Request>() -> (i16, i16) {
        let (request, response) = (R::VERSIONS, <R::Response as Message>::VERSIONS);
        (request.min.max(response.min), request.max.min(response.max))
    }

    async fn api_versions(&mut self, deadline: Deadline) -> Result<Vec<ApiRange>, ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(SOFTWARE_NAME))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let newest = ApiVersionsRequest::VERSIONS.max;
        let mut body = self.exchange(&request, newest, deadline).await?;
        if !is_unsupported_version(&body) {
            return self.ranges_of(newest, &mut body);
        }
        // An older broker answers in version 0 and says up to where it goes (KIP-511); before Kafka 2.4 it says nothing.
        let fallback = self.decode_response::<ApiVersionsRequest>(0, &mut body)?;
        let range = fallback
            .api_keys
            .iter()
            .find(|range| range.api_key == ApiKey::ApiVersions as i16);
        let version = range.map_or(0, |range| range.max_version).clamp(0, newest);
        let request = if version >= 3 {
            request
        } else {
            ApiVersionsRequest::default()
        };
        let mut body = self.exchange(&request, version, deadline).await?;
        if is_unsupported_version(&body) {
            return Err(ClientError::Refused {
                address: self.address.clone(),
                error: ErrorCode::UnsupportedVersion,
            });
        }
        self.ranges_of(version, &mut body)
    }

    fn ranges_of(&self, version: i16, body: &mut Bytes) -> Result<Vec<ApiRange>, ClientError> {
        let response: ApiVersionsResponse = self.decode_response::<ApiVersionsRequest>(version, body)?;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Ok(response
                .api_keys
                .iter()
                .map(|range| ApiRange {
                    key: range.api_key,
                    min: range.min_version,
                    max: range.max_version,
                })
                .collect()),
            error => Err(ClientError::Refused {
                address: self.address.clone(),
                error,
            }),
        }
    }

    fn decode_response<R: Request>(&self, version: i16, body: &mut Bytes) -> Result<R::Response, ClientError> {
        R::Response::decode(body, version).map_err(|error| self.undecodable(R::KEY, version, error.to_string()))
    }

    /// One request, one response's body.
    async fn exchange<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        deadline: Deadline,
    ) -> Result<Bytes, ClientError> {
        if self.broken {
            return Err(ClientError::Broken {
                address: self.address.clone(),
            });
        }
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let frame = self.encode_request(request, version)?;
        self.broken = true;
        match timeout_at(deadline.at, self.stream.write_all(&frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(source)) => {
                return Err(ClientError::Write {
                    address: self.address.clone(),
                    source,
                });
            }
            Err(_) => return Err(deadline.missed(&self.address, "send")),
        }
        let read = match timeout_at(deadline.at, self.reader.next(&mut self.stream)).await {
            Ok(read) => read,
            Err(_) => return Err(deadline.missed(&self.address, "receive")),
        };
        let mut body = match read {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(FrameError::Cut { .. }) => {
                return Err(ClientError::Closed {
                    address: self.address.clone(),
                });
            }
            Err(FrameError::NotKafka(protocol)) => {
                return Err(ClientError::NotKafka {
                    address: self.address.clone(),
                    protocol,
                });
            }
            Err(source) => {
                return Err(ClientError::Read {
                    address: self.address.clone(),
                    source,
                });
            }
        };
        self.strip_header::<R>(version, &mut body)?;
        self.broken = false;
        Ok(body)
    }

    fn encode_request<R: Request>(&self, request: &R, version: i16) -> Result<Bytes, ClientError> {
        let refuse = |reason: String| ClientError::Encode {
            api: api_name(R::KEY),
            version,
            reason,
        };
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::from([0; 4].as_slice());
        header
            .encode(&mut frame, R::header_version(version))
            .map_err(|error| refuse(error.to_string()))?;
        request
            .encode(&mut frame, version)
            .map_err(|error| refuse(error.to_string()))?;
        let size = i32::try_from(frame.len() - 4).map_err(|_| refuse("it is larger than 2 GiB".to_owned()))?;
        if let Some(prefix) = frame.first_chunk_mut::<4>() {
            *prefix = size.to_be_bytes();
        }
        Ok(frame.freeze())
    }

    fn strip_header<R: Request>(&self, version: i16, body: &mut Bytes) -> Result<(), ClientError> {
        let undecodable = |reason: String| self.undecodable(R::KEY, version, reason);
        let correlation_id = body.try_get_i32().map_err(|_| undecodable("no header".to_owned()))?;
        if correlation_id != self.correlation_id {
            let expected = self.correlation_id;
            return Err(undecodable(format!(
                "correlation id {correlation_id}, expected {expected}"
            )));
        }
        if R::Response::header_version(version) >= 1 {
            skip_tagged_fields(body).ok_or_else(|| undecodable("the header's tagged fields are cut".to_owned()))?;
        }
        Ok(())
    }

    fn undecodable(&self, api_key: i16, version: i16, reason: String) -> ClientError {
        ClientError::Decode {
            address: self.address.clone(),
            api: api_name(api_key),
            version,
            reason,
        }
    }
}

/// When a call has to be over, and how long that was from its start.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            at: now.checked_add(timeout).unwrap_or(now + TIMEOUT_MAX),
            timeout,
        }
    }

    fn missed(self, address: &str, step: &'static str) -> ClientError {
        ClientError::Timeout {
            address: address.to_owned(),
            step,
            timeout: self.timeout,
        }
    }
}

/// Whether an `ApiVersions` response says `UNSUPPORTED_VERSION`: the code comes first in every version of it.
fn is_unsupported_version(body: &Bytes) -> bool {
    let mut start: &[u8] = body;
    start
        .try_get_i16()
        .is_ok_and(|code| code == ErrorCode::UnsupportedVersion.code())
}

/// Skips a response header's tagged fields, of which Kafka defines none so far.
fn skip_tagged_fields(body: &mut Bytes) -> Option<()> {
    for _ in 0..unsigned_varint(body)? {
        unsigned_varint(body)?;
        let length = usize::try_from(unsigned_varint(body)?).ok()?;
        if length > body.len() {
            return None;
        }
        body.advance(length);
    }
    Some(())
}

fn unsigned_varint(body: &mut Bytes) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = body.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn api_name(api_key: i16) -> String {
    ApiKey::try_from(api_key).map_or_else(|()| format!("api {api_key}"), |key| format!("{key:?}"))
}

#[cfg(test)]
mod tests;
