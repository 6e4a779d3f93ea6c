//! What new partitions of any kind must keep to: bounds on one request and on the cluster.

use thiserror::Error;
use types::ErrorCode;

use super::{ControlDefaults, Refusal};
use crate::image::MetadataImage;

/// The most partitions that one request may create, as in Kafka: a larger one would stall everybody else's.
pub(crate) const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

/// A request for more partitions than fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BudgetError {
    /// More than one request may create.
    #[error("excessively large number of partitions per request: the limit is {MAX_PARTITIONS_PER_REQUEST}")]
    PerRequest,
    /// More replicas than the brokers may hold.
    #[error(
        "{wanted} new replicas don't fit: the cluster holds {present} and may hold {limit} \
         ({per_broker} on each of {brokers} broker(s)); add brokers or delete topics"
    )]
    Cluster {
        /// The replicas asked for.
        wanted: usize,
        /// The replicas there are, estimated by the average replication factor.
        present: usize,
        /// The limit of all brokers.
        limit: usize,
        /// The limit of one broker.
        per_broker: usize,
        /// How many brokers are registered.
        brokers: usize,
    },
}

impl From<BudgetError> for Refusal {
    fn from(error: BudgetError) -> Self {
        Self::new(ErrorCode::PolicyViolation, error)
    }
}

/// Counts the partitions and replicas that one request creates.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Budget {
    partitions: usize,
    replicas: usize,
}

impl Budget {
    /// Checks the size before anything of that size is built.
    pub(crate) fn check_partitions(self, partitions: usize) -> Result<(), BudgetError> {
        let total = self.partitions.saturating_add(partitions);
        if total > MAX_PARTITIONS_PER_REQUEST {
            Err(BudgetError::PerRequest)
        } else {
            Ok(())
        }
    }

    /// Takes the partitions' share, all or nothing.
    pub(crate) fn take(
        &mut self,
        image: &MetadataImage,
        partitions: usize,
        replicas: usize,
        defaults: &ControlDefaults,
    ) -> Result<(), BudgetError> {
        self.check_partitions(partitions)?;
        let brokers = image.brokers().count();
        let per_broker = defaults.max_replicas_per_broker;
        let limit = per_broker.saturating_mul(brokers);
        let present = image.replica_count().saturating_add(self.replicas);
        if present.saturating_add(replicas) > limit {
            return Err(BudgetError::Cluster {
                wanted: replicas,
                present,
                limit,
                per_broker,
                brokers,
            });
        }
        self.partitions += partitions;
        self.replicas += replicas;
        Ok(())
    }
}
