//! The active controller's decisions, one a file; nothing here changes an image.
//!
//! A decision reads the image (committed, plus the records of the batch so far), the request and the context, and
//! gives records and an answer. The writer puts many decisions into one batch ([`decide_batch`]), commits it, lets
//! everybody replay it and hands out the answers.

mod allocate_producer_ids;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition;
mod alter_partition_reassignments;
mod assignment;
mod batch;
mod bootstrap;
mod config_rules;
mod controlled_shutdown;
mod create_partitions;
mod create_topics;
mod decision;
mod delete_topics;
mod directories_offline;
mod elect_last_known;
mod elect_leaders;
mod fence_broker;
mod kafka_config_rules;
mod min_isr_change;
mod mutation_quota;
mod partition_change;
mod placement;
mod rebalance_leaders;
mod register_broker;
mod topic_rules;
mod unfence_broker;
mod unregister_broker;
mod update_features;

pub use allocate_producer_ids::{PRODUCER_ID_BLOCK_SIZE, allocate_producer_ids};
pub use alter_client_quotas::{AlterClientQuotasError, alter_client_quotas};
pub use alter_configs::{AlterConfigsError, alter_configs};
pub use alter_partition::{AlterPartitionError, alter_partition};
pub use alter_partition_reassignments::{ReassignmentError, alter_partition_reassignments};
pub use batch::{BatchDecision, decide_batch, decide_one};
pub use bootstrap::{METADATA_VERSION, METADATA_VERSION_FEATURE, bootstrap};
pub use config_rules::{AnyConfig, ConfigRules};
pub use controlled_shutdown::controlled_shutdown;
pub use create_partitions::{CreatePartitionsError, create_partitions};
pub use create_topics::{CreateTopicError, create_topics};
pub use decision::{BrokerEpochError, ControlContext, ControlDefaults, Decision, Refusal};
pub use delete_topics::{DeleteTopicError, delete_topics};
pub use directories_offline::directories_offline;
pub use elect_last_known::{elect_last_known, is_waiting_for_reports};
pub use elect_leaders::{ElectLeadersError, elect_leaders};
pub use fence_broker::fence_broker;
pub use kafka_config_rules::KafkaConfigRules;
pub use mutation_quota::{MutationAccount, MutationMeter, QuotaUsedUp, Unmetered};
pub use placement::{PlacementError, place};
pub use rebalance_leaders::rebalance_leaders;
pub use register_broker::{RegisterBrokerError, register_broker};
pub use unfence_broker::unfence_broker;
pub use unregister_broker::{UnregisterBrokerError, unregister_broker};
pub use update_features::update_features;

#[cfg(test)]
mod tests;

use crate::image::PartitionRegistration;
use crate::proto::MetadataRecord;
use crate::proto::metadata_record::Record;

/// The partition as it is after the decision's record about it.
fn after(partition: &PartitionRegistration, record: Option<&MetadataRecord>) -> PartitionRegistration {
    let mut after = partition.clone();
    if let Some(Record::PartitionChange(change)) = record.and_then(|record| record.record.as_ref()) {
        // The change was built from this very state; one that didn't fit would be refused by replay.
        let _fits = after.apply(change);
    }
    after
}
