//! One partition's log on disk, in Kafka's files and formats (`kafka-dump-log.sh` reads them): segments, indexes, recovery,
//! retention, compaction; and the log directories that hold the partitions.
//!
//! Synchronous, no tasks, no clock: the owner passes the time in, holds a lock per [`Log`], and runs what takes long
//! ([`PreparedRead`], [`FlushTask`], [`DeletionTask`]) outside it. All I/O goes through [`FileSystem`], so that the simulator
//! can cut the power. The partition's rules (who may append, what is committed) live in `partition`, not here.

mod atomic_file;
mod checkpoint_file;
mod directory;
mod directory_health;
mod file_names;
mod file_system;
mod guarded_file_system;
mod log;
mod log_config;
mod log_error;
mod real_file_system;
mod room;
mod segment;
pub mod testing;

pub use atomic_file::{create_dir_durably, read_file, read_text, write_file_atomically};
pub use directory::{
    Checkpoint, CheckpointEntry, DirectoryError, DirectoryRemoval, Incarnation, LogDirectory, MetaProperties,
    PartitionDirectory, RetiredPartition,
};
pub use directory_health::{DATA_RESERVE_BYTES, DirectoryHealth, DirectoryStatus, PendingCall, RESUME_BYTES};
pub use file_system::{File, FileLock, FileSystem, OpenMode};
pub use log::{
    AppendOutcome, BegunAppend, CachedRead, CleanedGroup, Cleaning, CleaningInput, CleaningStep, DeletionTask,
    EpochEntry, FileRead, FlushTask, Flushed, FlushesEnd, Log, LogContent, LogCopy, OpenInput, PendingAppend,
    PreparedRead, ReadOutcome, ReadRequest, Retired, SegmentInfo, TailBudget, TruncateOutcome, read_topic_id,
};
pub use log_config::{CompactionConfig, LogConfig};
pub use log_error::LogError;
pub use real_file_system::RealFileSystem;
pub use room::{Reserve, is_full};
pub use segment::AbortedTransaction;
