//! Groups of the consumer protocol (KIP-848): the coordinator assigns, each member moves towards its target by heartbeats.
//!
//! Everything durable changes by records only ([`ConsumerGroup`]'s `set_…` and `remove_…`); timers are kept apart. So a refused
//! append takes nothing back.

mod assignor;
mod cluster;
mod consumer_group;
mod embedded;
mod reconcile;
mod state;
mod target;
mod timers;

pub use assignor::AssignorKind;
pub use cluster::{ClusterView, GroupOverrides, TopicView};
pub(crate) use consumer_group::{AWAY, ConsumerGroup, ConsumerMember};
pub(crate) use embedded::{
    EmbeddedSubscription, NamedPartitions, decode_assignment, decode_subscription, decode_topics, encode_assignment,
};
pub(crate) use reconcile::{Reconciliation, next_assignment};
pub use state::ConsumerGroupState;
pub(crate) use target::{metadata_hash, new_targets, resolve_pattern};
pub(crate) use timers::{ConsumerDue, ConsumerTimers};

#[cfg(test)]
mod tests;
