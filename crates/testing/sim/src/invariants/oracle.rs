//! ACK, seen from the clients: what was acknowledged stands once at its offset, in the producer's order; what failed
//! doesn't stand; what a consumer got is what stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::metadata::MetadataImage;
use types::Offset;

use super::{CommittedLog, Violation};
use crate::clients::values_of;
use crate::history::{Fate, History};
use crate::view::event_partitions;

fn broken(why: String) -> Violation {
    Violation::new("ACK", why)
}

/// Compares the clients' story with the committed logs.
pub(super) fn check(
    history: &History,
    committed: &CommittedLog,
    image: Option<&Arc<MetadataImage>>,
) -> Result<(), Violation> {
    let partitions = image.map(|image| event_partitions(image)).unwrap_or_default();
    let mut stands: BTreeMap<(i32, String), Offset> = BTreeMap::new();
    let mut at: BTreeMap<(i32, Offset), String> = BTreeMap::new();
    let mut last: BTreeMap<(i32, i64), i64> = BTreeMap::new();
    for id in partitions {
        for bytes in committed.bytes(id) {
            for (offset, value) in values_of(bytes) {
                let partition = id.partition.0;
                if let Some(earlier) = stands.insert((partition, value.clone()), offset) {
                    return Err(broken(format!(
                        "{value} stands twice in partition {partition}: at {earlier} and {offset}"
                    )));
                }
                if let Some((producer, serial)) = parse(&value) {
                    let before = last.insert((partition, producer), serial).unwrap_or(-1);
                    if before >= serial {
                        return Err(broken(format!(
                            "partition {partition}: {value} at {offset} comes after {producer}:{before}"
                        )));
                    }
                }
                at.insert((partition, offset), value);
            }
        }
    }
    for (partition, value, fate) in history.written() {
        let found = stands.get(&(partition, value.clone())).copied();
        match fate {
            Fate::Acked(offset) if found != Some(offset) => {
                return Err(broken(format!(
                    "{value} was acknowledged at {offset} of partition {partition} and stands at {found:?}; there stands {:?}",
                    at.get(&(partition, offset))
                )));
            }
            Fate::Failed if found.is_some() => {
                return Err(broken(format!(
                    "{value} was refused and stands at {found:?} of partition {partition}"
                )));
            }
            Fate::Acked(_) | Fate::Failed | Fate::Unknown => {}
        }
    }
    for record in history.read() {
        if at.get(&(record.partition, record.offset)) != Some(&record.value) {
            return Err(Violation::new(
                "VIS",
                format!(
                    "{record:?}, but there stands {:?}",
                    at.get(&(record.partition, record.offset))
                ),
            ));
        }
    }
    Ok(())
}

fn parse(value: &str) -> Option<(i64, i64)> {
    let (producer, serial) = value.split_once(':')?;
    Some((producer.parse().ok()?, serial.parse().ok()?))
}
