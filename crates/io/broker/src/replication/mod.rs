//! Streams between brokers. A follower opens one stream a lane to each broker that leads something it replicates
//! (`lane`), and moves partitions between them (`replica_fetchers`); the leader's broker serves it (`follower_stream`).
//!
//! REPL-1: bytes in flight on a stream are bounded. REPL-2: a partition that fails stops only itself. REPL-4: of a
//! follower's lanes only the one that was told last follows a partition.

mod ack_queue;
mod follower_stream;
pub(crate) mod isr_reporter;
mod lane;
mod replica_fetchers;
mod throttle;

pub(crate) use ack_queue::AckQueue;
pub(crate) use follower_stream::FollowerStream;
pub use follower_stream::ReplicationServer;
pub(crate) use lane::FollowTurn;
pub use replica_fetchers::ReplicaFetchers;
pub(crate) use throttle::{Throttle, Throttles};
