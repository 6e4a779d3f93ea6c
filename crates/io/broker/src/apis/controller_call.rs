//! Asking the active controller for a client: deadline, refusals in Kafka's words, and reading one's own write.

use std::time::Duration;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{ControlRequest, MutationClient};
use quota::ANONYMOUS;
use types::{ErrorCode, MetadataOffset};
use wire::RequestHeader;
use wire::protocol::StrBytes;

use super::auto_create::wait_applied;
use super::exchange::CONTROLLER_WAIT_MAX;
use crate::context::{BrokerContext, ClientConnection};
use crate::controller_client::ControllerError;

/// A client that gives less time than an election takes would never get an answer.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// For requests that carry no timeout: half of what clients wait by default.
pub(super) const DEFAULT_TIMEOUT_MS: i32 = 15_000;

/// A request that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The message for the wire.
    pub(super) fn text(&self) -> Option<StrBytes> {
        message_of(&self.message)
    }
}

impl From<ControllerError> for Refused {
    /// Without a controller nothing was changed: clients look for another controller and try again. A lost answer may
    /// stand for a change that was made.
    fn from(error: ControllerError) -> Self {
        let code = match &error {
            ControllerError::NoController => ErrorCode::NotController,
            ControllerError::Unknown(_) => ErrorCode::RequestTimedOut,
        };
        Self::new(code, error.to_string())
    }
}

/// Asks, and waits (at most a second) until this broker has applied what was changed, so that the client finds it.
///
/// # Errors
/// When the request is refused as a whole, or no answer came.
pub(super) async fn ask_controller(
    broker: &BrokerContext,
    request: Request,
    timeout_ms: i32,
) -> Result<Response, Refused> {
    ask(broker, request.into(), timeout_ms).await.map(|(answer, _)| answer)
}

/// Asks like [`ask_controller`] on the account of the client, which is made to wait for its quota's sake: at once, before its
/// answer. Also returns how long, in milliseconds. From version `strict_since` on, requests above the quota are refused (KIP-599).
///
/// # Errors
/// As [`ask_controller`].
pub(super) async fn ask_controller_for(
    client: &ClientConnection,
    header: &RequestHeader,
    strict_since: i16,
    broker: &BrokerContext,
    request: Request,
    timeout_ms: i32,
) -> Result<(Response, i32), Refused> {
    let request = ControlRequest {
        request: Some(request),
        client: Some(account_of(
            header.client_id.as_deref(),
            header.api_version >= strict_since,
        )),
    };
    let (answer, wait_ms) = ask(broker, request, timeout_ms).await?;
    client.mute(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)));
    Ok((answer, wait_ms))
}

/// Whose quota pays.
pub(super) fn account_of(client_id: Option<&str>, strict: bool) -> MutationClient {
    MutationClient {
        user: ANONYMOUS.to_owned(),
        client_id: client_id.unwrap_or_default().to_owned(),
        strict,
    }
}

async fn ask(broker: &BrokerContext, request: ControlRequest, timeout_ms: i32) -> Result<(Response, i32), Refused> {
    let wait = super::exchange::timeout(timeout_ms).clamp(WAIT_MIN, CONTROLLER_WAIT_MAX);
    let response = broker.controllers.request(request, wait).await?;
    let code = error_code(response.error_code);
    let Some(answer) = response.response else {
        let code = if code.is_none() {
            ErrorCode::UnknownServerError
        } else {
            code
        };
        return Err(Refused::new(code, response.error_message));
    };
    wait_applied(broker, MetadataOffset(response.metadata_offset)).await;
    Ok((answer, response.throttle_time_ms))
}

/// The refusal for an answer of another kind than asked: a fault of ours.
pub(super) fn mismatched() -> Refused {
    Refused::new(ErrorCode::UnknownServerError, "the controller answered another request")
}

/// A code from the controller.
pub(super) fn error_code(code: i32) -> ErrorCode {
    ErrorCode::from_code(i16::try_from(code).unwrap_or(-1))
}

/// A message for the wire; an empty one is null.
pub(super) fn message_of(message: &str) -> Option<StrBytes> {
    (!message.is_empty()).then(|| super::exchange::text(message))
}
