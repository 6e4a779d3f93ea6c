//! A segment that isn't written to any more.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use types::{Offset, TimestampMs};

use crate::file_names::{self, LOG, TIME_INDEX};
use crate::file_system::{File, FileSystem};
use crate::log_error::LogError;
use crate::segment::TimeEntry;
use crate::segment::scan::SegmentScan;
use crate::segment::sparse_index::last_in_file;

/// The largest timestamp of a segment and the last offset of the batch that has it.
pub(crate) type MaxTimestamp = (TimestampMs, Offset);

/// What is kept in memory of a closed segment: a hundred bytes.
#[derive(Debug)]
pub(crate) struct ClosedSegment {
    pub(crate) base_offset: Offset,
    pub(crate) size_bytes: u64,
    /// When it was made, or found at start-up; stands in for records without timestamps.
    pub(crate) created: TimestampMs,
    /// Read from the time index when it is first asked for.
    pub(crate) max_timestamp: OnceLock<Option<MaxTimestamp>>,
    /// The handle that wrote it, kept until it is synced: the one that is told of a failed write-back.
    pub(crate) unsynced: Option<Arc<dyn File>>,
}

impl ClosedSegment {
    pub(crate) fn found(base_offset: Offset, size_bytes: u64, created: TimestampMs) -> Self {
        Self {
            base_offset,
            size_bytes,
            created,
            max_timestamp: OnceLock::new(),
            unsynced: None,
        }
    }

    /// The largest timestamp; `None` when no record has one. Reads the time index's last entry, or the headers when the
    /// index is missing.
    pub(crate) fn max_timestamp(
        &self,
        file_system: &dyn FileSystem,
        directory: &Path,
        open: impl FnOnce() -> Result<Arc<dyn File>, LogError>,
    ) -> Result<Option<MaxTimestamp>, LogError> {
        if let Some(known) = self.max_timestamp.get() {
            return Ok(*known);
        }
        let index = file_names::segment_file(directory, self.base_offset, TIME_INDEX);
        let found = match last_in_file::<TimeEntry>(file_system, &index)? {
            Some(entry) if entry.relative_offset >= 0 => Some((
                TimestampMs(entry.timestamp),
                self.base_offset.plus(i64::from(entry.relative_offset)),
            )),
            _ if self.size_bytes == 0 => None,
            _ => self.scan_max_timestamp(directory, open()?)?,
        };
        Ok(*self.max_timestamp.get_or_init(|| found))
    }

    fn scan_max_timestamp(&self, directory: &Path, file: Arc<dyn File>) -> Result<Option<MaxTimestamp>, LogError> {
        let path = file_names::segment_file(directory, self.base_offset, LOG);
        let mut scan = SegmentScan::new(file, path, 0, self.size_bytes, self.base_offset);
        let mut largest: Option<MaxTimestamp> = None;
        while let Some(located) = scan.next_header()? {
            let header = &located.header;
            if header.max_timestamp.0 >= 0 && largest.is_none_or(|(known, _)| header.max_timestamp > known) {
                largest = Some((header.max_timestamp, header.last_offset()));
            }
        }
        Ok(largest)
    }
}
