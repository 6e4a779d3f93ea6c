//! A broker joins, or joins again (KIP-631, KIP-966).
//!
//! A new incarnation loses every leadership in the same decision, with a new leader epoch, even when nobody noticed
//! that the old one had died: what it had appended and not replicated must not look like the same leadership.
//! If its shutdown was unclean it leaves ISR and ELR, too, for its log may have lost what it had acknowledged.

use std::collections::BTreeSet;

use thiserror::Error;
use types::{BrokerEpoch, BrokerId, ErrorCode, TopicIdPartition};

use super::partition_change::{Liveness, PartitionChangeBuilder};
use super::{ControlContext, Decision, Refusal};
use crate::image::{BrokerRegistration, MetadataImage};
use crate::proto::{MetadataRecord, RegisterBroker, RegisterBrokerRequest, RegisterBrokerResponse};

/// Why a broker can't join.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterBrokerError {
    /// Its directories belong to another cluster.
    #[error("expected cluster id {expected}, but got cluster id {actual}")]
    InconsistentClusterId {
        /// This cluster's id.
        expected: String,
        /// The broker's.
        actual: String,
    },
    /// The quorum hasn't decided on a cluster id yet.
    #[error("the cluster has no id yet")]
    NotFormed,
    /// Another live process has this id.
    #[error("another broker is registered with that broker id ({0}) and its session is alive")]
    Duplicate(BrokerId),
    /// A negative id, no listeners, or a malformed id or listener.
    #[error("{0}")]
    Invalid(String),
}

impl From<RegisterBrokerError> for Refusal {
    fn from(error: RegisterBrokerError) -> Self {
        let code = match &error {
            RegisterBrokerError::InconsistentClusterId { .. } => ErrorCode::InconsistentClusterId,
            RegisterBrokerError::NotFormed => ErrorCode::NotController,
            RegisterBrokerError::Duplicate(_) => ErrorCode::DuplicateBrokerRegistration,
            RegisterBrokerError::Invalid(_) => ErrorCode::InvalidRegistration,
        };
        Self::new(code, error)
    }
}

/// Decides on a registration. The same incarnation asking again keeps its epoch.
///
/// # Errors
/// When the broker doesn't belong here, or another live process has its id.
pub fn register_broker(
    image: &MetadataImage,
    request: &RegisterBrokerRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<RegisterBrokerResponse>, RegisterBrokerError> {
    let cluster_id = image.cluster_id().ok_or(RegisterBrokerError::NotFormed)?.0.clone();
    if !request.cluster_id.is_empty() && request.cluster_id != cluster_id {
        let actual = request.cluster_id.clone();
        return Err(RegisterBrokerError::InconsistentClusterId {
            expected: cluster_id,
            actual,
        });
    }
    let wanted = wanted_registration(request)?;
    let id = wanted.id;
    if let Some(present) = image.broker(id)
        && present.incarnation_id == wanted.incarnation_id
    {
        return Ok(register_again(present, wanted, cluster_id));
    }
    if image.broker(id).is_some() && request.previous_incarnation_lives {
        return Err(RegisterBrokerError::Duplicate(id));
    }

    let mut records = leave_leaderships(image, id, &unclean_partitions(image, request)?, context);
    let epoch = image
        .offset()
        .0
        .saturating_add(i64::try_from(records.len()).unwrap_or(i64::MAX));
    records.push(
        BrokerRegistration {
            epoch: BrokerEpoch(epoch),
            ..wanted
        }
        .to_record()
        .into(),
    );
    Ok(Decision {
        records,
        response: RegisterBrokerResponse {
            broker_epoch: epoch,
            cluster_id,
        },
    })
}

/// An answer that was lost, or new listeners: the epoch stays, and so does whether it is fenced.
fn register_again(
    present: &BrokerRegistration,
    wanted: BrokerRegistration,
    cluster_id: String,
) -> Decision<RegisterBrokerResponse> {
    let again = BrokerRegistration {
        epoch: present.epoch,
        fenced: present.fenced,
        in_controlled_shutdown: present.in_controlled_shutdown,
        offline_replicas: present.offline_replicas.clone(),
        ..wanted
    };
    let records = if again == *present {
        Vec::new()
    } else {
        vec![again.to_record().into()]
    };
    Decision {
        records,
        response: RegisterBrokerResponse {
            broker_epoch: present.epoch.0,
            cluster_id,
        },
    }
}

fn wanted_registration(request: &RegisterBrokerRequest) -> Result<BrokerRegistration, RegisterBrokerError> {
    let invalid = |error: String| RegisterBrokerError::Invalid(error);
    if request.broker_id < 0 {
        return Err(invalid(format!("broker id {} is negative", request.broker_id)));
    }
    if request.listeners.is_empty() {
        return Err(invalid("a broker needs a listener".to_owned()));
    }
    let record = RegisterBroker {
        broker_id: request.broker_id,
        broker_epoch: -1,
        incarnation_id: request.incarnation_id.clone(),
        listeners: request.listeners.clone(),
        rack: request.rack.clone(),
        directory_ids: request.directory_ids.clone(),
        fenced: true,
        in_controlled_shutdown: false,
        features: request.features.clone(),
        // A new incarnation tells anew which replicas it can't serve.
        offline_replicas: Vec::new(),
    };
    BrokerRegistration::from_record(&record).map_err(|error| invalid(error.to_string()))
}

enum Unclean {
    All,
    Some(BTreeSet<TopicIdPartition>),
}

fn unclean_partitions(image: &MetadataImage, request: &RegisterBrokerRequest) -> Result<Unclean, RegisterBrokerError> {
    let registered = image.broker(BrokerId(request.broker_id)).map(|broker| broker.epoch.0);
    // Directories of another epoch than the registered one, or of none, were restored, swapped, wiped, or never told of the
    // last registration: what they hold can't be trusted to be what was acknowledged (KIP-966).
    let other_epoch = registered.is_some() && request.previous_broker_epoch != registered;
    if request.unclean_shutdown || other_epoch {
        return Ok(Unclean::All);
    }
    let ids = request
        .unclean_partitions
        .iter()
        .map(TopicIdPartition::try_from)
        .collect::<Result<_, _>>();
    ids.map(Unclean::Some)
        .map_err(|error| RegisterBrokerError::Invalid(error.to_string()))
}

fn leave_leaderships(
    image: &MetadataImage,
    id: BrokerId,
    unclean: &Unclean,
    context: &ControlContext<'_>,
) -> Vec<MetadataRecord> {
    let liveness = Liveness::without(image, id);
    image
        .partitions_of(id)
        .filter_map(|partition| {
            let builder = PartitionChangeBuilder::new(liveness, partition, context.defaults)?;
            let is_unclean = match unclean {
                Unclean::All => true,
                Unclean::Some(partitions) => partitions.contains(&partition),
            };
            let builder = if is_unclean {
                builder.without_unclean(id)
            } else {
                builder.without_in_sync(id)
            };
            builder.build()
        })
        .collect()
}
