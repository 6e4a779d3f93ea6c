//! sled as a cache of the applied image, so that a start need not replay everything. Never evidence (RAFT-5).
//!
//! Written at a clean shutdown and marked clean last; read once at start, and unmarked before anything else happens.
//! Whatever is odd (no mark, an error, a panic inside sled, a log id that our log does not hold) deletes the directory,
//! and the image is rebuilt from snapshot and log. sled is open only meanwhile, so it costs nothing while running.

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use metadata::MetadataImage;
use metadata::proto::MetadataRecord;
use prost::Message;
use types::MetadataOffset;

use super::codec::{snapshot_meta_from, snapshot_meta_to};
use super::proto;
use super::type_config::SnapshotMeta;

const META: &[u8] = b"meta";
const CLEAN: &[u8] = b"clean";
/// Records are stored in chunks of about this size.
const CHUNK_BYTES: usize = 256 << 10;

/// The cache's directory.
#[derive(Debug, Clone)]
pub(super) struct ImageCache(pub(super) PathBuf);

impl ImageCache {
    /// The image of the last clean shutdown, if it is whole. The cache is empty afterwards.
    pub(super) fn take(&self) -> Option<(SnapshotMeta, MetadataImage)> {
        if !self.0.exists() {
            return None;
        }
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| read(&self.0)));
        self.delete();
        match read {
            Ok(Ok(cached)) => cached,
            Ok(Err(error)) => {
                tracing::warn!(%error, "image cache dropped, the image is rebuilt from snapshot and log");
                None
            }
            Err(_) => {
                tracing::warn!("image cache dropped after a panic in sled, the image is rebuilt from snapshot and log");
                None
            }
        }
    }

    /// Stores the image and marks it clean.
    pub(super) fn store(&self, meta: &SnapshotMeta, image: &MetadataImage) {
        self.delete();
        let written = std::panic::catch_unwind(AssertUnwindSafe(|| write(&self.0, meta, image)));
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!("image cache not written, the next start replays the log");
            self.delete();
        }
    }

    fn delete(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, directory = %self.0.display(), "image cache could not be deleted");
        }
    }
}

fn write(path: &Path, meta: &SnapshotMeta, image: &MetadataImage) -> io::Result<()> {
    let database = open(path)?;
    let mut crc = 0;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut number = 0_u64;
    let mut put = |chunk: &mut Vec<u8>| -> io::Result<()> {
        crc = crc32c::crc32c_append(crc, chunk);
        database.insert(number.to_be_bytes(), std::mem::take(chunk))?;
        number += 1;
        Ok(())
    };
    for record in image.to_records() {
        chunk.extend_from_slice(&record.encode_length_delimited_to_vec());
        if chunk.len() >= CHUNK_BYTES {
            put(&mut chunk)?;
        }
    }
    put(&mut chunk)?;
    let encoded = snapshot_meta_to(meta, image.offset()).encode_to_vec();
    let crc = crc32c::crc32c_append(crc, &encoded);
    database.insert(META, encoded)?;
    database.flush()?;
    // The mark vouches for everything before it.
    database.insert(CLEAN, &crc.to_be_bytes())?;
    database.flush()?;
    Ok(())
}

fn read(path: &Path) -> io::Result<Option<(SnapshotMeta, MetadataImage)>> {
    let database = open(path)?;
    let Some(mark) = database.remove(CLEAN)? else {
        return Ok(None);
    };
    // Unmarked durably before it is used: a crash from here on finds no mark.
    database.flush()?;
    let mut crc = 0;
    let mut bytes = Vec::new();
    for chunk in database.range(0_u64.to_be_bytes()..=u64::MAX.to_be_bytes()) {
        let (key, value) = chunk?;
        if key.len() == 8 {
            crc = crc32c::crc32c_append(crc, &value);
            bytes.extend_from_slice(&value);
        }
    }
    let encoded = database
        .get(META)?
        .ok_or_else(|| io::Error::other("image cache without meta"))?;
    let crc = crc32c::crc32c_append(crc, &encoded);
    if mark.as_ref() != crc.to_be_bytes() {
        return Err(io::Error::other("image cache: checksum mismatch"));
    }
    let meta = proto::SnapshotMeta::decode(encoded.as_ref()).map_err(io::Error::other)?;
    let mut rest = Bytes::from(bytes);
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(MetadataRecord::decode_length_delimited(&mut rest).map_err(io::Error::other)?);
    }
    let image = MetadataImage::from_snapshot(MetadataOffset(meta.offset), records).map_err(io::Error::other)?;
    Ok(Some((snapshot_meta_from(meta)?, image)))
}

fn open(path: &Path) -> io::Result<sled::Db> {
    // Flushed by hand; a small page cache, for it is read once.
    Ok(sled::Config::new()
        .path(path)
        .flush_every_ms(None)
        .cache_capacity(1 << 20)
        .open()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_taken_once_and_only_when_it_was_closed_cleanly() {
        let directory = tempfile::tempdir().unwrap();
        let cache = ImageCache(directory.path().join("cache"));
        assert!(cache.take().is_none());
        let meta = SnapshotMeta {
            last_log_id: Some(super::super::type_config::log_id(3, 9)),
            ..SnapshotMeta::default()
        };
        cache.store(&meta, &MetadataImage::new());
        let (taken, image) = cache.take().unwrap();
        assert_eq!((taken, image), (meta, MetadataImage::new()));
        assert!(cache.take().is_none());
    }

    #[test]
    fn a_damaged_cache_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let cache = ImageCache(directory.path().join("cache"));
        cache.store(&SnapshotMeta::default(), &MetadataImage::new());
        {
            let database = open(&cache.0).unwrap();
            database.insert(META, b"nonsense").unwrap();
            database.flush().unwrap();
        }
        assert!(cache.take().is_none());
        assert!(!cache.0.exists());
    }
}
