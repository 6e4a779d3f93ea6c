//! The codecs of a batch's payload, bounded.
//!
//! Every decoder writes into a buffer that grows with what it has produced and stops at the caller's bound, so that a
//! small frame that claims or holds gigabytes costs no more than the bound (REC-1).

mod snappy;

use std::io::{Read, Write};

use bytes::Bytes;

use crate::{BatchError, Compression};

/// The usual bound on a decompressed batch. Kafka has none because it streams; its largest common `max.message.bytes` is
/// 10 MiB, and text compresses about tenfold, so an honest batch stays below.
pub const MAX_DECOMPRESSED_BYTES: usize = 128 << 20;

/// A buffer starts at this multiple of the compressed bytes: text's usual ratio, without trust in any declared size.
const EXPECTED_RATIO: usize = 4;

/// The largest zstd window that is accepted, log2: 128 MiB, which level 22 uses. It bounds the decoder's own memory.
const ZSTD_MAX_WINDOW_LOG: u32 = 27;

/// The records of a batch's payload. Uncompressed ones share the buffer.
///
/// # Errors
/// [`BatchError::Decompression`] for bytes that the codec didn't write, [`BatchError::DecompressedTooLarge`] above
/// `max_bytes` (an uncompressed payload is never too large: it is here already).
pub fn decompress(compression: Compression, payload: &Bytes, max_bytes: usize) -> Result<Bytes, BatchError> {
    let source = payload.as_ref();
    let failed = |error: std::io::Error| BatchError::Decompression {
        compression,
        reason: error.to_string(),
    };
    if compression != Compression::None && source.is_empty() {
        return Ok(Bytes::new());
    }
    let records = match compression {
        Compression::None => return Ok(payload.clone()),
        Compression::Gzip => read_bounded(
            compression,
            flate2::bufread::MultiGzDecoder::new(source),
            source,
            max_bytes,
        )?,
        Compression::Snappy => snappy::decompress(source, max_bytes)?,
        Compression::Lz4 => read_bounded(
            compression,
            lz4_flex::frame::FrameDecoder::new(source),
            source,
            max_bytes,
        )?,
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(failed)?;
            decoder.window_log_max(ZSTD_MAX_WINDOW_LOG).map_err(failed)?;
            read_bounded(compression, decoder, source, max_bytes)?
        }
    };
    Ok(records.into())
}

fn read_bounded(
    compression: Compression,
    decoder: impl Read,
    source: &[u8],
    max_bytes: usize,
) -> Result<Vec<u8>, BatchError> {
    let mut records = Vec::with_capacity(source.len().saturating_mul(EXPECTED_RATIO).min(max_bytes));
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.take(bound).read_to_end(&mut records);
    if records.len() > max_bytes {
        return Err(BatchError::DecompressedTooLarge { max_bytes });
    }
    read.map_err(|error| BatchError::Decompression {
        compression,
        reason: error.to_string(),
    })?;
    Ok(records)
}

/// Compresses records as Kafka's Java producer does: snappy in xerial's framing, LZ4 in frames of independent blocks.
///
/// # Errors
/// [`BatchError::Unbuildable`] when the codec fails, which writing to memory doesn't.
pub fn compress(compression: Compression, records: Vec<u8>) -> Result<Vec<u8>, BatchError> {
    let compressed = match compression {
        Compression::None => Ok(records),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&records).and_then(|()| encoder.finish())
        }
        Compression::Snappy => snappy::compress(&records),
        Compression::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder
                .write_all(&records)
                .and_then(|()| encoder.finish().map_err(std::io::Error::other))
        }
        Compression::Zstd => zstd::stream::encode_all(records.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL),
    };
    compressed.map_err(|error| BatchError::Unbuildable(format!("{compression}: {error}")))
}
