//! The first records of a new cluster: its id and the version of its metadata.

use types::ErrorCode;

use super::{ControlContext, Decision, Refusal};
use crate::image::{ConfigResource, MIN_INSYNC_REPLICAS, MetadataImage, config_record};
use crate::proto::{BootstrapRequest, BootstrapResponse, ClusterIdentity, FeatureLevel};

/// The feature that gates new kinds of records.
pub const METADATA_VERSION_FEATURE: &str = "klamm.metadata.version";
/// The highest level of [`METADATA_VERSION_FEATURE`] that this version writes and understands.
pub const METADATA_VERSION: u16 = 1;

/// Decides on a cluster's birth; a cluster that has an id keeps it.
///
/// The node's `min.insync.replicas` becomes the dynamic default of all brokers (as in Kafka with KIP-966): were it left
/// to each node's file, leader and controller could disagree on whether the high watermark may move while a
/// replica counts as eligible, and an eligible replica could miss what was visible.
///
/// # Errors
/// An empty cluster id.
pub fn bootstrap(
    image: &MetadataImage,
    request: &BootstrapRequest,
    context: &ControlContext<'_>,
) -> Result<Decision<BootstrapResponse>, Refusal> {
    if let Some(present) = image.cluster_id() {
        return Ok(Decision::unchanged(BootstrapResponse {
            cluster_id: present.0.clone(),
        }));
    }
    if request.cluster_id.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "a cluster's id can't be empty"));
    }
    let min_isr = context.defaults.min_insync_replicas.max(1).to_string();
    let records = vec![
        ClusterIdentity {
            cluster_id: request.cluster_id.clone(),
        }
        .into(),
        FeatureLevel {
            name: METADATA_VERSION_FEATURE.to_owned(),
            level: METADATA_VERSION.into(),
        }
        .into(),
        config_record(&ConfigResource::DefaultBroker, MIN_INSYNC_REPLICAS, Some(&min_isr)),
    ];
    Ok(Decision {
        records,
        response: BootstrapResponse {
            cluster_id: request.cluster_id.clone(),
        },
    })
}
