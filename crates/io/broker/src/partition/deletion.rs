//! What leaves the log: retention, and DeleteRecords.

use storage::LogError;
use thiserror::Error;
use types::Offset;

use super::{Partition, Role};

/// Why records weren't deleted.
#[derive(Debug, Error)]
pub enum DeleteRecordsError {
    /// Another broker leads.
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// Above the high watermark, or negative.
    #[error("offset {0} is out of range")]
    OutOfRange(Offset),
    /// The disk failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Partition {
    /// Moves the log start; -1 stands for the high watermark. Returns the new log start. Followers learn it with the
    /// next push.
    ///
    /// # Errors
    /// Why nothing was deleted.
    pub fn delete_records(&self, before: Offset) -> Result<Offset, DeleteRecordsError> {
        let _writer = self.writer_or_offline()?;
        let (wakes, log_start) = {
            let mut state = self.lock();
            let state = &mut *state;
            let Role::Leader(leader) = &state.role else {
                return Err(DeleteRecordsError::NotLeader);
            };
            let high_watermark = leader.high_watermark();
            let before = if before == Offset(-1) { high_watermark } else { before };
            if before > high_watermark || before.0 < 0 {
                return Err(DeleteRecordsError::OutOfRange(before));
            }
            if before > state.log.log_start_offset() {
                let now = self.host.clock.now();
                let retired = state
                    .log
                    .advance_log_start(before, now)
                    .inspect_err(|error| self.report_fault(error))?;
                self.host.delete_later(retired.deletion);
            }
            let wakes = super::Wakes {
                marks: state.followers(),
                ..super::Wakes::default()
            };
            (wakes, state.log.log_start_offset())
        };
        self.run(wakes);
        Ok(log_start)
    }

    /// Removes segments that retention no longer keeps; their files go later, outside the lock.
    ///
    /// # Errors
    /// The disk's.
    pub fn apply_retention(&self) -> Result<(), LogError> {
        let now = self.host.clock.now();
        let _writer = self.writer_or_offline()?;
        let wakes = {
            let mut state = self.lock();
            let state = &mut *state;
            if state.retired {
                // By name these files may be those of a new topic already.
                return Ok(());
            }
            let high_watermark = state.high_watermark();
            let before = state.log.log_start_offset();
            let retired = state
                .log
                .delete_retired_segments(now, high_watermark)
                .inspect_err(|error| self.report_fault(error))?;
            let moved = state.log.log_start_offset() > before;
            let marks = if moved { state.followers() } else { Vec::new() };
            self.host.delete_later(retired.deletion);
            super::Wakes {
                marks,
                ..super::Wakes::default()
            }
        };
        self.run(wakes);
        Ok(())
    }
}
