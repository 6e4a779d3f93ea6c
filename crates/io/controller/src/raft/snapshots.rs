//! Snapshots as files: written beside, synced, renamed, the directory synced; two are kept.
//!
//! ```text
//! magic 8 | version u32 | meta length u32 | meta (protobuf) | records, each prefixed by its length | crc32c u32
//! ```
//!
//! The log is purged up to the older one only: if the newer is damaged, the older and the log still hold everything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use metadata::MetadataImage;
use metadata::proto::MetadataRecord;
use parking_lot::Mutex;
use prost::Message;
use storage::{File, FileSystem, OpenMode};
use types::MetadataOffset;

use super::codec::{snapshot_meta_from, snapshot_meta_to};
use super::proto;
use super::type_config::{Snapshot, SnapshotMeta};

const MAGIC: &[u8; 8] = b"klammSna";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
const CRC_BYTES: usize = 4;
/// How many snapshots are kept.
const KEPT: usize = 2;
/// Written at once while a snapshot is built or copied.
const PIECE_BYTES: usize = 1 << 20;

/// A finished snapshot on disk.
#[derive(Debug, Clone)]
pub(super) struct SnapshotFile {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) length: u64,
    /// Of the whole file.
    pub(super) crc32c: u32,
    pub(super) meta: proto::SnapshotMeta,
}

/// A snapshot in memory.
pub(super) struct LoadedSnapshot {
    pub(super) meta: SnapshotMeta,
    pub(super) image: MetadataImage,
}

/// The directory's snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    file_system: Arc<dyn FileSystem>,
    directory: PathBuf,
    /// Oldest first, at most [`KEPT`].
    kept: Mutex<Vec<SnapshotFile>>,
}

impl Snapshots {
    /// Finds and checks what is there. A damaged one is set aside if an older one is left.
    pub(super) fn open(file_system: Arc<dyn FileSystem>, directory: &Path) -> io::Result<Self> {
        let mut kept = Vec::new();
        for name in file_system.read_dir(directory)? {
            let path = directory.join(&name);
            if name.ends_with(".snapshot.tmp") {
                file_system.remove_file(&path)?;
            } else if name.ends_with(".snapshot") {
                match open_file(file_system.as_ref(), &path) {
                    Ok(snapshot) => kept.push(snapshot),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        tracing::error!(file = %path.display(), %error, "damaged snapshot set aside");
                        file_system.rename(&path, &directory.join(format!("{name}.damaged")))?;
                        file_system.sync_dir(directory)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        kept.sort_by_key(|snapshot| last_index(&snapshot.meta));
        Ok(Self {
            file_system,
            directory: directory.to_owned(),
            kept: Mutex::new(kept),
        })
    }

    /// The newest snapshot.
    pub(super) fn newest(&self) -> Option<SnapshotFile> {
        self.kept.lock().last().cloned()
    }

    /// Entries up to here are in the older of two snapshots: the log may forget them.
    pub(super) fn purgeable(&self) -> Option<u64> {
        let kept = self.kept.lock();
        (kept.len() >= KEPT)
            .then(|| kept.first().map(|snapshot| last_index(&snapshot.meta)))
            .flatten()
    }

    /// Writes an image as a snapshot. Takes long for a large one: not on a task that others wait for.
    pub(super) fn build(&self, meta: &SnapshotMeta, image: &MetadataImage) -> io::Result<SnapshotFile> {
        let temporary = self.directory.join("building.snapshot.tmp");
        self.write(&temporary, meta, image).inspect_err(|_| {
            // A part of a snapshot only takes up room; the next start would remove it, too.
            let _ = self.file_system.remove_file(&temporary);
        })?;
        self.adopt(&temporary)
    }

    fn write(&self, temporary: &Path, meta: &SnapshotMeta, image: &MetadataImage) -> io::Result<()> {
        let meta = snapshot_meta_to(meta, image.offset());
        let mut writer = PieceWriter::create(self.file_system.as_ref(), temporary)?;
        let encoded = meta.encode_to_vec();
        writer.write(MAGIC)?;
        writer.write(&VERSION.to_le_bytes())?;
        writer.write(&u32::try_from(encoded.len()).map_err(io::Error::other)?.to_le_bytes())?;
        writer.write(&encoded)?;
        for record in image.to_records() {
            writer.write(&record.encode_length_delimited_to_vec())?;
        }
        writer.finish()
    }

    /// Makes a finished temporary file the newest snapshot; drops the ones beyond those kept.
    pub(super) fn adopt(&self, temporary: &Path) -> io::Result<SnapshotFile> {
        let checked = open_file(self.file_system.as_ref(), temporary)?;
        let id = checked.meta.last_log_id.unwrap_or_default();
        let path = self
            .directory
            .join(format!("{:020}-{:010}.snapshot", id.index, id.term));
        self.file_system.rename(temporary, &path)?;
        self.file_system.sync_dir(&self.directory)?;
        let snapshot = SnapshotFile { path, ..checked };
        let mut kept = self.kept.lock();
        kept.retain(|other| other.path != snapshot.path);
        kept.push(snapshot.clone());
        kept.sort_by_key(|snapshot| last_index(&snapshot.meta));
        while kept.len() > KEPT {
            let oldest = kept.remove(0);
            self.file_system.remove_file(&oldest.path)?;
        }
        Ok(snapshot)
    }

    /// Makes sure that a snapshot is kept here: one that was received is renamed, another directory's copied.
    pub(super) fn own(&self, snapshot: &SnapshotFile) -> io::Result<SnapshotFile> {
        if let Some(own) = self.kept.lock().iter().find(|own| own.path == snapshot.path) {
            return Ok(own.clone());
        }
        if snapshot.path.parent() == Some(self.directory.as_path()) {
            return self.adopt(&snapshot.path);
        }
        let temporary = self.directory.join("copying.snapshot.tmp");
        let mut writer = PieceWriter::create(self.file_system.as_ref(), &temporary)?;
        let mut position = 0;
        while position < snapshot.length {
            let piece = snapshot.read(position, PIECE_BYTES)?;
            if piece.is_empty() {
                return Err(damaged(&snapshot.path, "ends early"));
            }
            writer.write(&piece)?;
            position += piece.len() as u64;
        }
        writer.finish_as_is()?;
        self.adopt(&temporary)
    }

    /// Where a snapshot that is being received is gathered.
    pub(super) fn receiving(&self) -> io::Result<(PathBuf, Arc<dyn File>)> {
        let path = self.directory.join("receiving.snapshot.tmp");
        let file = self.file_system.open(&path, OpenMode::CREATE)?;
        file.set_len(0)?;
        Ok((path, file))
    }
}

impl SnapshotFile {
    /// Reads at most `limit` bytes at `position`; none at the end.
    pub(super) fn read(&self, position: u64, limit: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; limit.min(left)];
        let read = self.file.read_at(&mut bytes, position)?;
        bytes.truncate(read);
        Ok(bytes.into())
    }

    /// What openraft calls a snapshot.
    pub(super) fn to_raft(&self) -> io::Result<Snapshot> {
        Ok(Snapshot {
            meta: snapshot_meta_from(self.meta.clone())?,
            snapshot: self.clone(),
        })
    }

    /// Reads the image, checking everything again.
    pub(super) fn load(&self) -> io::Result<LoadedSnapshot> {
        let bytes = self.read(0, usize::MAX)?;
        let (meta, mut records) = split(&self.path, &bytes)?;
        let mut decoded = Vec::new();
        while !records.is_empty() {
            decoded.push(
                MetadataRecord::decode_length_delimited(&mut records)
                    .map_err(|error| damaged(&self.path, &error.to_string()))?,
            );
        }
        let image = MetadataImage::from_snapshot(MetadataOffset(meta.offset), decoded)
            .map_err(|error| damaged(&self.path, &error.to_string()))?;
        Ok(LoadedSnapshot {
            meta: snapshot_meta_from(meta)?,
            image,
        })
    }
}

pub(super) fn last_index(meta: &proto::SnapshotMeta) -> u64 {
    meta.last_log_id.map_or(0, |id| id.index)
}

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

/// Opens and checks a finished snapshot.
fn open_file(files: &dyn FileSystem, path: &Path) -> io::Result<SnapshotFile> {
    check(path, files.open(path, OpenMode::READ)?)
}

/// Checks an open, finished snapshot.
pub(super) fn check(path: &Path, file: Arc<dyn File>) -> io::Result<SnapshotFile> {
    let length = file.len()?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    let bytes = Bytes::from(bytes);
    let (meta, _) = split(path, &bytes)?;
    Ok(SnapshotFile {
        path: path.to_owned(),
        file,
        length,
        crc32c: crc32c::crc32c(&bytes),
        meta,
    })
}

/// Checks a snapshot's bytes; returns what it says of itself, and its records.
fn split(path: &Path, bytes: &Bytes) -> io::Result<(proto::SnapshotMeta, Bytes)> {
    let end = bytes
        .len()
        .checked_sub(CRC_BYTES)
        .ok_or_else(|| damaged(path, "too short"))?;
    let (body, mut crc) = (bytes.slice(..end), bytes.slice(end..));
    if crc.get_u32_le() != crc32c::crc32c(&body) {
        return Err(damaged(path, "checksum mismatch"));
    }
    let mut header = body.get(..HEADER_BYTES).ok_or_else(|| damaged(path, "too short"))?;
    if !header.starts_with(MAGIC) {
        return Err(damaged(path, "no snapshot of metadata"));
    }
    header.advance(MAGIC.len());
    let version = header.get_u32_le();
    if version != VERSION {
        let what = format!(
            "{}: format version {version}, this release reads {VERSION}",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    let meta_length = usize::try_from(header.get_u32_le()).unwrap_or(usize::MAX);
    let meta_end = HEADER_BYTES.checked_add(meta_length).filter(|&end| end <= body.len());
    let meta_end = meta_end.ok_or_else(|| damaged(path, "meta reaches beyond the end"))?;
    let meta = proto::SnapshotMeta::decode(body.slice(HEADER_BYTES..meta_end))
        .map_err(|error| damaged(path, &error.to_string()))?;
    Ok((meta, body.slice(meta_end..)))
}

/// Writes a file from start to end, in pieces, counting its checksum.
struct PieceWriter {
    file: Arc<dyn File>,
    position: u64,
    piece: Vec<u8>,
    crc: u32,
}

impl PieceWriter {
    fn create(files: &dyn FileSystem, path: &Path) -> io::Result<Self> {
        let file = files.open(path, OpenMode::CREATE)?;
        file.set_len(0)?;
        Ok(Self {
            file,
            position: 0,
            piece: Vec::with_capacity(PIECE_BYTES),
            crc: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.piece, self.position)?;
        self.position += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    /// Ends the file with its checksum and syncs it.
    fn finish(mut self) -> io::Result<()> {
        let crc = self.crc.to_le_bytes();
        self.piece.extend_from_slice(&crc);
        self.finish_as_is()
    }

    /// Syncs a file that brought its checksum along.
    fn finish_as_is(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_data()
    }
}
