//! VIS, seen from the clients: what a broker calls visible, by a high watermark or as the next offset, was visible.

use std::sync::Arc;

use ::metadata::MetadataImage;
use types::{PartitionIndex, TopicIdPartition};

use super::high_watermark::HighWatermarks;
use super::{CommittedLog, Violation};
use crate::clients::TOPIC;
use crate::history::History;

pub(super) fn check(
    history: &History,
    committed: &CommittedLog,
    copies: &HighWatermarks,
    image: Option<&Arc<MetadataImage>>,
) -> Result<(), Violation> {
    let claims = history.take_claims();
    let Some(topic) = image.and_then(|image| image.topic(TOPIC)) else {
        return Ok(());
    };
    for claim in claims {
        let id = TopicIdPartition {
            topic_id: topic.id,
            partition: PartitionIndex(claim.partition),
        };
        if claim.end > committed.end(id) && !copies.is_unseen(id, claim.node) {
            return Err(Violation::new(
                "VIS",
                format!("{claim:?}, but visible was only what lies below {}", committed.end(id)),
            ));
        }
    }
    Ok(())
}
