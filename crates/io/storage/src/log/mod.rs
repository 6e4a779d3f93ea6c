//! One partition's log: its parts, one operation a file.

mod append;
pub(crate) mod cached_file;
mod cleaned_group;
mod cleaning;
mod cleaning_plan;
mod epoch_cache;
mod flush;
pub(crate) mod open;
mod partition_log;
mod partition_metadata;
mod producers;
mod read;
mod read_outcome;
mod recovery;
mod relocation;
mod retention;
mod tail_budget;
mod tail_cache;
mod timestamps;
mod truncate;

pub use append::{AppendOutcome, BegunAppend, PendingAppend};
pub use cleaned_group::CleanedGroup;
pub use cleaning::{Cleaning, CleaningStep};
pub use cleaning_plan::CleaningInput;
pub use epoch_cache::EpochEntry;
pub use flush::{FlushTask, Flushed, FlushesEnd};
pub use open::OpenInput;
pub use partition_log::{Log, SegmentInfo};
pub use partition_metadata::read_topic_id;
pub use read::{CachedRead, FileRead, PreparedRead};
pub use read_outcome::{ReadOutcome, ReadRequest};
pub use relocation::{LogContent, LogCopy};
pub use retention::{DeletionTask, Retired};
pub use tail_budget::TailBudget;
pub use truncate::TruncateOutcome;

#[cfg(test)]
mod tests;
