//! One entry on disk, and the scan that tells a torn tail from damage.
//!
//! ```text
//! segment:  magic 8 | version u32 | crc32c of the 12 bytes before u32 | frame | frame | ...
//! frame:    length u32 | crc32c of what follows u32 | index u64 | durable u64 | entry (protobuf), length bytes
//! ```
//!
//! `durable` is the log's length (index after the last entry) that was known to be synced when the frame was written. A
//! bad frame whose index lies below a later frame's `durable`, or below the committed index, was once synced: that is
//! damage and is refused (RAFT-4). Any other bad frame was never acknowledged and is cut.

use bytes::{Buf, Bytes};
use prost::Message;

use crate::raft::codec::{entry_from, entry_to};
use crate::raft::proto;
use crate::raft::type_config::Entry;

const MAGIC: &[u8; 8] = b"klammRaf";
const VERSION: u32 = 1;
/// Bytes before the first frame.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 16;
/// Bytes of a frame before its entry.
pub(super) const FRAME_HEADER_BYTES: usize = 24;

/// The header that every segment starts with.
pub(super) fn segment_header() -> [u8; 16] {
    let mut header = [0; 16];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Whether the bytes start with a segment header of this version.
pub(super) fn check_segment_header(bytes: &[u8]) -> Result<(), String> {
    let mut header = bytes.get(..16).ok_or("shorter than its header")?;
    let magic = header.get(..8).unwrap_or_default();
    if magic != MAGIC {
        return Err("no segment of a metadata log".to_owned());
    }
    let expected = crc32c::crc32c(header.get(..12).unwrap_or_default());
    header.advance(8);
    let version = header.get_u32_le();
    if header.get_u32_le() != expected {
        return Err("header checksum mismatch".to_owned());
    }
    if version != VERSION {
        return Err(format!("format version {version}, this release reads {VERSION}"));
    }
    Ok(())
}

/// Encodes an entry as a frame.
pub(super) fn encode_frame(entry: &Entry, durable: u64) -> Bytes {
    let message = entry_to(entry);
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + length);
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&entry.log_id.index.to_le_bytes());
    frame.extend_from_slice(&durable.to_le_bytes());
    frame.extend_from_slice(&message.encode_to_vec());
    let crc = crc32c::crc32c(frame.get(8..).unwrap_or_default());
    if let Some(slot) = frame.get_mut(4..8) {
        slot.copy_from_slice(&crc.to_le_bytes());
    }
    frame.into()
}

/// A frame whose checksum is right.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) index: u64,
    pub(super) entry: Bytes,
    pub(super) frame_bytes: usize,
}

/// Reads the frame at the start of `bytes`. `Err` says what is wrong with it.
pub(super) fn read_frame(bytes: &Bytes) -> Result<Frame, &'static str> {
    let mut header = bytes.get(..FRAME_HEADER_BYTES).ok_or("ends within a frame header")?;
    let length = usize::try_from(header.get_u32_le()).unwrap_or(usize::MAX);
    let crc = header.get_u32_le();
    let index = header.get_u64_le();
    let end = FRAME_HEADER_BYTES.checked_add(length).ok_or("impossible length")?;
    let checked = bytes.get(8..end).ok_or("ends within an entry")?;
    if crc32c::crc32c(checked) != crc {
        return Err("checksum mismatch");
    }
    Ok(Frame {
        index,
        entry: bytes.slice(FRAME_HEADER_BYTES..end),
        frame_bytes: end,
    })
}

/// Decodes a frame's entry.
pub(super) fn decode_entry(entry: Bytes) -> std::io::Result<Entry> {
    let message =
        proto::Entry::decode(entry).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
    Ok(entry_from(message)?)
}

/// Whether a valid frame further on in `bytes` shows that the entry at `index` had been synced.
pub(super) fn was_durable(bytes: &Bytes, index: u64) -> bool {
    // A frame's index is above the damaged one's and close to it: cheap to test before its checksum.
    (1..bytes.len().saturating_sub(FRAME_HEADER_BYTES)).any(|at| {
        let mut indexes = bytes.get(at + 8..at + FRAME_HEADER_BYTES).unwrap_or_default();
        let (found, durable) = (indexes.get_u64_le(), indexes.get_u64_le());
        found > index && durable > index && durable <= found && read_frame(&bytes.slice(at..)).is_ok()
    })
}
