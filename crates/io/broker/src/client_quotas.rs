//! Holds clients to their quotas (KIP-13): measures what they use, and says how long they must wait.
//!
//! The answer goes out at once, with the time that its client is to wait; until then the connection is read no more (KIP-219). Each
//! broker measures for itself, as in Kafka.

use std::collections::HashMap;
use std::time::Duration;

use config::QuotaConfig;
use metadata::MetadataImage;
use parking_lot::Mutex;
use quota::{Applicable, Rate, Windows, applicable};
use types::TimestampMs;

/// Of every client, while there is no authentication.
const ANONYMOUS: &str = "ANONYMOUS";
/// Rates kept before those that are over are swept out.
const SWEEP_AT: usize = 1_024;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum QuotaKind {
    /// Bytes of produce requests.
    Produce,
    /// Bytes of fetched records.
    Fetch,
}

impl QuotaKind {
    fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
        }
    }
}

type RateKey = (QuotaKind, (Option<String>, Option<String>));

/// What clients have used lately.
#[derive(Debug)]
pub struct ClientQuotas {
    windows: Windows,
    rates: Mutex<HashMap<RateKey, Rate>>,
}

/// A use that was noted, and how long its client is to wait for it.
#[derive(Debug)]
pub(crate) struct Charge {
    key: RateKey,
    used: f64,
    wait_ms: i64,
}

impl Charge {
    /// The wait, as answers tell it.
    pub(crate) fn throttle_time_ms(&self) -> i32 {
        i32::try_from(self.wait_ms).unwrap_or(i32::MAX)
    }

    /// The wait.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.wait_ms).unwrap_or(0))
    }
}

impl ClientQuotas {
    /// Nothing was used yet.
    #[must_use]
    pub fn new(config: QuotaConfig) -> Self {
        let windows = Windows {
            count: config.windows.max(1),
            length_ms: i64::try_from(config.window.as_millis()).unwrap_or(i64::MAX).max(1),
        };
        Self {
            windows,
            rates: Mutex::default(),
        }
    }

    /// Notes `bytes` for the client; `None` where nothing limits it.
    pub(crate) fn charge(
        &self,
        image: &MetadataImage,
        kind: QuotaKind,
        client_id: &str,
        bytes: usize,
        now: TimestampMs,
    ) -> Option<Charge> {
        if !image.has_client_quotas() {
            return None;
        }
        let Applicable { limit, shared_by } = applicable(image, kind.key(), ANONYMOUS, client_id)?;
        #[expect(clippy::cast_precision_loss, reason = "a request's bytes")]
        let used = bytes as f64;
        let key = (kind, shared_by);
        let mut rates = self.rates.lock();
        if rates.len() >= SWEEP_AT && !rates.contains_key(&key) {
            let kept_ms = self.windows.length_ms.saturating_mul(i64::from(self.windows.count));
            rates.retain(|_, rate| rate.last_window().is_some_and(|last| now.since(last) < kept_ms));
        }
        let rate = rates.entry(key.clone()).or_default();
        rate.record(self.windows, now, used);
        let wait_ms = rate.throttle_ms(self.windows, now, limit);
        Some(Charge { key, used, wait_ms })
    }

    /// What was charged isn't sent after all.
    pub(crate) fn take_back(&self, charge: &Charge) {
        if let Some(rate) = self.rates.lock().get_mut(&charge.key) {
            rate.take_back(charge.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use metadata::proto::{ClientQuota, QuotaEntityPart};

    use super::*;

    #[test]
    fn a_client_waits_for_its_own_excess_only() {
        let mut image = MetadataImage::new();
        let quotas = ClientQuotas::new(QuotaConfig {
            windows: 11,
            window: Duration::from_secs(1),
        });
        let now = TimestampMs(1_000);
        assert!(quotas.charge(&image, QuotaKind::Produce, "a", 1 << 30, now).is_none());
        let part = QuotaEntityPart {
            kind: "client-id".to_owned(),
            name: None,
        };
        let record = ClientQuota {
            entity: vec![part],
            key: "producer_byte_rate".to_owned(),
            value: Some(1_000.0),
        };
        image.replay(&record.into()).unwrap();
        let charge = |client, bytes| quotas.charge(&image, QuotaKind::Produce, client, bytes, now).unwrap();
        assert_eq!(charge("a", 10_000).throttle_time_ms(), 0);
        let excess = charge("a", 10_000);
        assert_eq!(excess.throttle_time_ms(), 10_000);
        assert_eq!(charge("b", 10_000).throttle_time_ms(), 0);
        quotas.take_back(&excess);
        assert_eq!(charge("a", 0).throttle_time_ms(), 0);
        assert!(quotas.charge(&image, QuotaKind::Fetch, "a", 1 << 30, now).is_none());
    }
}
