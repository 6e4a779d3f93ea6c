//! Syncing a partition's log: the sync runs outside the lock, its outcome counts under it.

use types::Offset;

use super::{Partition, Role, State};

impl Partition {
    /// Asks for a sync now (`flush.messages`). A full queue means that one is under way for others; the round after it
    /// takes this partition along.
    pub(super) fn request_flush(&self) {
        let _ = self.host.flushes.try_send(self.id);
    }

    /// Syncs what isn't synced yet; blocks on the disk. Returns the synced end.
    ///
    /// # Errors
    /// The disk's; the log takes no more appends then.
    pub fn flush(&self) -> Result<Offset, storage::LogError> {
        let task = self.lock().log.flush_task();
        if let Some(task) = task {
            let synced = task.run();
            let wakes = {
                let mut state = self.lock();
                if state.retired {
                    // Its files are somebody else's business now.
                    return Ok(state.log.synced_end());
                }
                let synced = match synced {
                    Ok(synced) => synced,
                    Err(error) => {
                        self.report_fault(&error);
                        return Err(error);
                    }
                };
                state.log.on_flushed(synced);
                state.on_synced()
            };
            self.run(wakes);
        }
        Ok(self.lock().log.synced_end())
    }

    /// What is synced by now counts.
    pub(super) fn tell_synced(&self) {
        let wakes = self.lock().on_synced();
        self.run(wakes);
    }

    /// Lets no flush write into the directory any more, which is about to be renamed; blocks on the disk.
    pub(crate) fn end_flushes(&self) {
        let end = self.lock().log.end_flushes();
        end.run();
    }

    /// Whether something isn't synced yet.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        let state = self.lock();
        state.log.synced_end() < state.log.log_end_offset()
    }

    /// The offset below which recovery needn't look.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.lock().log.recovery_point()
    }

    /// Closes the log after a clean stop.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&self) -> Result<(), storage::LogError> {
        let _writer = self.writer_or_offline()?;
        self.lock().log.close_clean().map(|_| ())
    }
}

impl State {
    fn on_synced(&mut self) -> super::Wakes {
        let (log_end, acknowledgeable) = (self.log.log_end_offset(), self.acknowledgeable_end());
        match &mut self.role {
            Role::Leader(leader) => {
                let effects = leader.on_local_append(log_end, acknowledgeable);
                self.settle(effects)
            }
            Role::Follower(follower) => {
                if let (Some(acks), Some(follow)) = (&self.acks, follower.follow) {
                    acks.mark(follow);
                }
                super::Wakes::default()
            }
        }
    }

    /// Whether what was written before may not be acknowledged yet. Nobody else asks for that sync: an append asks for its own.
    pub(super) fn owes_a_sync(&self) -> bool {
        self.settings.log.acknowledges_synced_end() && self.log.synced_end() < self.log.log_end_offset()
    }

    /// `flush.messages` reached; with `flush.ms` at once: everything that comes while a sync runs shares the next one.
    pub(super) fn wants_flush(&self) -> bool {
        let unsynced = self.log.log_end_offset().0 - self.log.synced_end().0;
        let config = &self.settings.log;
        config.flush_messages.is_some_and(|limit| unsynced >= limit) || config.flush_ms.is_some()
    }
}
