//! `partition.metadata`: which topic id a partition's directory belongs to (KIP-516).

use std::path::Path;

use types::TopicId;

use crate::atomic_file::read_text;
use crate::file_names::PARTITION_METADATA;
use crate::file_system::{FileSystem, OpenMode};
use crate::log_error::{LogError, StorageContext};

/// The topic id of a partition's directory; `None` when the file is missing or (torn by a power cut) odd.
///
/// # Errors
/// `Storage`.
pub fn read_topic_id(file_system: &dyn FileSystem, directory: &Path) -> Result<Option<TopicId>, LogError> {
    let path = directory.join(PARTITION_METADATA);
    let text = match read_text(file_system, &path) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(None),
        other => other.during("read", &path)?,
    };
    Ok(text.as_deref().and_then(parse))
}

fn parse(text: &str) -> Option<TopicId> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "version: 0" {
        return None;
    }
    TopicId::parse(lines.next()?.strip_prefix("topic_id:")?.trim())
}

/// Writes the file; the log's first flush makes it durable.
pub(crate) fn write(file_system: &dyn FileSystem, directory: &Path, topic_id: TopicId) -> Result<(), LogError> {
    let path = directory.join(PARTITION_METADATA);
    let file = file_system.open(&path, OpenMode::CREATE).during("create", &path)?;
    file.set_len(0).during("truncate", &path)?;
    file.write_all_at(format!("version: 0\ntopic_id: {topic_id}\n").as_bytes(), 0)
        .during("write", &path)
}
