//! One entry of `log.dirs`: its identity, its lock, its checkpoints and the partitions in it.

mod checkpoints;
mod clean_shutdown;
mod directory_error;
mod incarnation;
mod log_directory;
mod meta_properties;
mod partition_directory;
#[cfg(test)]
mod tests;

pub use checkpoints::{Checkpoint, CheckpointEntry};
pub use directory_error::DirectoryError;
pub use incarnation::Incarnation;
pub use log_directory::{DirectoryRemoval, LogDirectory, RetiredPartition};
pub use meta_properties::MetaProperties;
pub use partition_directory::PartitionDirectory;
