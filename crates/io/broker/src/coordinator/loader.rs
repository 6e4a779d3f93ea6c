//! Loading a shard: replaying its log.
//!
//! LOAD-1: everything up to the log's end at the time the leadership was seen is replayed, and replayed only once it is
//! committed: the new leader's tail may hold a commit that the last leader had answered. The task itself is the only
//! writer afterwards, so nothing comes in between.

use coordinator::GroupShard;
use records::{Tail, batches};
use thiserror::Error;
use types::Offset;

use super::group_log::GroupLog;

/// Why a shard isn't loaded.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    /// Another broker leads by now.
    #[error("the leadership is over")]
    LeadershipOver,
    /// The log can't be read.
    #[error("the log cannot be read at offset {at}: {reason}")]
    Damaged {
        /// Where.
        at: Offset,
        /// Why.
        reason: String,
    },
}

/// Replays the whole log into an empty shard; returns how many records it were.
///
/// # Errors
/// Why it is not loaded; the shard is to be thrown away then.
pub(super) async fn load(log: &dyn GroupLog, shard: &mut GroupShard) -> Result<u64, LoadError> {
    let first = log.place().ok_or(LoadError::LeadershipOver)?;
    let end = first.log_end_offset;
    let mut at = first.log_start_offset;
    let mut replayed = 0;
    while at < end {
        log.arm();
        let place = log.place().ok_or(LoadError::LeadershipOver)?;
        if at >= place.high_watermark {
            log.woken().await;
            continue;
        }
        let chunk = log.read(at).await.map_err(|reason| LoadError::Damaged { at, reason })?;
        let mut next = at;
        for batch in batches(&chunk.records, Tail::MayBeTruncated) {
            let damaged = |error: records::BatchError| LoadError::Damaged {
                at: next,
                reason: error.to_string(),
            };
            let batch = batch.map_err(damaged)?;
            batch.check_crc().map_err(damaged)?;
            // Markers of transactions, and commits within them: transactional commits aren't served.
            if !batch.header.is_control() && !batch.header.is_transactional() {
                for record in batch.records().map_err(damaged)? {
                    let record = record.map_err(damaged)?;
                    if record.offset >= at {
                        replay(shard, record.key.as_deref(), record.value.as_deref(), record.offset);
                        replayed += 1;
                    }
                }
            }
            next = batch.header.next_offset();
        }
        let next = next.max(chunk.next);
        if next <= at {
            return Err(LoadError::Damaged {
                at,
                reason: "nothing could be read below the high watermark".to_owned(),
            });
        }
        at = next;
        // A large partition: let others run.
        tokio::task::yield_now().await;
    }
    // The log may have been deposed in the middle of the last read.
    log.place().map(|_| replayed).ok_or(LoadError::LeadershipOver)
}

/// Replays one record; one that isn't Kafka's is logged and skipped.
pub(super) fn replay(shard: &mut GroupShard, key: Option<&[u8]>, value: Option<&[u8]>, offset: Offset) {
    let Some(key) = key else {
        tracing::warn!(%offset, "a record without a key in the offsets topic is skipped");
        return;
    };
    if let Err(error) = shard.replay(key, value, offset) {
        tracing::error!(%offset, %error, "a record of the offsets topic cannot be read and is skipped");
    }
}
