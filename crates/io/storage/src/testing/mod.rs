//! A disk in memory whose power can be cut, and the rules that every disk has to keep.
//!
//! Public because the simulator runs whole brokers on it. Deterministic: the same calls and seeds give the same bytes.

mod conformance;
mod memory_file_system;
mod memory_inodes;

pub use conformance::file_system_conformance;
pub use memory_file_system::{MemoryFileSystem, Operation, Step};
