//! VIS-1: below the high watermark, a partition's replicas hold the same batches, byte for byte.
//!
//! The segment files are read as Kafka writes them; where a segment ends is each replica's own affair, so the batches of
//! all segments are compared as one sequence.
//!
//! ```text
//! base offset 8 | length 4 | leader epoch 4 | magic 1 | crc 4 | attributes 2 | last offset delta 4 | …
//! 0               8          12               16        17      21             23
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::deadline::{Deadline, wait_until};
use crate::members::Cluster;
use crate::reader::high_watermarks;

/// Bytes before a batch's length counts.
const LOG_OVERHEAD: usize = 12;
/// Bytes up to and with the last offset delta.
const HEADER_BYTES: usize = 27;

/// One batch as it lies in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// All its bytes.
    pub bytes: Vec<u8>,
}

/// Waits until all replicas of all partitions of `topic` hold the same batches up to the high watermark. Wants every replica's
/// node to run and nobody to produce.
///
/// # Errors
/// They differ, or one still lacks batches after `seconds`.
pub fn wait_identical(cluster: &Cluster, topic: &str, seconds: u64) -> anyhow::Result<()> {
    for (partition, end) in high_watermarks(cluster, topic, Deadline::seconds(seconds))? {
        let state = cluster
            .partitions(topic)?
            .into_iter()
            .find(|state| state.partition == partition);
        let replicas = state.context("the partition is gone")?.replicas;
        let folders = replica_folders(cluster, &replicas, &format!("{topic}-{partition}"));
        let difference = wait_until(
            &format!("identical replicas of {topic}-{partition} below {end}"),
            seconds,
            || {
                let logs = folders
                    .iter()
                    .map(|folder| batches_below(folder, end))
                    .collect::<anyhow::Result<Vec<_>>>()?;
                for (log, folder) in logs.iter().zip(&folders) {
                    if let Some(difference) = first_difference(&logs[0], log) {
                        return Ok(Some(Err(format!(
                            "{} and {}: {difference}",
                            folders[0].display(),
                            folder.display()
                        ))));
                    }
                    let held = log.last().map_or(0, |batch| batch.last_offset + 1);
                    ensure!(held == end, "{} ends at {held}", folder.display());
                }
                Ok(Some(Ok(())))
            },
        )?;
        difference.map_err(|difference| anyhow::anyhow!("VIS-1: {difference}"))?;
    }
    Ok(())
}

/// The whole batches in a partition's folder whose last offset is below `end`, in order.
///
/// # Errors
/// A file can't be read, or its content isn't a sequence of batches with rising offsets.
pub fn batches_below(folder: &Path, end: i64) -> anyhow::Result<Vec<Batch>> {
    let mut segments: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    // Kafka's names are the base offset in twenty digits: they sort as numbers do.
    segments.sort();
    let mut batches: Vec<Batch> = Vec::new();
    for segment in segments {
        let bytes = fs::read(&segment)?;
        parse(&bytes, &mut batches).with_context(|| segment.display().to_string())?;
    }
    batches.retain(|batch| batch.last_offset < end);
    Ok(batches)
}

fn replica_folders(cluster: &Cluster, replicas: &[i32], partition: &str) -> Vec<PathBuf> {
    let nodes = cluster.nodes().iter().filter(|node| replicas.contains(&node.id()));
    nodes.map(|node| node.replica_directory(partition)).collect()
}

/// Appends the batches in `bytes`; an unfinished one at the end, or zeros that were only reserved, end the segment.
fn parse(bytes: &[u8], batches: &mut Vec<Batch>) -> anyhow::Result<()> {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + HEADER_BYTES) {
        let base_offset = i64::from_be_bytes(header[..8].try_into()?);
        let length = i32::from_be_bytes(header[8..12].try_into()?);
        let delta = i32::from_be_bytes(header[23..27].try_into()?);
        if length == 0 {
            break;
        }
        ensure!(length > 0 && header[16] == 2, "no batch of magic 2 at position {at}");
        let Some(batch) = bytes.get(at..at + LOG_OVERHEAD + usize::try_from(length)?) else {
            break;
        };
        let last_offset = base_offset + i64::from(delta);
        let before = batches.last().map_or(-1, |batch| batch.last_offset);
        if base_offset <= before {
            bail!("batch at {base_offset} after offset {before}");
        }
        batches.push(Batch {
            base_offset,
            last_offset,
            bytes: batch.to_vec(),
        });
        at += batch.len();
    }
    Ok(())
}

/// Compares as far as both go: one that is shorter is only late.
fn first_difference(one: &[Batch], other: &[Batch]) -> Option<String> {
    let (a, b) = one.iter().zip(other).find(|(a, b)| a != b)?;
    let byte = a.bytes.iter().zip(&b.bytes).position(|(x, y)| x != y);
    Some(format!(
        "batches {}..={} and {}..={} differ, first at byte {byte:?}",
        a.base_offset, a.last_offset, b.base_offset, b.last_offset
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base_offset: i64, delta: i32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = base_offset.to_be_bytes().to_vec();
        let length = i32::try_from(HEADER_BYTES - LOG_OVERHEAD + payload.len()).unwrap();
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
        bytes.extend(delta.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn batches_are_read_over_segments_and_cut_at_the_high_watermark() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = batch(0, 1, b"a");
        first.extend(batch(2, 0, b"b"));
        fs::write(folder.path().join("00000000000000000000.log"), first).unwrap();
        let mut second = batch(3, 4, b"c");
        second.extend(&batch(8, 0, b"cut")[..20]);
        fs::write(folder.path().join("00000000000000000003.log"), second).unwrap();
        fs::write(folder.path().join("00000000000000000003.index"), b"x").unwrap();
        let all = batches_below(folder.path(), 100).unwrap();
        assert_eq!(all.iter().map(|batch| batch.last_offset).collect::<Vec<_>>(), [1, 2, 7]);
        assert_eq!(batches_below(folder.path(), 7).unwrap().len(), 2);
    }

    #[test]
    fn offsets_that_go_back_are_refused() {
        let mut bytes = batch(5, 0, b"");
        bytes.extend(batch(5, 0, b""));
        assert!(parse(&bytes, &mut Vec::new()).is_err());
    }

    #[test]
    fn one_different_byte_is_found() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        parse(&batch(0, 0, b"abc"), &mut one).unwrap();
        parse(&batch(0, 0, b"abd"), &mut other).unwrap();
        assert!(first_difference(&one, &other).unwrap().contains("Some(29)"));
        assert_eq!(first_difference(&one, &[]), None);
    }
}
