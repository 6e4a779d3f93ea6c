//! What adding and removing a voter share: the cluster's id, the deadline, and the way to the active controller.

use std::time::Duration;

use rpc::proto::ChangeVotersCall;
use types::ErrorCode;

use super::controller_call::{Refused, error_code};
use super::exchange::CONTROLLER_WAIT_MAX;
use crate::context::BrokerContext;

/// The controller refuses in its own words before this broker gives it up.
const GRACE: Duration = Duration::from_secs(2);
const WAIT_MIN: Duration = Duration::from_secs(1);

/// # Errors
/// Why nothing was changed, or that it isn't known.
pub(super) async fn change_voters(
    broker: &BrokerContext,
    cluster: Option<&str>,
    change: ChangeVotersCall,
    timeout_ms: i32,
) -> Result<(), Refused> {
    let image = broker.host.image.load();
    if let (Some(asked), Some(ours)) = (cluster, image.cluster_id())
        && asked != ours.0
    {
        let message = format!("this is cluster {ours}, not {asked}");
        return Err(Refused::new(ErrorCode::InconsistentClusterId, message));
    }
    let wait = super::exchange::timeout(timeout_ms).clamp(WAIT_MIN, CONTROLLER_WAIT_MAX);
    let change = ChangeVotersCall {
        deadline_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        ..change
    };
    let reply = broker.controllers.change_voters(change, wait + GRACE).await?;
    let code = error_code(reply.error_code);
    if code.is_none() {
        Ok(())
    } else {
        Err(Refused::new(code, reply.error_message))
    }
}
