//! Which part of a log a pass of compaction goes over, and when one is due.

use std::hash::RandomState;
use std::sync::Arc;

use partition::compaction::{CompactionPass, LastOffsets};
use types::{Offset, TimestampMs};

use crate::file_names::{LOG, segment_file};
use crate::log::Log;
use crate::log::cleaning::{Cleaning, Source, Stage};
use crate::log_config::CompactionConfig;
use crate::log_error::LogError;
use crate::segment::scan::SegmentScan;

const MILLION: u128 = 1_000_000;

/// What a pass has to know.
#[derive(Debug, Clone, Copy)]
pub struct CleaningInput {
    /// The time.
    pub now: TimestampMs,
    /// Nothing from here on is compacted.
    pub high_watermark: Offset,
    /// The recovery point as the directory's checkpoint has it: a start scans nothing below.
    pub checkpointed: Offset,
    /// Memory for keys.
    pub key_bytes_max: usize,
}

impl Log {
    /// Everything below was compacted by earlier passes.
    #[must_use]
    pub fn first_dirty_offset(&self) -> Offset {
        self.first_dirty.max(self.log_start_offset).min(self.log_end_offset)
    }

    /// [`Log::first_dirty_offset`] for the checkpoint (CLEAN-6); `None` where nothing was compacted, or a power cut could undo it.
    #[must_use]
    pub fn cleaned_up_to(&self) -> Option<Offset> {
        let cleaned = self.first_dirty_offset();
        let is_durable = self.names_synced >= self.first_dirty_names;
        (cleaned > self.log_start_offset && is_durable).then_some(cleaned)
    }

    /// A pass has reached so far, or had, before this process (`cleaner-offset-checkpoint`). One that lies outside the log says
    /// nothing.
    pub fn set_first_dirty_offset(&mut self, offset: Offset) {
        let within = offset >= self.log_start_offset && offset <= self.log_end_offset;
        self.first_dirty = if within { offset } else { self.log_start_offset };
    }

    /// Whether the active segment is to be closed (and synced) first, for it alone is so large that it should be compacted.
    #[must_use]
    pub fn wants_roll_for_cleaning(&self, high_watermark: Offset) -> bool {
        let limit = self.config.compaction.as_ref().and_then(|config| config.roll_bytes);
        limit.is_some_and(|limit| self.active.size_bytes >= limit) && high_watermark > self.active.base_offset
    }

    /// A pass over this log, when one is due.
    ///
    /// # Errors
    /// `Storage`.
    pub fn plan_cleaning(&self, input: CleaningInput) -> Result<Option<Cleaning>, LogError> {
        let Some(rules) = self.config.compaction.as_ref().filter(|_| !self.is_poisoned()) else {
            return Ok(None);
        };
        let segments = self.cleanable_segments(rules, input)?;
        let first_dirty = self.first_dirty_offset();
        let (dirty, clean): (Vec<Source>, Vec<Source>) =
            segments.iter().copied().partition(|segment| segment.end > first_dirty);
        let Some((first, end)) = dirty.first().zip(dirty.last().map(|last| last.end)) else {
            return Ok(None);
        };
        let size = |segments: &[Source]| {
            segments
                .iter()
                .map(|segment| u128::from(segment.size_bytes))
                .sum::<u128>()
        };
        let (dirty_bytes, clean_bytes) = (size(&dirty), size(&clean));
        let limit = u128::from(rules.min_dirty_millionths) * (dirty_bytes + clean_bytes);
        if dirty_bytes * MILLION <= limit && !self.is_overdue(first.base_offset, rules, input.now)? {
            return Ok(None);
        }
        let last_of_producers = self.producers.entries().filter_map(|entry| {
            let last = entry.last_batch()?;
            Some((entry.producer_id, last.last_offset))
        });
        Ok(Some(Cleaning {
            file_system: Arc::clone(&self.file_system),
            directory: self.directory.clone(),
            flush: Arc::clone(&self.flush),
            generation: self.generation,
            config: self.config.clone(),
            first_dirty,
            pass: CompactionPass {
                last: LastOffsets::new(RandomState::new(), RandomState::new(), input.key_bytes_max),
                end,
                now: input.now,
                delete_retention_ms: rules.delete_retention_ms,
            },
            last_of_producers: last_of_producers.collect(),
            // What is noted first: those before it are clean.
            done: clean.len(),
            segments,
            stage: Stage::Note(None),
        }))
    }

    /// A pass has ended: everything below `end` is compacted. It is written down after the next flush only.
    pub fn on_cleaned(&mut self, cleaning: &Cleaning, end: Offset) {
        if self.is_cleaned_by(cleaning) {
            self.first_dirty = self.first_dirty.max(end);
            self.first_dirty_names = self.names_version;
        }
    }

    /// Whether the pass works on what this log still is: no truncation and no move came between.
    #[must_use]
    pub fn is_cleaned_by(&self, cleaning: &Cleaning) -> bool {
        Arc::ptr_eq(&self.flush, &cleaning.flush) && self.generation == cleaning.generation
    }

    /// The closed segments that may be compacted (CLEAN-1).
    fn cleanable_segments(&self, rules: &CompactionConfig, input: CleaningInput) -> Result<Vec<Source>, LogError> {
        let undecided = self.producers.first_undecided_offset().unwrap_or(Offset(i64::MAX));
        let bound = input
            .high_watermark
            .min(input.checkpointed)
            .min(self.recovery_point)
            .min(undecided);
        let mut segments = Vec::new();
        for (at, segment) in self.closed.iter().enumerate() {
            let end = self.end_of_closed(at);
            if end > bound || segment.unsynced.is_some() {
                break;
            }
            // Asks the disk.
            let is_young = || {
                let largest = self.largest_timestamp(segment)?;
                Ok::<_, LogError>(input.now.0.saturating_sub(largest.0) < rules.min_lag_ms)
            };
            if rules.min_lag_ms > 0 && is_young()? {
                break;
            }
            segments.push(Source {
                base_offset: segment.base_offset,
                end,
                size_bytes: segment.size_bytes,
                created: segment.created,
            });
        }
        Ok(segments)
    }

    /// Whether the segment's first record has waited for `max.compaction.lag.ms`.
    fn is_overdue(&self, base_offset: Offset, rules: &CompactionConfig, now: TimestampMs) -> Result<bool, LogError> {
        if rules.max_lag_ms == i64::MAX {
            return Ok(false);
        }
        let Some(segment) = self.closed.iter().find(|segment| segment.base_offset == base_offset) else {
            return Ok(false);
        };
        let path = segment_file(&self.directory, base_offset, LOG);
        let first =
            SegmentScan::new(self.closed_file(segment)?, path, 0, segment.size_bytes, base_offset).next_header()?;
        let appended = first.map(|first| first.header.max_timestamp).filter(|at| at.0 >= 0);
        Ok(now.0.saturating_sub(appended.unwrap_or(segment.created).0) > rules.max_lag_ms)
    }
}
