//! Kafka's names for the files of a partition: 20 digits of the base offset and a suffix.

use std::path::{Path, PathBuf};

use types::Offset;

pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const TXN_INDEX: &str = "txnindex";
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Renamed so before they are removed: a crash in between leaves nothing that looks like a segment.
pub(crate) const DELETED: &str = "deleted";
/// A compacted segment in the making; behind the suffix of what it is to be.
pub(crate) const CLEANED: &str = "cleaned";
/// The `.log` of a compacted segment that stands in the place of all those that it reaches over, though they may still be there.
pub(crate) const LOG_SWAP: &str = "log.swap";
pub(crate) const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// In a log that is about to go on in another directory, or does by now.
pub(crate) const LEFT: &str = "klamm.left";

/// `<directory>/<20 digits>.<suffix>`.
pub(crate) fn segment_file(directory: &Path, base_offset: Offset, suffix: &str) -> PathBuf {
    directory.join(format!("{:020}.{suffix}", base_offset.0))
}

/// The base offset of a file name with this suffix.
pub(crate) fn parse_segment_file(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?.strip_suffix('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let path = segment_file(Path::new("/d/t-0"), Offset(42), LOG);
        assert_eq!(path, Path::new("/d/t-0/00000000000000000042.log"));
        assert_eq!(parse_segment_file("00000000000000000042.log", LOG), Some(Offset(42)));
        assert_eq!(parse_segment_file("00000000000000000042.index", LOG), None);
        assert_eq!(parse_segment_file("42.log", LOG), None);
        assert_eq!(parse_segment_file("99999999999999999999.log", LOG), None);
    }
}
