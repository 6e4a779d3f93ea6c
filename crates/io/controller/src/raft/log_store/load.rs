//! Reads the log back at start: checks every frame, cuts what was never synced, refuses damage (RAFT-4).

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use storage::{File, FileSystem, OpenMode};

use super::disk::segment_path;
use super::frame::{SEGMENT_HEADER_BYTES, check_segment_header, decode_entry, read_frame, was_durable};
use super::index::{LogIndex, Slot};
use crate::raft::type_config::LogId;

/// What was found on disk.
pub(super) struct Loaded {
    pub(super) index: LogIndex,
    pub(super) files: Vec<(u64, Arc<dyn File>)>,
}

/// What the slot files know of the log.
pub(super) struct Evidence {
    pub(super) purged: Option<LogId>,
    /// The log was once this long, synced.
    pub(super) synced_end: u64,
}

struct Loader<'a> {
    files: &'a dyn FileSystem,
    directory: &'a Path,
    evidence: &'a Evidence,
    index: LogIndex,
    /// Index of the last frame read, live or purged.
    last: Option<u64>,
}

pub(super) fn load(files: &dyn FileSystem, directory: &Path, evidence: &Evidence) -> io::Result<Loaded> {
    let mut numbers: Vec<u64> = files
        .read_dir(directory)?
        .iter()
        .filter_map(|name| name.strip_suffix(".raft").and_then(|number| number.parse().ok()))
        .collect();
    numbers.sort_unstable();
    let first = evidence.purged.as_ref().map_or(0, |purged| purged.index + 1);
    let index = LogIndex {
        first,
        cached_from: first,
        purged: evidence.purged,
        next_segment: numbers.last().map_or(0, |last| last + 1),
        ..LogIndex::default()
    };
    let mut loader = Loader {
        files,
        directory,
        evidence,
        index,
        last: None,
    };
    let mut opened = Vec::new();
    for (at, &number) in numbers.iter().enumerate() {
        let is_last = at + 1 == numbers.len();
        if let Some((file, length)) = loader.segment(number, is_last)? {
            if is_last {
                loader.index.active = Some((number, length));
            }
            opened.push((number, file));
        }
    }
    let end = loader.index.end();
    if end < evidence.synced_end {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{}: the log ends at index {end}, but it was synced up to {}; {REMEDY}",
                directory.display(),
                evidence.synced_end
            ),
        ));
    }
    Ok(Loaded {
        index: loader.index,
        files: opened,
    })
}

const REMEDY: &str = "this disk lost what it acknowledged: empty the metadata log directory, so that the node joins \
                      the quorum again as a new voter, from the others";

impl Loader<'_> {
    fn damage(&self, segment: u64, offset: usize, what: &str) -> io::Error {
        let path = segment_path(self.directory, segment);
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} at offset {offset}: {what}; {REMEDY}", path.display()),
        )
    }

    /// The index that the next frame must have.
    fn expected(&self) -> u64 {
        self.last.map_or(self.index.first, |last| last + 1)
    }

    /// Reads one segment. `None`: it held nothing that is still needed and is gone.
    fn segment(&mut self, number: u64, is_last: bool) -> io::Result<Option<(Arc<dyn File>, u64)>> {
        let path = segment_path(self.directory, number);
        let file = self.files.open(&path, OpenMode::READ_WRITE)?;
        let bytes = read_whole(file.as_ref())?;
        if let Err(what) = check_segment_header(&bytes) {
            // A segment is used only after its header was synced; one that was just being made has no frames.
            if !is_last || self.evidence.synced_end > self.expected() || was_durable(&bytes, self.expected()) {
                return Err(self.damage(number, 0, &what));
            }
            return self.remove(number);
        }
        let live_before = self.index.slots.len();
        let mut at = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or_default();
        while at < bytes.len() {
            let frame = match read_frame(&bytes.slice(at..)) {
                Ok(frame) => frame,
                Err(what) => {
                    let lost = self.expected();
                    let synced = lost < self.evidence.synced_end || was_durable(&bytes.slice(at..), lost);
                    if synced || !is_last {
                        return Err(self.damage(number, at, what));
                    }
                    tracing::warn!(file = %path.display(), offset = at, index = lost, what, "cut the log's unsynced tail");
                    file.set_len(at as u64)?;
                    file.sync_data()?;
                    break;
                }
            };
            self.frame(number, at, &frame)?;
            at += frame.frame_bytes;
        }
        if self.index.slots.len() == live_before {
            drop(file);
            return self.remove(number);
        }
        Ok(Some((file, at as u64)))
    }

    fn frame(&mut self, segment: u64, at: usize, frame: &super::frame::Frame) -> io::Result<()> {
        let follows = self.last.is_none_or(|last| frame.index == last + 1);
        let resumes = frame.index == self.index.first && self.index.slots.is_empty();
        if !(follows || resumes) || frame.index > self.index.end() {
            let what = format!("entry {} where {} is due", frame.index, self.expected());
            return Err(self.damage(segment, at, &what));
        }
        self.last = Some(frame.index);
        if frame.index < self.index.first {
            return Ok(());
        }
        let entry = decode_entry(frame.entry.clone()).map_err(|error| self.damage(segment, at, &error.to_string()))?;
        if entry.log_id.index != frame.index {
            return Err(self.damage(segment, at, "frame and entry name different indexes"));
        }
        self.index.push(Slot {
            term: entry.log_id.leader_id.term,
            segment,
            position: at as u64,
            frame_bytes: frame.frame_bytes as u64,
            cached: None,
        });
        Ok(())
    }

    fn remove(&self, number: u64) -> io::Result<Option<(Arc<dyn File>, u64)>> {
        self.files.remove_file(&segment_path(self.directory, number))?;
        self.files.sync_dir(self.directory)?;
        Ok(None)
    }
}

fn read_whole(file: &dyn File) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes.into())
}
