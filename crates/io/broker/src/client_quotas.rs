//! Holds clients to their quotas (KIP-13, KIP-124, KIP-612): measures what they use, and says how long they must wait.
//!
//! The answer goes out at once, with the time that its client is to wait; until then the connection is read no more (KIP-219). Each
//! broker measures for itself, as in Kafka.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use config::QuotaConfig;
use metadata::{EntityName, MetadataImage, QuotaEntity};
use parking_lot::Mutex;
use quota::{ANONYMOUS, Applicable, Kept, Rate, Windows, applicable};
use types::TimestampMs;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum QuotaKind {
    /// Bytes of produce requests.
    Produce,
    /// Bytes of fetched records.
    Fetch,
    /// Percent of a thread's time.
    Request,
}

impl QuotaKind {
    fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
        }
    }
}

/// Whose use is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum RateKey {
    /// A user, a client id, or both: a hash of them, because clients choose their ids, and how long those are.
    Clients(QuotaKind, u64),
    /// New connections from an address.
    Connections(IpAddr),
}

const CONNECTION_RATE: &str = "connection_creation_rate";

/// What clients have used lately.
#[derive(Debug)]
pub struct ClientQuotas {
    windows: Windows,
    hasher: RandomState,
    rates: Mutex<Kept<RateKey, Rate>>,
}

/// A use that was noted, and how long its client is to wait for it.
#[derive(Debug)]
pub(crate) struct Charge {
    key: RateKey,
    used: f64,
    wait_ms: i64,
    is_alone: bool,
}

impl Charge {
    /// Whether nothing else was used lately: what must wait nevertheless would for ever.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// The wait, as answers tell it.
    pub(crate) fn throttle_time_ms(&self) -> i32 {
        i32::try_from(self.wait_ms).unwrap_or(i32::MAX)
    }

    /// The wait.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.throttle_time_ms()).unwrap_or(0))
    }
}

impl ClientQuotas {
    /// Nothing was used yet.
    #[must_use]
    pub fn new(config: QuotaConfig) -> Self {
        Self {
            windows: Windows::new(config.windows, config.window),
            hasher: RandomState::new(),
            rates: Mutex::default(),
        }
    }

    fn key(&self, kind: QuotaKind, shared_by: &(Option<String>, Option<String>)) -> RateKey {
        RateKey::Clients(kind, self.hasher.hash_one(shared_by))
    }

    /// How much the client may use without a wait if it has used nothing lately; `None` where nothing limits it.
    pub(crate) fn most_at_once(&self, image: &MetadataImage, kind: QuotaKind, client_id: &str) -> Option<usize> {
        if !image.has_client_quotas() {
            return None;
        }
        let limit = applicable(image, kind.key(), ANONYMOUS, client_id)?.limit;
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let least_s = (self.windows.total_ms() - self.windows.length_ms) as f64 / 1_000.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast saturates"
        )]
        let bytes = (limit * least_s) as usize;
        Some(bytes)
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
        let key = self.key(kind, &shared_by);
        let (wait_ms, is_alone) = self.record(key, used, limit, now);
        Some(Charge {
            key,
            used,
            wait_ms,
            is_alone,
        })
    }

    /// Whether the time of the client's requests must be measured.
    pub(crate) fn limits_time(&self, image: &MetadataImage, client_id: &str) -> bool {
        image.has_client_quotas() && applicable(image, QuotaKind::Request.key(), ANONYMOUS, client_id).is_some()
    }

    /// Notes the time that a request took of a thread, and says how long its client is to wait: a window at most, as in Kafka.
    pub(crate) fn charge_time(
        &self,
        image: &MetadataImage,
        client_id: &str,
        spent: Duration,
        now: TimestampMs,
    ) -> Duration {
        let Some(Applicable { limit, shared_by }) = applicable(image, QuotaKind::Request.key(), ANONYMOUS, client_id)
        else {
            return Duration::ZERO;
        };
        let key = self.key(QuotaKind::Request, &shared_by);
        let (wait_ms, _) = self.record(key, spent.as_secs_f64() * 100.0, limit, now);
        self.at_most_a_window(wait_ms)
    }

    /// Notes a new connection, unless its address opens too many: then says for how long it is kept waiting before it is closed,
    /// a window at most, as in Kafka.
    ///
    /// # Errors
    /// The connection must not be served.
    pub(crate) fn admit(&self, image: &MetadataImage, address: IpAddr, now: TimestampMs) -> Result<(), Duration> {
        if !image.has_client_quotas() {
            return Ok(());
        }
        let limit_of = |name| {
            let entity = QuotaEntity {
                ip: Some(name),
                ..QuotaEntity::default()
            };
            image
                .client_quota(&entity)?
                .get(CONNECTION_RATE)
                .map(|limit| limit.get())
        };
        let own = limit_of(EntityName::Named(address.to_string()));
        let Some(limit) = own.or_else(|| limit_of(EntityName::Default)) else {
            return Ok(());
        };
        let key = RateKey::Connections(address);
        let (wait_ms, _) = self.record(key, 1.0, limit, now);
        if wait_ms == 0 {
            return Ok(());
        }
        if let Some(rate) = self.rates.lock().get_mut(&key) {
            rate.take_back(1.0);
        }
        Err(self.at_most_a_window(wait_ms))
    }

    /// How long the use is to be waited for, in milliseconds, and whether it is the only one lately.
    fn record(&self, key: RateKey, used: f64, limit: f64, now: TimestampMs) -> (i64, bool) {
        let mut rates = self.rates.lock();
        let kept_ms = self.windows.total_ms();
        let is_over = |rate: &Rate| rate.last_window().is_none_or(|last| now.since(last) >= kept_ms);
        let rate = rates.entry(key, is_over);
        let is_alone = rate.used(self.windows, now) <= 0.0;
        rate.record(self.windows, now, used);
        (rate.throttle_ms(self.windows, now, limit), is_alone)
    }

    fn at_most_a_window(&self, wait_ms: i64) -> Duration {
        let wait_ms = wait_ms.min(self.windows.length_ms);
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
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

    fn quotas() -> ClientQuotas {
        ClientQuotas::new(QuotaConfig {
            windows: 11,
            window: Duration::from_secs(1),
        })
    }

    fn limit(image: &mut MetadataImage, kind: &str, name: Option<&str>, key: &str, value: f64) {
        let part = QuotaEntityPart {
            kind: kind.to_owned(),
            name: name.map(str::to_owned),
        };
        let record = ClientQuota {
            entity: vec![part],
            key: key.to_owned(),
            value: Some(value),
        };
        image.replay(&record.into()).unwrap();
    }

    #[test]
    fn a_client_waits_for_its_own_excess_only() {
        let mut image = MetadataImage::new();
        let quotas = quotas();
        let now = TimestampMs(1_000);
        assert!(quotas.charge(&image, QuotaKind::Produce, "a", 1 << 30, now).is_none());
        limit(&mut image, "client-id", None, "producer_byte_rate", 1_000.0);
        let charge = |client, bytes| quotas.charge(&image, QuotaKind::Produce, client, bytes, now).unwrap();
        assert_eq!(charge("a", 10_000).throttle_time_ms(), 0);
        let excess = charge("a", 10_000);
        assert_eq!(excess.throttle_time_ms(), 10_000);
        assert_eq!(charge("b", 10_000).throttle_time_ms(), 0);
        quotas.take_back(&excess);
        assert_eq!(charge("a", 0).throttle_time_ms(), 0);
        assert!(quotas.charge(&image, QuotaKind::Fetch, "a", 1 << 30, now).is_none());
    }

    #[test]
    fn requests_that_take_more_than_their_part_of_a_thread_wait_a_window_at_most() {
        let mut image = MetadataImage::new();
        let quotas = quotas();
        let now = TimestampMs(1_000);
        assert!(!quotas.limits_time(&image, "a"));
        // 10 % of a thread: a second within the ten that are looked at.
        limit(&mut image, "client-id", Some("a"), "request_percentage", 10.0);
        assert!(quotas.limits_time(&image, "a"));
        assert!(!quotas.limits_time(&image, "b"));
        let charge = |ms| quotas.charge_time(&image, "a", Duration::from_millis(ms), now);
        assert_eq!(charge(1_000), Duration::ZERO);
        assert_eq!(charge(20), Duration::from_millis(200));
        assert_eq!(charge(9_000), Duration::from_secs(1));
        assert_eq!(
            quotas.charge_time(&image, "b", Duration::from_secs(60), now),
            Duration::ZERO
        );
    }

    #[test]
    fn an_address_that_opens_too_many_connections_is_kept_waiting() {
        let mut image = MetadataImage::new();
        let quotas = quotas();
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let at = |image: &MetadataImage, address, ms| quotas.admit(image, address, TimestampMs(ms));
        assert_eq!(at(&image, here, 0), Ok(()));
        limit(&mut image, "ip", Some("10.0.0.1"), CONNECTION_RATE, 1.0);
        limit(&mut image, "ip", None, CONNECTION_RATE, 2.0);
        for _ in 0..10 {
            assert_eq!(at(&image, here, 0), Ok(()));
        }
        assert_eq!(at(&image, here, 0), Err(Duration::from_secs(1)));
        // What wasn't served isn't counted.
        assert_eq!(at(&image, here, 0), Err(Duration::from_secs(1)));
        assert_eq!(at(&image, here, 11_000), Ok(()));
        for _ in 0..20 {
            assert_eq!(at(&image, there, 0), Ok(()));
        }
        assert_eq!(at(&image, there, 0), Err(Duration::from_millis(500)));
    }
}
