//! Real processes: start a cluster of `klamm` nodes, kill, freeze and restart them, keep a history of what clients were
//! told, and check it against what can be read back.
//!
//! The nodes are known by their process, their ports and their files only; the client is librdkafka, which we didn't write.
//! Nothing here depends on a crate of the product's, so a bug in one of them can't hide in its own check.
//!
//! * [`Cluster`]: processes on free loopback ports in a temporary folder; one cluster at a time in a test process.
//! * [`Disk`]: a node's own small disk, to be filled and freed.
//! * [`Workload`]: idempotent producers with `acks=all` that go on through every fault, and their [`History`].
//! * [`History::check`]: ACK-1 acknowledged once and readable, ACK-2 at the acknowledged offset, ACK-3 in order, ACK-4 nothing
//!   that was refused or never sent.
//! * [`replicas`]: VIS-1 replicas are byte-identical below the high watermark.
//! * [`Group`]: consumers of one group and GRP-1, committed offsets never go back.

mod admin;
mod binary;
mod broken_file;
mod builder;
mod deadline;
mod disk;
mod group;
mod history;
mod members;
mod node;
mod ports;
mod reader;
pub mod replicas;
mod workload;

pub use admin::{PartitionState, TopicSpec};
pub use binary::klamm_binary;
pub use broken_file::{Breakage, BrokenFile};
pub use builder::ClusterBuilder;
pub use deadline::{Deadline, wait_until};
pub use disk::{Disk, can_break_disks, can_cut_power};
pub use group::Group;
pub use history::{History, Outcome, Sent};
pub use members::{Cluster, Turn};
pub use node::{Node, Ports};
pub use reader::{ReadRecord, read_all};
pub use workload::{Workload, WorkloadSpec};
