//! What keeps replicas that catch up from taking the network and the disks from everybody else (KIP-73), and those that move between
//! directories (KIP-113).
//!
//! THR-1: only replicas for which no write waits are held back: their leader lets those go that count for the high watermark, they
//! themselves go on once they have reached it.
//!
//! Leaders hold back what they send, followers what they ask for, each by the sum over all of their throttled replicas. A follower
//! that has taken too much doesn't follow until that is paid for; its leaders send a replica that is throttled on the follower's side
//! one push at a time, so that little is sent in vain.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::BrokerDefaults;
use parking_lot::Mutex;
use quota::{TokenBucket, Windows};
use rpc::proto::Push;
use tokio::time::Instant;
use types::{BrokerId, Offset, TimestampMs};

use crate::partition::Partition;
use crate::replica_manager::ReplicaManager;

/// As long a burst passes at once.
const BURST: Windows = Windows {
    count: 1,
    length_ms: 1_000,
};
/// Who is held back looks so often whether it still is: throttles change, and replicas join the ISR.
const SLICE: Duration = Duration::from_millis(100);

/// The rate of a throttle that isn't set.
const UNLIMITED: u64 = u64::MAX;

/// One of a broker's throttles.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// The broker's configuration that holds its rate, in bytes a second.
    rate_key: &'static str,
    rate: AtomicU64,
    since: Instant,
    bucket: Mutex<TokenBucket>,
}

impl Throttle {
    pub(crate) fn new(rate_key: &'static str) -> Self {
        Self {
            rate_key,
            rate: AtomicU64::new(UNLIMITED),
            since: Instant::now(),
            bucket: Mutex::default(),
        }
    }

    pub(crate) fn configure(&self, configs: &BrokerDefaults) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is no rate is none, what is too large is unlimited"
        )]
        let rate = |text: &str| {
            text.trim()
                .parse()
                .ok()
                .or_else(|| Some(text.trim().parse::<f64>().ok()? as u64))
        };
        let rate = configs.get(self.rate_key).and_then(rate);
        self.rate.store(rate.unwrap_or(UNLIMITED), Ordering::Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody tells such rates apart")]
    fn limit(&self) -> Option<f64> {
        let rate = self.rate.load(Ordering::Relaxed);
        (rate != UNLIMITED).then_some(rate as f64)
    }

    /// Not of the day: a clock that is set back mustn't stop replication.
    fn now(&self) -> TimestampMs {
        TimestampMs(i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// Whether more must wait, and when to look again.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let debt_ms = self.bucket.lock().debt_ms(BURST, self.now(), self.limit()?);
        let debt = Duration::from_millis(u64::try_from(debt_ms).unwrap_or(0));
        (!debt.is_zero()).then(|| debt.min(SLICE))
    }

    /// So many bytes passed.
    pub(crate) fn take(&self, bytes: usize) {
        if let Some(limit) = self.limit() {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53 bytes")]
            let used = bytes as f64;
            self.bucket.lock().take(BURST, self.now(), limit, used);
        }
    }
}

/// A broker's throttles.
#[derive(Debug)]
pub(crate) struct Throttles {
    sending: Throttle,
    taking: Throttle,
    /// Of replicas that move between the broker's directories.
    pub(crate) moving: Throttle,
}

impl Default for Throttles {
    fn default() -> Self {
        Self {
            sending: Throttle::new("leader.replication.throttled.rate"),
            taking: Throttle::new("follower.replication.throttled.rate"),
            moving: Throttle::new("replica.alter.log.dirs.io.max.bytes.per.second"),
        }
    }
}

impl Throttles {
    /// Takes their rates from the broker's configuration.
    pub(crate) fn configure(&self, configs: &BrokerDefaults) {
        for throttle in [&self.sending, &self.taking, &self.moving] {
            throttle.configure(configs);
        }
    }
}

/// Whether more may be sent to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// As much as there is.
    Free,
    /// Now, and it counts.
    Counted,
    /// Not before this is over, or an acknowledgement comes.
    Held(Duration),
}

impl ReplicaManager {
    /// Whether the leader of `partition` may send its replica on broker `replica` more, of which `in_flight` bytes aren't acknowledged.
    pub(crate) fn sending(
        &self,
        partition: &Partition,
        replica: BrokerId,
        in_flight: impl FnOnce() -> usize,
    ) -> Sending {
        let throttled = partition.throttled(self.host().local, replica);
        if !(throttled.by_leader || throttled.by_follower) || partition.counts(replica) {
            return Sending::Free;
        }
        if throttled.by_follower && in_flight() > 0 {
            return Sending::Held(SLICE);
        }
        if !throttled.by_leader {
            return Sending::Free;
        }
        self.throttles.sending.wait().map_or(Sending::Counted, Sending::Held)
    }

    /// So much was sent to a replica that is throttled.
    pub(crate) fn sent(&self, bytes: usize) {
        self.throttles.sending.take(bytes);
    }

    /// This broker's replica has written a push: whether it must wait now, see [`Self::must_wait`].
    pub(crate) fn taken(&self, partition: &Partition, push: &Push, log_end: Offset) -> Option<Duration> {
        let local = self.host().local;
        if !partition.throttled(local, local).by_follower {
            return None;
        }
        // THR-1: one that counts for writes has all below the high watermark, whatever this broker has heard of the ISR.
        partition.set_behind(log_end.0 < push.high_watermark);
        if push.base_offset < push.high_watermark {
            self.throttles.taking.take(push.records.len());
        }
        self.must_wait(partition)
    }

    /// How long this broker's replica must not ask for more; then it looks again.
    pub(crate) fn must_wait(&self, partition: &Partition) -> Option<Duration> {
        let local = self.host().local;
        if !partition.throttled(local, local).by_follower || !partition.is_behind() {
            return None;
        }
        self.throttles.taking.wait()
    }
}

#[cfg(test)]
mod tests {
    use config::Properties;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate_after_a_second_of_them() {
        let rate = |text: &str| BrokerDefaults::new(Properties::parse(&format!("any={text}")));
        let throttle = Throttle::new("any");
        throttle.take(1 << 40);
        assert_eq!(throttle.wait(), None);
        throttle.configure(&rate("1000"));
        let begin = Instant::now();
        let mut taken = 0;
        while taken < 50_000 {
            while let Some(wait) = throttle.wait() {
                assert!(wait <= SLICE);
                tokio::time::sleep(wait).await;
            }
            throttle.take(3_000);
            taken += 3_000;
        }
        // The last 3,000 are still to be paid for.
        let seconds = begin.elapsed().as_secs_f64();
        assert!((46.9..48.2).contains(&seconds), "{seconds}");
        // A faster rate pays the debt sooner, and none at all is none.
        throttle.configure(&rate("1000000000"));
        assert!(throttle.wait().is_some_and(|wait| wait <= Duration::from_millis(1)));
        throttle.configure(&rate("0"));
        throttle.take(1);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(throttle.wait(), Some(SLICE));
        throttle.configure(&BrokerDefaults::default());
        assert_eq!(throttle.wait(), None);
    }
}
