//! Which replicas a replication throttle holds for (KIP-73).

use std::collections::BTreeSet;

use types::{BrokerId, PartitionIndex};

use crate::value;

/// The value of `leader.replication.throttled.replicas` or `follower.replication.throttled.replicas`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// `*`: every replica of the topic.
    All,
    /// Pairs of a partition and the broker that holds it.
    Listed(BTreeSet<(PartitionIndex, BrokerId)>),
}

impl Default for ThrottledReplicas {
    fn default() -> Self {
        Self::Listed(BTreeSet::new())
    }
}

impl ThrottledReplicas {
    /// `*`, or a list of `partition:broker`. Numbers that no partition or broker can have are taken and name none.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<i32>().ok())
        };
        if text == "*" {
            return Ok(Self::All);
        }
        let mut listed = BTreeSet::new();
        for pair in value::list(text) {
            let numbers = pair
                .split_once(':')
                .and_then(|(partition, broker)| Some((number(partition)?, number(broker)?)));
            let Some(numbers) = numbers else {
                return Err("must be * or pairs [partition]:[broker] separated by commas".to_owned());
            };
            if let (Some(partition), Some(broker)) = numbers {
                listed.insert((PartitionIndex(partition), BrokerId(broker)));
            }
        }
        Ok(Self::Listed(listed))
    }

    /// Whether it holds for a partition's replica on that broker.
    #[must_use]
    pub fn contains(&self, partition: PartitionIndex, broker: BrokerId) -> bool {
        match self {
            Self::All => true,
            Self::Listed(listed) => listed.contains(&(partition, broker)),
        }
    }
}
