//! Whether a node may be stopped: one rule for the node's own endpoint and the operator's command.
//!
//! STOP-1: a node is safe to stop when no partition's ISR falls under its `min.insync.replicas` by it, and the voters that
//! answer are still a majority without it. A partition of one replica is never safe: it would be offline.

use types::BrokerId;

/// A partition as the rule needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopPartition<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its index.
    pub partition: i32,
    /// In-sync replicas that are alive.
    pub isr: &'a [BrokerId],
    /// `min.insync.replicas` as it holds for the topic.
    pub min_isr: usize,
}

/// A voter of the metadata quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopVoter {
    /// Its node.
    pub node: BrokerId,
    /// It answers the active controller, or is it.
    pub alive: bool,
}

/// What stands against stopping a node; nothing: it is safe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopRisks {
    /// Partitions that would take no more writes with `acks=all`, each with why.
    pub partitions: Vec<PartitionRisk>,
    /// Voters that would answer, and how many are needed, when that is too few.
    pub quorum: Option<QuorumRisk>,
}

/// A partition that would fall under its min ISR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRisk {
    /// `topic-partition`.
    pub name: String,
    /// In-sync replicas that would be left.
    pub left: usize,
    /// `min.insync.replicas`.
    pub min_isr: usize,
}

/// A quorum that would lose its majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumRisk {
    /// Voters that would answer.
    pub left: usize,
    /// A majority of all voters.
    pub needed: usize,
}

impl StopRisks {
    /// Nothing stands against it.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.partitions.is_empty() && self.quorum.is_none()
    }
}

/// STOP-1 for `node`.
#[must_use]
pub fn risks_of_stopping<'a>(
    node: BrokerId,
    partitions: impl IntoIterator<Item = StopPartition<'a>>,
    voters: &[StopVoter],
) -> StopRisks {
    let at_risk = partitions.into_iter().filter_map(|partition| {
        let left = partition.isr.iter().filter(|member| **member != node).count();
        let hosts = left < partition.isr.len();
        (hosts && left < partition.min_isr.max(1)).then(|| PartitionRisk {
            name: format!("{}-{}", partition.topic, partition.partition),
            left,
            min_isr: partition.min_isr,
        })
    });
    let needed = voters.len() / 2 + 1;
    let left = voters.iter().filter(|voter| voter.alive && voter.node != node).count();
    let votes = voters.iter().any(|voter| voter.node == node);
    StopRisks {
        partitions: at_risk.collect(),
        quorum: (votes && left < needed).then_some(QuorumRisk { left, needed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risks(node: i32, isr: &[i32], min_isr: usize, alive: &[bool]) -> StopRisks {
        let isr: Vec<BrokerId> = isr.iter().copied().map(BrokerId).collect();
        let voters: Vec<StopVoter> = (1..)
            .zip(alive)
            .map(|(node, alive)| StopVoter {
                node: BrokerId(node),
                alive: *alive,
            })
            .collect();
        let partition = StopPartition {
            topic: "t",
            partition: 0,
            isr: &isr,
            min_isr,
        };
        risks_of_stopping(BrokerId(node), [partition], &voters)
    }

    #[test]
    fn a_partition_that_keeps_its_min_isr_is_no_risk() {
        assert!(risks(1, &[1, 2, 3], 2, &[true; 3]).is_safe());
        assert!(
            risks(4, &[1, 2], 2, &[true; 3]).is_safe(),
            "it hosts nothing and doesn't vote"
        );
    }

    #[test]
    fn a_partition_that_falls_under_its_min_isr_is_named() {
        let risks = risks(1, &[1, 2], 2, &[true; 3]);
        assert_eq!(risks.partitions[0].name, "t-0");
        assert_eq!((risks.partitions[0].left, risks.partitions[0].min_isr), (1, 2));
        assert_eq!(risks.quorum, None);
    }

    #[test]
    fn a_sole_replica_is_never_safe_to_stop() {
        assert!(!risks(1, &[1], 1, &[true; 3]).is_safe());
    }

    #[test]
    fn the_majority_counts_those_that_answer() {
        let lost = Some(QuorumRisk { left: 1, needed: 2 });
        assert_eq!(risks(1, &[2, 3], 2, &[true, true, false]).quorum, lost);
        assert_eq!(
            risks(3, &[1, 2], 2, &[true, true, false]).quorum,
            None,
            "it is down already"
        );
        assert_eq!(
            risks(1, &[], 1, &[true]).quorum,
            Some(QuorumRisk { left: 0, needed: 1 })
        );
    }
}
