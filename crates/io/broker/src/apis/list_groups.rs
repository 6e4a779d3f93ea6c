//! ListGroups (16): the groups whose partitions this broker leads; a client asks every broker.

use std::sync::Arc;

use coordinator::{Answer, ListGroupsRequest};
use types::ErrorCode;
use wire::messages::list_groups_response::ListedGroup;
use wire::messages::{self, ListGroupsResponse};

use super::exchange::{Handled, decode, respond, text};
use super::group_answers::wire_group;
use crate::context::{ApiRequest, BrokerContext};

const FIRST_VERSION_WITH_STATE: i16 = 4;
const FIRST_VERSION_WITH_TYPE: i16 = 5;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: messages::ListGroupsRequest = decode(&header, request.body)?;
    let asked = ListGroupsRequest {
        states: body.states_filter.iter().map(ToString::to_string).collect(),
        types: body.types_filter.iter().map(ToString::to_string).collect(),
    };
    let mut response = ListGroupsResponse::default();
    for answer in broker.groups.list_groups(&asked).await {
        let (error, groups) = match answer {
            Ok(Answer::ListGroups(listed)) => (listed.error, listed.groups),
            Ok(_) => (ErrorCode::UnknownServerError, Vec::new()),
            Err(error) => (error, Vec::new()),
        };
        // Its groups are listed by the broker that leads it now.
        if !matches!(error, ErrorCode::None | ErrorCode::NotCoordinator) {
            return respond(&header, &ListGroupsResponse::default().with_error_code(error.code()));
        }
        response.groups.extend(groups.into_iter().map(|group| {
            let mut listed = ListedGroup::default()
                .with_group_id(wire_group(&group.group_id))
                .with_protocol_type(text(&group.protocol_type));
            if version >= FIRST_VERSION_WITH_STATE {
                listed.group_state = text(group.state);
            }
            if version >= FIRST_VERSION_WITH_TYPE {
                listed.group_type = text(group.group_type);
            }
            listed
        }));
    }
    respond(&header, &response)
}
