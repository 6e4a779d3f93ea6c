//! A few bytes in two slots of one file, each with a checksum and a sequence number.
//!
//! A durable write syncs one slot before it touches the other, so that at any moment one of them is whole, and both
//! hold the value once it was acknowledged: a single damaged slot never takes an acknowledged vote away (RAFT-1).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use storage::{File, FileSystem, OpenMode};

/// A sector of its own for each slot: a torn write cannot reach the other.
const SLOT_BYTES: usize = 4096;
const HEADER_BYTES: usize = 16;

/// The open file and the sequence number of its newest slot.
#[derive(Debug)]
pub(super) struct SlotFile {
    path: PathBuf,
    file: Arc<dyn File>,
    sequence: u64,
}

impl SlotFile {
    /// Opens the file, creating it when missing, and reads its newest value.
    ///
    /// With `durable`, two damaged slots are an error: something acknowledged is lost. Else they are no value.
    pub(super) fn open(files: &dyn FileSystem, path: &Path, durable: bool) -> io::Result<(Self, Option<Bytes>)> {
        let created = !files.exists(path)?;
        let file = files.open(path, OpenMode::CREATE)?;
        if created {
            file.sync_data()?;
            if let Some(parent) = path.parent() {
                files.sync_dir(parent)?;
            }
        }
        let length = file.len()?;
        let mut newest: Option<(u64, Bytes)> = None;
        for slot in 0..2 {
            let mut bytes = vec![0; SLOT_BYTES];
            let read = file.read_at(&mut bytes, slot * SLOT_BYTES as u64)?;
            bytes.truncate(read);
            if let Some(found) = decode(&bytes.into())
                && newest.as_ref().is_none_or(|(sequence, _)| *sequence < found.0)
            {
                newest = Some(found);
            }
        }
        // The second slot is written only after the first one was synced.
        if newest.is_none() && durable && length > SLOT_BYTES as u64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{}: both copies are damaged (offsets 0 and {SLOT_BYTES}); this disk lost what it acknowledged: \
                     empty the metadata log directory, so that the node joins again as a new voter",
                    path.display()
                ),
            ));
        }
        let sequence = newest.as_ref().map_or(0, |(sequence, _)| *sequence);
        Ok((
            Self {
                path: path.to_owned(),
                file,
                sequence,
            },
            newest.map(|(_, value)| value),
        ))
    }

    /// Writes and syncs both slots.
    pub(super) fn write_durably(&mut self, value: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let bytes = self.encode(value)?;
        for slot in 0..2 {
            self.file.write_all_at(&bytes, slot * SLOT_BYTES as u64)?;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Writes the older slot and leaves it to the next sync: for what may be older after a power cut.
    pub(super) fn write_soon(&mut self, value: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let bytes = self.encode(value)?;
        self.file.write_all_at(&bytes, (self.sequence % 2) * SLOT_BYTES as u64)
    }

    /// Makes what [`write_soon`](Self::write_soon) wrote durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn encode(&self, value: &[u8]) -> io::Result<Vec<u8>> {
        if value.len() + HEADER_BYTES > SLOT_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} bytes do not fit into a slot of {}",
                    value.len(),
                    self.path.display()
                ),
            ));
        }
        let mut checked = self.sequence.to_le_bytes().to_vec();
        checked.extend_from_slice(value);
        let mut bytes = u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(&checked).to_le_bytes());
        bytes.extend_from_slice(&checked);
        Ok(bytes)
    }
}

fn decode(bytes: &Bytes) -> Option<(u64, Bytes)> {
    let mut header = bytes.get(..HEADER_BYTES)?;
    let length = usize::try_from(header.get_u32_le()).ok()?;
    let crc = header.get_u32_le();
    let sequence = header.get_u64_le();
    let end = HEADER_BYTES.checked_add(length)?;
    let checked = bytes.get(8..end)?;
    (crc32c::crc32c(checked) == crc).then(|| (sequence, bytes.slice(HEADER_BYTES..end)))
}
