//! A broker leaves the cluster for good (KIP-631).

use thiserror::Error;
use types::{BrokerId, ErrorCode};

use super::fence_broker::leave_in_sync;
use super::{ControlContext, Decision, Refusal};
use crate::image::MetadataImage;
use crate::proto::{UnregisterBroker, UnregisterBrokerRequest, UnregisterBrokerResponse};

/// Why a broker can't be unregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnregisterBrokerError {
    /// It isn't registered.
    #[error("broker id {0} is not currently registered")]
    NotRegistered(BrokerId),
}

impl From<UnregisterBrokerError> for Refusal {
    fn from(error: UnregisterBrokerError) -> Self {
        let code = match error {
            UnregisterBrokerError::NotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
        };
        Self::new(code, error)
    }
}

/// Decides on taking a broker out. Its replicas stay assigned to it: whoever wants them elsewhere reassigns them.
///
/// # Errors
/// When the broker isn't registered.
pub fn unregister_broker(
    image: &MetadataImage,
    request: &UnregisterBrokerRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<UnregisterBrokerResponse>, UnregisterBrokerError> {
    let id = BrokerId(request.broker_id);
    let epoch = image.broker(id).ok_or(UnregisterBrokerError::NotRegistered(id))?.epoch;
    let mut records = leave_in_sync(image, id, context);
    records.push(
        UnregisterBroker {
            broker_id: id.0,
            broker_epoch: epoch.0,
        }
        .into(),
    );
    Ok(Decision {
        records,
        response: UnregisterBrokerResponse {},
    })
}
