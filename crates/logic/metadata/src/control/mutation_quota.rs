//! Who pays for created and deleted partitions (KIP-599): what a decision sees of `controller_mutation_rate`.

use thiserror::Error;
use types::TimestampMs;

use crate::image::MetadataImage;
use crate::proto::MutationClient;

/// Holds clients to their quotas, over many decisions.
pub trait MutationMeter {
    /// Notes that the client creates or deletes so many partitions, and says how long it is to wait afterwards, in milliseconds.
    ///
    /// # Errors
    /// A strict client that must wait already: nothing is noted.
    fn charge(
        &mut self,
        image: &MetadataImage,
        client: &MutationClient,
        partitions: usize,
        now: TimestampMs,
    ) -> Result<i64, QuotaUsedUp>;

    /// What was charged isn't done after all.
    fn take_back(&mut self, image: &MetadataImage, client: &MutationClient, partitions: usize);
}

/// A strict client asks for more while it must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("The throttling quota has been exceeded.")]
pub struct QuotaUsedUp {
    /// How long it must wait, in milliseconds.
    pub wait_ms: i64,
}

/// Charges nobody; for tests and simulations that aren't about quotas.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unmetered;

impl MutationMeter for Unmetered {
    fn charge(&mut self, _: &MetadataImage, _: &MutationClient, _: usize, _: TimestampMs) -> Result<i64, QuotaUsedUp> {
        Ok(0)
    }

    fn take_back(&mut self, _: &MetadataImage, _: &MutationClient, _: usize) {}
}

/// Of the request that is decided: who pays, and what was charged so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MutationAccount {
    pub(super) client: Option<MutationClient>,
    pub(super) partitions: usize,
    pub(super) wait_ms: i64,
}
