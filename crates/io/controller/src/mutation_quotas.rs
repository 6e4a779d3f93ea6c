//! Holds clients to `controller_mutation_rate` (KIP-599). Only the active controller measures, so a fail-over forgets debts, as in Kafka.

use metadata::MetadataImage;
use metadata::control::{MutationMeter, QuotaUsedUp};
use metadata::proto::MutationClient;
use quota::{Applicable, Kept, TokenBucket, Windows, applicable};
use types::TimestampMs;

const KEY: &str = "controller_mutation_rate";

/// A bucket for each quota that was used lately.
#[derive(Debug)]
pub(crate) struct MutationQuotas {
    windows: Windows,
    /// By user and client id, as far as the quota tells them apart.
    buckets: Kept<(Option<String>, Option<String>), TokenBucket>,
}

impl MutationQuotas {
    pub(crate) fn new(windows: Windows) -> Self {
        let buckets = Kept::default();
        Self { windows, buckets }
    }
}

fn applicable_to(image: &MetadataImage, client: &MutationClient) -> Option<Applicable> {
    if !image.has_client_quotas() {
        return None;
    }
    applicable(image, KEY, &client.user, &client.client_id)
}

#[expect(clippy::cast_precision_loss, reason = "partitions of one request")]
fn tokens(partitions: usize) -> f64 {
    partitions as f64
}

impl MutationMeter for MutationQuotas {
    fn charge(
        &mut self,
        image: &MetadataImage,
        client: &MutationClient,
        partitions: usize,
        now: TimestampMs,
    ) -> Result<i64, QuotaUsedUp> {
        let Some(Applicable { limit, shared_by }) = applicable_to(image, client) else {
            return Ok(0);
        };
        let bucket = self.buckets.entry(shared_by, |bucket| bucket.is_idle(now));
        if client.strict {
            let wait_ms = bucket.debt_ms(self.windows, now, limit);
            if wait_ms > 0 {
                return Err(QuotaUsedUp { wait_ms });
            }
            bucket.take(self.windows, now, limit, tokens(partitions));
            return Ok(0);
        }
        bucket.take(self.windows, now, limit, tokens(partitions));
        Ok(bucket.debt_ms(self.windows, now, limit))
    }

    fn take_back(&mut self, image: &MetadataImage, client: &MutationClient, partitions: usize) {
        if let Some(Applicable { shared_by, .. }) = applicable_to(image, client)
            && let Some(bucket) = self.buckets.get_mut(&shared_by)
        {
            bucket.give_back(tokens(partitions));
        }
    }
}

#[cfg(test)]
mod tests {
    use metadata::proto::{ClientQuota, QuotaEntityPart};

    use super::*;

    const NOW: TimestampMs = TimestampMs(1_000);

    fn client(client_id: &str, strict: bool) -> MutationClient {
        MutationClient {
            user: quota::ANONYMOUS.to_owned(),
            client_id: client_id.to_owned(),
            strict,
        }
    }

    fn limited_to(limit: f64) -> (MetadataImage, MutationQuotas) {
        let mut image = MetadataImage::new();
        let part = QuotaEntityPart {
            kind: "client-id".to_owned(),
            name: None,
        };
        let record = ClientQuota {
            entity: vec![part],
            key: KEY.to_owned(),
            value: Some(limit),
        };
        image.replay(&record.into()).unwrap();
        let windows = Windows {
            count: 11,
            length_ms: 1_000,
        };
        (image, MutationQuotas::new(windows))
    }

    #[test]
    fn a_strict_client_in_debt_is_refused_and_an_old_one_waits() {
        let (image, mut quotas) = limited_to(1.0);
        let strict = client("new", true);
        assert_eq!(quotas.charge(&image, &strict, 16, NOW), Ok(0));
        assert_eq!(
            quotas.charge(&image, &strict, 1, NOW),
            Err(QuotaUsedUp { wait_ms: 5_000 })
        );
        assert_eq!(quotas.charge(&image, &strict, 1, TimestampMs(6_000)), Ok(0));
        let old = client("old", false);
        assert_eq!(quotas.charge(&image, &old, 11, NOW), Ok(0));
        assert_eq!(quotas.charge(&image, &old, 2, NOW), Ok(2_000));
        assert_eq!(quotas.charge(&image, &old, 1, NOW), Ok(3_000));
        quotas.take_back(&image, &old, 3);
        assert_eq!(quotas.charge(&image, &old, 0, NOW), Ok(0));
    }

    #[test]
    fn without_a_quota_nothing_is_kept() {
        let (_, mut quotas) = limited_to(1.0);
        let none = MetadataImage::new();
        assert_eq!(quotas.charge(&none, &client("a", true), usize::MAX, NOW), Ok(0));
        assert!(quotas.buckets.is_empty());
    }
}
