//! Which requests the network may make.

use types::ErrorCode;

use super::Refusal;
use crate::proto::ControlRequest;
use crate::proto::control_request::Request;

/// Takes a request from a broker: what only the controller itself may say is refused or erased.
///
/// # Errors
/// A request that only the controller makes, of itself.
pub fn accept_from_broker(mut request: ControlRequest) -> Result<ControlRequest, Refusal> {
    match &mut request.request {
        Some(Request::RegisterBroker(register)) => register.previous_incarnation_lives = false,
        Some(
            Request::FenceBroker(_)
            | Request::UnfenceBroker(_)
            | Request::DirectoriesOffline(_)
            | Request::ElectLastKnown(_)
            | Request::RebalanceLeaders(_)
            | Request::Bootstrap(_),
        ) => {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "only the controller itself may ask this",
            ));
        }
        Some(
            Request::UnregisterBroker(_)
            | Request::ControlledShutdown(_)
            | Request::AlterPartition(_)
            | Request::AllocateProducerIds(_)
            | Request::CreateTopics(_)
            | Request::DeleteTopics(_)
            | Request::CreatePartitions(_)
            | Request::AlterConfigs(_)
            | Request::ElectLeaders(_)
            | Request::AlterPartitionReassignments(_)
            | Request::AlterClientQuotas(_)
            | Request::UpdateFeatures(_),
        ) => {}
        None => {
            return Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                "a request of an unknown kind",
            ));
        }
    }
    Ok(request)
}
