//! Transactions and their coordinator.

use crate::key::ConfigKey;
use crate::table::keys;
use crate::validator::Validator::{Any, AtLeast};

/// Ordered by name.
pub(super) const KEYS: &[ConfigKey] = keys! {
    "add.partitions.to.txn.retry.backoff.max.ms": Int = "100", AtLeast(0); High ReadOnly Accepts;
        "The longest pause before a partition is added to a transaction again.";
    "add.partitions.to.txn.retry.backoff.ms": Int = "20", AtLeast(1); High ReadOnly Accepts;
        "The pause before a partition is added to a transaction again after a failure.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = "10000", AtLeast(1); Low ReadOnly Accepts;
        "How often transactions past their timeout are looked for and aborted.";
    "transaction.max.timeout.ms": Int = "900000", AtLeast(1); High ReadOnly Accepts;
        "The longest transaction timeout a producer may ask for.";
    "transaction.partition.verification.enable": Boolean = "true", Any; Low ClusterWide Accepts;
        "Whether a partition asks the coordinator before it takes a transaction's first write.";
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = "3600000", AtLeast(1); Low ReadOnly Accepts;
        "How often transactional ids that are no longer used are looked for.";
    "transaction.state.log.load.buffer.size": Int = "5242880", AtLeast(1); High ReadOnly Accepts;
        "Bytes read at a time when a coordinator loads its transactions.";
    "transaction.state.log.min.isr": Int = "2", AtLeast(1); High ReadOnly Accepts;
        "In-sync replicas that __transaction_state needs.";
    "transaction.state.log.num.partitions": Int = "50", AtLeast(1); High ReadOnly Accepts;
        "Partitions of __transaction_state. Not to be changed once the topic exists.";
    "transaction.state.log.replication.factor": Short = "3", AtLeast(1); High ReadOnly Accepts;
        "Replicas of __transaction_state.";
    "transaction.state.log.segment.bytes": Int = "104857600", AtLeast(1); High ReadOnly Accepts;
        "Segment size of __transaction_state.";
    "transaction.two.phase.commit.enable": Boolean = "false", Any; Low ReadOnly Accepts;
        "Whether producers may leave the outcome to an outside coordinator (KIP-939).";
    "transactional.id.expiration.ms": Int = "604800000", AtLeast(1); High ReadOnly Accepts;
        "How long a transactional id that is no longer used is remembered.";
};
