//! Applies the metadata feed beside the session, so that heartbeats never wait for a disk.

use std::sync::Arc;

use metadata::MetadataImage;
use metadata::proto::{MetadataChunk, MetadataRecord};
use tokio::sync::{mpsc, watch};
use types::MetadataOffset;

use super::publisher::MetadataPublisher;

/// Chunks that may wait; the session takes no more from its stream meanwhile.
const QUEUE_DEPTH: usize = 256;

/// The session's end of the applier.
#[derive(Debug)]
pub(super) struct Applier {
    /// Chunks in the feed's order.
    pub(super) chunks: mpsc::Sender<MetadataChunk>,
    /// Counts the chunks that didn't fit: the session opens anew from the offset that is applied.
    pub(super) misfits: watch::Receiver<u64>,
}

impl Applier {
    /// Starts on the current runtime.
    pub(super) fn start(publisher: Arc<MetadataPublisher>) -> Self {
        let (chunks, rx) = mpsc::channel(QUEUE_DEPTH);
        let (misfits_tx, misfits) = watch::channel(0);
        tokio::spawn(apply(publisher, rx, misfits_tx));
        Self { chunks, misfits }
    }
}

async fn apply(
    publisher: Arc<MetadataPublisher>,
    mut chunks: mpsc::Receiver<MetadataChunk>,
    misfits: watch::Sender<u64>,
) {
    let mut snapshot: Option<Vec<MetadataRecord>> = None;
    while let Some(chunk) = chunks.recv().await {
        if !chunk.snapshot {
            snapshot = None;
            if let Err(error) = publisher
                .publish(MetadataOffset(chunk.base_offset), &chunk.records)
                .await
            {
                tracing::warn!(%error, "a metadata batch does not fit, asking again");
                misfits.send_modify(|count| *count += 1);
            }
            continue;
        }
        if chunk.snapshot_start {
            snapshot = Some(Vec::new());
        }
        let Some(gathered) = &mut snapshot else { continue };
        gathered.extend(chunk.records);
        if chunk.snapshot_end {
            let records = snapshot.take().unwrap_or_default();
            match MetadataImage::from_snapshot(MetadataOffset(chunk.base_offset), records) {
                Ok(image) => publisher.publish_snapshot(image).await,
                Err(error) => {
                    tracing::error!(%error, "a metadata snapshot does not replay, asking again");
                    misfits.send_modify(|count| *count += 1);
                }
            }
        }
    }
}
