//! What must hold of every image, and from one image to the next.
//!
//! The same checks serve the property tests here, the simulator after every step, and asserts in shells that
//! can afford them: they look at everything.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use types::{BrokerId, TopicIdPartition};

use crate::image::{LeaderRecovery, MetadataImage, PartitionRegistration};

/// An invariant that doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{id} is broken{}: {why}", .partition.map(|partition| format!(" at {partition}")).unwrap_or_default())]
pub struct Violation {
    /// The invariant, META-1 to META-9.
    pub id: &'static str,
    /// Where, if at one partition.
    pub partition: Option<TopicIdPartition>,
    /// What was found.
    pub why: String,
}

/// META-1, META-3, META-5, META-6 and META-7 of one image.
///
/// # Errors
/// The first violation.
pub fn check_image(image: &MetadataImage) -> Result<(), Violation> {
    for topic in image.topics() {
        for (partition, registration) in topic.partitions() {
            let id = TopicIdPartition {
                topic_id: topic.id,
                partition,
            };
            check_partition(registration).map_err(|(invariant, why)| Violation {
                id: invariant,
                partition: Some(id),
                why,
            })?;
        }
    }
    for broker in image.brokers() {
        if broker.epoch.0 < 0 || broker.epoch.0 >= image.offset().0 {
            return Err(overall(
                "META-6",
                format!("broker {} has epoch {} of the future", broker.id, broker.epoch),
            ));
        }
    }
    check_indexes(image)
}

/// META-2, META-4, META-6 and META-9 from one image to a later one: one decision, or one record, away.
///
/// # Errors
/// The first violation.
pub fn check_step(before: &MetadataImage, after: &MetadataImage) -> Result<(), Violation> {
    if after.offset() < before.offset() || after.next_producer_id() < before.next_producer_id() {
        return Err(overall(
            "META-9",
            "the metadata offset or the next producer id went back".to_owned(),
        ));
    }
    for broker in after.brokers() {
        if before.broker(broker.id).is_some_and(|old| old.epoch > broker.epoch) {
            return Err(overall(
                "META-6",
                format!("the epoch of broker {} went back", broker.id),
            ));
        }
    }
    for topic in after.topics() {
        let Some(old) = before.topic_by_id(topic.id) else {
            continue;
        };
        if std::sync::Arc::ptr_eq(old, topic) {
            continue;
        }
        for (partition, registration) in topic.partitions() {
            let Some(old) = old.partition(partition) else { continue };
            let id = TopicIdPartition {
                topic_id: topic.id,
                partition,
            };
            check_change(after, old, registration).map_err(|(invariant, why)| Violation {
                id: invariant,
                partition: Some(id),
                why,
            })?;
        }
    }
    Ok(())
}

type Found = (&'static str, String);

fn check_partition(partition: &PartitionRegistration) -> Result<(), Found> {
    let replicas: BTreeSet<_> = partition.replicas.iter().collect();
    if partition.replicas.is_empty() || replicas.len() != partition.replicas.len() {
        return Err((
            "META-3",
            format!("replicas {:?} are empty or double", partition.replicas),
        ));
    }
    if let Some(leader) = partition.leader {
        if !partition.isr.contains(&leader) {
            return Err((
                "META-1",
                format!("leader {leader} isn't in the ISR {:?}", partition.isr),
            ));
        }
        if partition.recovery == LeaderRecovery::Recovering && partition.isr.len() > 1 {
            return Err(("META-1", format!("a recovering leader with ISR {:?}", partition.isr)));
        }
    }
    let mut once = BTreeSet::new();
    for id in partition
        .isr
        .iter()
        .chain(&partition.elr)
        .chain(&partition.last_known_elr)
    {
        if !replicas.contains(id) {
            return Err(("META-3", format!("{id} is in ISR or ELR, but no replica")));
        }
        if !once.insert(id) {
            return Err(("META-5", format!("{id} is twice in ISR, ELR and last known ELR")));
        }
    }
    if once.is_empty() {
        return Err(("META-3", "nobody is left to lead".to_owned()));
    }
    let coming_and_going = partition.adding.iter().chain(&partition.removing);
    if coming_and_going.clone().any(|id| !replicas.contains(id)) {
        return Err(("META-3", "an added or removed replica is no replica".to_owned()));
    }
    Ok(())
}

fn check_change(after: &MetadataImage, old: &PartitionRegistration, new: &PartitionRegistration) -> Result<(), Found> {
    if new.leader_epoch < old.leader_epoch || new.partition_epoch < old.partition_epoch {
        return Err(("META-2", "an epoch went back".to_owned()));
    }
    if new.leader != old.leader && new.leader_epoch == old.leader_epoch {
        return Err(("META-2", "another leader with the same leader epoch".to_owned()));
    }
    if new != old && new.partition_epoch == old.partition_epoch {
        return Err(("META-2", "a change with the same partition epoch".to_owned()));
    }
    if let Some(leader) = new.leader {
        if new.leader != old.leader && !after.is_active(leader) {
            return Err(("META-4", format!("{leader} was elected and isn't active")));
        }
        if after.broker(leader).is_none_or(|broker| broker.fenced) {
            return Err(("META-4", format!("{leader} leads and is fenced")));
        }
        let clean = old.isr.contains(&leader) || old.elr.contains(&leader);
        let marked = new.recovery == LeaderRecovery::Recovering || new.isr.len() > 1;
        // The leader let a replica into the ISR, and with that the reassignment was done and took the leader away.
        let removed = old.leader.is_some_and(|old| !new.replicas.contains(&old));
        let took_over = old.is_reassigning() && !new.is_reassigning() && removed;
        if new.leader_epoch == old.leader_epoch.next() && !clean && !marked && !took_over {
            return Err((
                "META-1",
                format!("{leader} came from neither ISR nor ELR and isn't marked so"),
            ));
        }
    }
    Ok(())
}

/// META-7: the indexes say what the topics say.
fn check_indexes(image: &MetadataImage) -> Result<(), Violation> {
    let mut replicas_of: BTreeMap<BrokerId, BTreeSet<TopicIdPartition>> = BTreeMap::new();
    let mut leaderless = BTreeSet::new();
    let mut partitions = 0;
    for topic in image.topics() {
        if image.topic(topic.name.as_str()).map(|found| found.id) != Some(topic.id) {
            return Err(overall(
                "META-7",
                format!("topic {} isn't found by its name", topic.name),
            ));
        }
        for (partition, registration) in topic.partitions() {
            let id = TopicIdPartition {
                topic_id: topic.id,
                partition,
            };
            partitions += 1;
            if registration.leader.is_none() {
                leaderless.insert(id);
            }
            for replica in &registration.replicas {
                replicas_of.entry(*replica).or_default().insert(id);
            }
        }
    }
    if partitions != image.partition_count() {
        return Err(overall(
            "META-7",
            format!("{partitions} partitions, {} counted", image.partition_count()),
        ));
    }
    if !image.leaderless_partitions().eq(leaderless.iter().copied()) {
        return Err(overall(
            "META-7",
            "the index of leaderless partitions is wrong".to_owned(),
        ));
    }
    let indexed = image.replica_count();
    let counted: usize = replicas_of.values().map(BTreeSet::len).sum();
    let wrong = replicas_of
        .iter()
        .find(|(broker, ids)| !image.partitions_of(**broker).eq(ids.iter().copied()));
    match wrong {
        Some((broker, _)) => Err(overall("META-7", format!("the index of broker {broker} is wrong"))),
        None if indexed != counted => Err(overall(
            "META-7",
            format!("{indexed} replicas indexed, {counted} counted"),
        )),
        None => Ok(()),
    }
}

fn overall(id: &'static str, why: String) -> Violation {
    Violation {
        id,
        partition: None,
        why,
    }
}
