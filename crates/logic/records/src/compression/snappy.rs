//! Snappy as Kafka's clients write it: xerial's framing (snappy-java and most others) or one raw block (old C clients).
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 | compatible i32 | ( length i32 | raw block )*        all big-endian
//! ```
//! A stream may begin anew with the 16-byte header, where two were written one after the other.

use std::io;

use crate::{BatchError, Compression};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_BYTES: usize = 16;
/// Bytes per block, as snappy-java's stream cuts them.
const BLOCK_BYTES: usize = 32 * 1024;
/// No snappy element makes more of its bytes: a copy of 64 takes 3. Bounds what a block's declared length may allocate.
const MAX_RATIO: usize = 64;

fn corrupt(reason: impl ToString) -> BatchError {
    BatchError::Decompression {
        compression: Compression::Snappy,
        reason: reason.to_string(),
    }
}

/// See [`crate::decompress`].
pub(super) fn decompress(source: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    let mut records = Vec::new();
    if !source.starts_with(&MAGIC) {
        block(source, &mut records, max_bytes)?;
        return Ok(records);
    }
    let mut left = source;
    while !left.is_empty() {
        if left.starts_with(&MAGIC) {
            left = left.get(HEADER_BYTES..).ok_or_else(|| corrupt("short header"))?;
            continue;
        }
        let (length, rest) = left
            .split_first_chunk::<4>()
            .ok_or_else(|| corrupt("short block length"))?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| corrupt("negative block length"))?;
        let (raw, rest) = rest.split_at_checked(length).ok_or_else(|| corrupt("short block"))?;
        block(raw, &mut records, max_bytes)?;
        left = rest;
    }
    Ok(records)
}

fn block(raw: &[u8], records: &mut Vec<u8>, max_bytes: usize) -> Result<(), BatchError> {
    let length = snap::raw::decompress_len(raw).map_err(corrupt)?;
    if length > raw.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt("the block can't hold what it declares"));
    }
    let start = records.len();
    if length > max_bytes.saturating_sub(start) {
        return Err(BatchError::DecompressedTooLarge { max_bytes });
    }
    records.resize(start + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(raw, &mut records[start..])
        .map_err(corrupt)?;
    records.truncate(start + written);
    Ok(())
}

/// Xerial's framing, version 1.
pub(super) fn compress(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    out.extend(1_i32.to_be_bytes());
    out.extend(1_i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for chunk in records.chunks(BLOCK_BYTES) {
        let raw = encoder.compress_vec(chunk).map_err(io::Error::other)?;
        out.extend(i32::try_from(raw.len()).map_err(io::Error::other)?.to_be_bytes());
        out.extend(raw);
    }
    Ok(out)
}
