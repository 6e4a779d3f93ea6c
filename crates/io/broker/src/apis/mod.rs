//! One file per API of Kafka's protocol; `table` lists them. Kafka's message types stop here.
//!
//! A handler decodes its request, asks partitions, image or controller, and encodes the answer. What has to happen in the
//! order of a connection's requests (appends) happens before the handler's first await: the connection polls each
//! handler once as its request arrives (API-1).

mod error_codes;
mod exchange;
mod state;
mod table;

mod authorized_operations;
mod auto_create;
mod change_voters;
mod config_changes;
mod controller_call;
mod current_leader;
mod fetch_session;
mod group_answers;
mod producer_ids;

mod add_raft_voter;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod push_telemetry;
mod remove_raft_voter;
mod sync_group;
mod unregister_broker;
mod update_features;

#[cfg(test)]
mod allocations;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod log_directory_tests;

pub(crate) use exchange::{ApiFault, Handled, Handling};
pub use state::ApiState;
pub(crate) use table::{api_name, dispatch};
