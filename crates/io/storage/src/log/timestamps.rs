//! Offsets by time: what ListOffsets asks (KIP-79, KIP-734).
//!
//! The time index leads near the batch; the exact record is found by decoding that one batch. Blocks on the disk.

use records::Batch;
use types::{Offset, TimestampMs};

use crate::file_names::{TIME_INDEX, segment_file};
use crate::log::Log;
use crate::log::read::FileRead;
use crate::log::read_outcome::ReadRequest;
use crate::log_error::LogError;
use crate::segment::TimeEntry;
use crate::segment::sparse_index::lookup_file;

impl Log {
    /// The first record at or above the log start whose timestamp is at least `timestamp`: its timestamp and offset.
    ///
    /// # Errors
    /// `Storage`, `Corrupt`, `InvalidBatch` when the batch doesn't decode.
    pub fn find_by_timestamp(&self, timestamp: TimestampMs) -> Result<Option<(TimestampMs, Offset)>, LogError> {
        for segment in &self.closed {
            let largest = segment.max_timestamp(&*self.file_system, &self.directory, || self.closed_file(segment))?;
            if largest.is_some_and(|(largest, _)| largest >= timestamp)
                && let Some(found) = self.find_in_segment(segment.base_offset, timestamp)?
            {
                return Ok(Some(found));
            }
        }
        match self.active.max_timestamp() {
            Some((largest, _)) if largest >= timestamp => self.find_in_segment(self.active.base_offset, timestamp),
            _ => Ok(None),
        }
    }

    /// The largest timestamp in the log and the first offset that has it; `None` when no record has one.
    ///
    /// # Errors
    /// As [`Log::find_by_timestamp`].
    pub fn max_timestamp_offset(&self) -> Result<Option<(TimestampMs, Offset)>, LogError> {
        let mut largest = None;
        for segment in &self.closed {
            let known = segment.max_timestamp(&*self.file_system, &self.directory, || self.closed_file(segment))?;
            largest = largest.max(known.map(|(timestamp, _)| timestamp));
        }
        largest = largest.max(self.active.max_timestamp().map(|(timestamp, _)| timestamp));
        let found = match largest {
            Some(timestamp) => self.find_by_timestamp(timestamp)?,
            None => None,
        };
        match (found, largest) {
            // Compaction has left the batch that has it without records.
            (None, Some(_)) => match self.max_record_timestamp()? {
                Some(timestamp) => self.find_by_timestamp(timestamp),
                None => Ok(None),
            },
            (found, _) => Ok(found),
        }
    }

    /// The largest timestamp of batches that have records; looks at all of them.
    fn max_record_timestamp(&self) -> Result<Option<TimestampMs>, LogError> {
        let mut largest = None;
        let mut from = self.log_start_offset;
        while from < self.log_end_offset {
            let request = ReadRequest {
                from,
                max_bytes: 0,
                up_to: self.log_end_offset,
                min_one_batch: true,
            };
            let read = self.file_read(request)?;
            let next = read.next_segment().unwrap_or(self.log_end_offset);
            if let Some(first) = read.locate()? {
                let mut scan = read.scan(first.position, read.segment());
                while let Some(located) = scan.next_header()? {
                    let timestamp = located.header.max_timestamp;
                    if located.header.record_count > 0 && timestamp.0 >= 0 {
                        largest = largest.max(Some(timestamp));
                    }
                }
            }
            from = next;
        }
        Ok(largest)
    }

    fn find_in_segment(
        &self,
        base_offset: Offset,
        timestamp: TimestampMs,
    ) -> Result<Option<(TimestampMs, Offset)>, LogError> {
        // Everything up to the last entry below the timestamp is older.
        let key = timestamp.0.saturating_sub(1);
        let entry: Option<TimeEntry> = if base_offset == self.active.base_offset {
            self.active.time_index.lookup(&*self.file_system, key)?
        } else {
            lookup_file(
                &*self.file_system,
                &segment_file(&self.directory, base_offset, TIME_INDEX),
                None,
                key,
                false,
            )?
        };
        let older = entry.map_or(0, |entry| i64::from(entry.relative_offset.max(0)));
        let from = base_offset.plus(older).max(self.log_start_offset);
        if from >= self.log_end_offset {
            return Ok(None);
        }
        let request = ReadRequest {
            from,
            max_bytes: 0,
            up_to: self.log_end_offset,
            min_one_batch: true,
        };
        let read = self.file_read(request)?;
        if read.segment() != base_offset {
            return Ok(None);
        }
        self.scan_for_timestamp(&read, timestamp)
    }

    fn scan_for_timestamp(
        &self,
        read: &FileRead,
        timestamp: TimestampMs,
    ) -> Result<Option<(TimestampMs, Offset)>, LogError> {
        let Some(first) = read.locate()? else { return Ok(None) };
        let mut scan = read.scan(first.position, read.segment());
        while let Some(located) = scan.next_header()? {
            if located.header.max_timestamp < timestamp {
                continue;
            }
            let batch = Batch {
                header: located.header,
                bytes: scan.batch_bytes(&located)?,
            };
            for record in batch.records()? {
                let record = record?;
                if record.timestamp >= timestamp && record.offset >= self.log_start_offset {
                    return Ok(Some((record.timestamp, record.offset)));
                }
            }
        }
        Ok(None)
    }
}
