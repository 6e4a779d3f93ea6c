//! META: the committed metadata is one sequence, which every node applies; each image keeps `metadata::invariants`.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata::MetadataImage;
use metadata::invariants::{check_image, check_step};
use types::MetadataOffset;

use super::Violation;
use crate::fabric::NodeId;
use crate::view::NodeView;

/// The metadata log as the nodes applied it.
#[derive(Debug)]
pub(super) struct Metadata {
    /// By base offset: where the batch ends, and its bytes.
    batches: BTreeMap<MetadataOffset, (MetadataOffset, bytes::Bytes)>,
    /// Replayed from the batches.
    image: MetadataImage,
    /// Images at the ends of batches, to compare those that came by snapshots.
    images: BTreeMap<MetadataOffset, Arc<MetadataImage>>,
    /// The newest image that any controller, dead ones included, ever applied.
    newest: Option<Arc<MetadataImage>>,
    seen: BTreeMap<(NodeId, u64, bool), MetadataOffset>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            batches: BTreeMap::new(),
            image: MetadataImage::new(),
            images: BTreeMap::new(),
            newest: None,
            seen: BTreeMap::new(),
        }
    }
}

fn broken(why: String) -> Violation {
    Violation::new("META", why)
}

impl Metadata {
    pub(super) fn newest(&self) -> Option<&Arc<MetadataImage>> {
        self.newest.as_ref()
    }

    pub(super) fn check(&mut self, views: &[NodeView]) -> Result<(), Violation> {
        for view in views {
            if let (Some(quorum), Some(applied)) = (&view.quorum, &view.applied) {
                let key = (view.node, view.life, true);
                let seen = self.seen.get(&key).copied().unwrap_or(MetadataOffset(0));
                if applied.offset < seen {
                    return Err(broken(format!(
                        "node {} applied {seen} and is at {}",
                        view.node, applied.offset
                    )));
                }
                if self
                    .newest
                    .as_ref()
                    .is_none_or(|newest| newest.offset() < applied.offset)
                {
                    self.newest = Some(Arc::clone(&applied.image));
                }
                if applied.offset > seen {
                    for batch in quorum.batches_since(seen).unwrap_or_default() {
                        let now = (batch.end_offset, batch.records.clone());
                        let known = self.batches.entry(batch.base_offset).or_insert_with(|| now.clone());
                        if *known != now {
                            return Err(broken(format!(
                                "node {} applied another batch at {} than others did",
                                view.node, batch.base_offset
                            )));
                        }
                        if batch.base_offset == self.image.offset() {
                            self.replay(&batch)?;
                        }
                    }
                    self.seen.insert(key, applied.offset);
                    self.compare(view.node, "controller", &applied.image)?;
                }
            }
            if let Some(image) = &view.image {
                let key = (view.node, view.life, false);
                let seen = self.seen.get(&key).copied().unwrap_or(MetadataOffset(0));
                if image.offset() < seen {
                    return Err(broken(format!(
                        "broker {} went back from {seen} to {}",
                        view.node,
                        image.offset()
                    )));
                }
                if image.offset() > seen {
                    self.seen.insert(key, image.offset());
                    self.compare(view.node, "broker", image)?;
                }
            }
        }
        Ok(())
    }

    fn replay(&mut self, batch: &controller::raft::AppliedBatch) -> Result<(), Violation> {
        let records = batch.decode().map_err(|error| broken(error.to_string()))?;
        for record in &records {
            let before = self.image.clone();
            self.image
                .replay(record)
                .map_err(|error| broken(format!("{record:?} does not replay: {error}")))?;
            check_step(&before, &self.image).map_err(|error| broken(format!("{error}, by {record:?}")))?;
        }
        check_image(&self.image).map_err(|error| broken(format!("{error}, after {records:?}")))?;
        self.images.insert(self.image.offset(), Arc::new(self.image.clone()));
        Ok(())
    }

    fn compare(&self, node: NodeId, role: &str, image: &MetadataImage) -> Result<(), Violation> {
        let Some(known) = self.images.get(&image.offset()) else {
            return Ok(());
        };
        if known.to_records().eq(image.to_records()) {
            return Ok(());
        }
        Err(broken(format!(
            "the image of {role} {node} at {} differs from what the log replays to",
            image.offset()
        )))
    }
}
