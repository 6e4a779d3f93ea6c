//! Compaction of a partition's log: planned and installed under the lock, carried out without it (`storage`'s `cleaning`).

use std::sync::atomic::Ordering;

use storage::{CleanedGroup, Cleaning, CleaningInput, LogError};
use types::Offset;

use super::Partition;

impl Partition {
    /// Whether its topic is compacted, and nothing has kept it from that.
    pub(crate) fn is_cleanable(&self) -> bool {
        self.settings.load().log.compaction.is_some() && !self.is_uncleanable()
    }

    /// Whether its log isn't to wait for `segment.bytes`.
    pub(crate) fn is_kept_small(&self) -> bool {
        let settings = self.settings.load();
        settings
            .log
            .compaction
            .as_ref()
            .is_some_and(|rules| rules.roll_bytes.is_some())
    }

    /// Whether compaction has given the log up, until the configuration changes or the process starts anew.
    pub(crate) fn is_uncleanable(&self) -> bool {
        self.uncleanable.load(Ordering::Acquire)
    }

    /// Whether the last pass lacked room; `now`: whether this one does.
    pub(crate) fn wants_room_to_clean(&self, now: bool) -> bool {
        self.cleaning_wants_room.swap(now, Ordering::AcqRel)
    }

    pub(crate) fn mark_uncleanable(&self) {
        self.uncleanable.store(true, Ordering::Release);
    }

    /// Closes the active segment, and syncs it, where it alone is large enough to be compacted; blocks on the disk.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn roll_for_cleaning(&self) -> Result<(), LogError> {
        let wants_roll = {
            let state = self.lock();
            !state.retired && state.log.wants_roll_for_cleaning(state.high_watermark())
        };
        if !wants_roll {
            return Ok(());
        }
        {
            let _writer = self.writer_or_offline()?;
            let mut state = self.lock();
            if state.retired {
                return Ok(());
            }
            let now = self.host.clock.now();
            state.log.roll(now).inspect_err(|error| self.report_fault(error))?;
        }
        self.flush().map(drop)
    }

    /// A pass that is due, over what lies below `checkpointed`, a recovery point that is written down.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn plan_cleaning(
        &self,
        checkpointed: Offset,
        key_bytes_max: usize,
    ) -> Result<Option<Cleaning>, LogError> {
        let state = self.lock();
        if state.retired {
            return Ok(None);
        }
        let input = CleaningInput {
            now: self.host.clock.now(),
            high_watermark: state.high_watermark(),
            checkpointed,
            key_bytes_max,
        };
        state
            .log
            .plan_cleaning(input)
            .inspect_err(|error| self.report_fault(error))
    }

    /// Puts a compacted segment in its place. False when the log has changed meanwhile.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn install_cleaned(&self, group: &CleanedGroup) -> Result<bool, LogError> {
        let _writer = self.writer_or_offline()?;
        let mut state = self.lock();
        if state.retired {
            // By name these files may be those of a new topic already.
            return Ok(false);
        }
        let (installed, deletion) = state
            .log
            .install_cleaned(group)
            .inspect_err(|error| self.report_fault(error))?;
        self.host.delete_later(deletion);
        Ok(installed)
    }

    /// A pass is over: all below `end` is compacted.
    pub(crate) fn on_cleaned(&self, cleaning: &Cleaning, end: Offset) {
        self.lock().log.on_cleaned(cleaning, end);
    }

    /// Whether the log is still the one that the pass reads.
    pub(crate) fn is_cleaned_by(&self, cleaning: &Cleaning) -> bool {
        let state = self.lock();
        !state.retired && state.log.is_cleaned_by(cleaning)
    }

    /// For the checkpoint: below it the log is compacted. `None` where nothing is.
    pub(crate) fn cleaned_up_to(&self) -> Option<Offset> {
        self.lock().log.cleaned_up_to()
    }
}
