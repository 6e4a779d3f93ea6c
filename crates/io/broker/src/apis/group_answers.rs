//! What the group APIs have in common: asking the coordinator, and telling answers apart.

use types::ErrorCode;
use wire::messages::GroupId;
use wire::protocol::StrBytes;

use super::exchange::text;
use crate::context::BrokerContext;
use crate::coordinator::GroupRequest;

/// Asks the group's shard; the answer must be of the kind that `pick` takes.
///
/// # Errors
/// The coordinator's code.
pub(super) async fn ask<T>(
    broker: &BrokerContext,
    group_id: &str,
    request: GroupRequest,
    pick: fn(coordinator::Answer) -> Option<T>,
) -> Result<T, ErrorCode> {
    let answer = broker.groups.ask(group_id, request).await?;
    pick(answer).ok_or(ErrorCode::UnknownServerError)
}

/// Makes a function that takes one kind of answer.
macro_rules! pick {
    ($kind:ident) => {
        |answer| match answer {
            coordinator::Answer::$kind(response) => Some(response),
            _ => None,
        }
    };
}
pub(super) use pick;

/// Text from the wire that may be absent.
pub(super) fn owned(text: Option<StrBytes>) -> Option<String> {
    text.map(|text| text.to_string())
}

/// Text for the wire that may be absent.
pub(super) fn wire_text(value: Option<&str>) -> Option<StrBytes> {
    value.map(text)
}

/// A group for the wire.
pub(super) fn wire_group(group_id: &str) -> GroupId {
    GroupId(text(group_id))
}

/// The classic protocol's requests need a group's name; offsets may be kept under the empty one.
///
/// # Errors
/// INVALID_GROUP_ID.
pub(super) fn check_group_id(group_id: &GroupId) -> Result<(), ErrorCode> {
    if group_id.0.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else {
        Ok(())
    }
}
