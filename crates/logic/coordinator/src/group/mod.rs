//! One classic group: its members, its state machine and its timers, without the log around it.

mod classic_group;
mod member;
mod rebalance;
mod state;
mod subscription;
mod timers;

pub(crate) use classic_group::{ClassicGroup, GroupId};
pub(crate) use member::Member;
pub(crate) use rebalance::Turn;
pub use state::GroupState;
pub(crate) use subscription::CONSUMER;
pub(crate) use timers::Due;
