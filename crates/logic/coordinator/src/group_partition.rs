//! Which partition of `__consumer_offsets` a group lives on: every client and tool computes the same.

use types::PartitionIndex;

/// Java's `String.hashCode`: over UTF-16 units, wrapping.
#[must_use]
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of a group (`Utils.abs(groupId.hashCode()) % partitions`). With no partitions it is partition 0.
///
/// Kafka's `abs` maps the smallest integer to 0.
#[must_use]
pub fn group_partition(group_id: &str, partitions: i32) -> PartitionIndex {
    let hash = java_string_hash(group_id);
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    PartitionIndex(positive.checked_rem(partitions).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_string_hash(""), 0);
        assert_eq!(java_string_hash("hello"), 99_162_322);
        // One code point above the BMP counts as its two UTF-16 units.
        assert_eq!(java_string_hash("\u{1f600}"), 1_772_899);
        assert_eq!(java_string_hash("polygenelubricants"), i32::MIN);
    }

    #[test]
    fn a_group_has_kafkas_partition() {
        assert_eq!(group_partition("hello", 50), PartitionIndex(22));
        assert_eq!(group_partition("polygenelubricants", 50), PartitionIndex(0));
        assert_eq!(group_partition("any", 0), PartitionIndex(0));
    }
}
