//! Client quotas (KIP-13, KIP-219, KIP-546): which one holds for a client, how fast it was, and how long it must wait.
//!
//! - [`applicable()`] finds the quota of a user and client id among those of the cluster.
//! - [`Rate`] measures over windows, as Kafka's sampled rates do, so that throttle times are the same.
//! - [`Kept`] remembers both for many clients, as long as it matters.
//! - [`TokenBucket`] lets bursts pass and counts their debt (KIP-599).
//!
//! Pure: the time is an argument.

mod applicable;
mod kept;
mod rate;
mod token_bucket;

pub use applicable::{ANONYMOUS, Applicable, applicable};
pub use kept::Kept;
pub use rate::{Rate, Windows};
pub use token_bucket::TokenBucket;
