//! What keeps replicas that catch up from taking the network and the disks from everybody else (KIP-73).
//!
//! THR-1: only replicas outside the ISR are held back, and one that joins it is let go within [`SLICE`]: writes don't wait for a throttle.
//!
//! Leaders hold back what they send, followers what they ask for, each by the sum over all of their throttled replicas. A follower
//! that has taken too much doesn't follow until that is paid for; its leaders send a replica that is throttled on the follower's side
//! one push at a time, so that little is sent in vain.

use std::time::Duration;

use parking_lot::Mutex;
use quota::{TokenBucket, Windows};
use tokio::time::Instant;
use types::{BrokerId, TimestampMs};

use crate::partition::Partition;
use crate::replica_manager::ReplicaManager;

/// As long a burst passes at once.
const BURST: Windows = Windows {
    count: 1,
    length_ms: 1_000,
};
/// Who is held back looks so often whether it still is: throttles change, and replicas join the ISR.
const SLICE: Duration = Duration::from_millis(100);

/// One broker's throttle, for what it sends or for what it takes.
#[derive(Debug)]
pub(crate) struct Throttle {
    rate_key: &'static str,
    since: Instant,
    bucket: Mutex<TokenBucket>,
}

impl Throttle {
    fn new(rate_key: &'static str) -> Self {
        Self {
            rate_key,
            since: Instant::now(),
            bucket: Mutex::default(),
        }
    }

    /// Not of the day: a clock that is set back mustn't stop replication.
    fn now(&self) -> TimestampMs {
        TimestampMs(i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn wait(&self, rate: u64) -> Option<Duration> {
        let debt_ms = self.bucket.lock().debt_ms(BURST, self.now(), limit(rate));
        let debt = Duration::from_millis(u64::try_from(debt_ms).unwrap_or(0));
        (!debt.is_zero()).then(|| debt.min(SLICE))
    }

    fn take(&self, rate: u64, bytes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 bytes")]
        let used = bytes as f64;
        self.bucket.lock().take(BURST, self.now(), limit(rate), used);
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody tells such rates apart")]
fn limit(rate: u64) -> f64 {
    rate as f64
}

/// A broker's two throttles.
#[derive(Debug)]
pub(crate) struct ReplicationThrottles {
    sending: Throttle,
    taking: Throttle,
}

impl Default for ReplicationThrottles {
    fn default() -> Self {
        Self {
            sending: Throttle::new("leader.replication.throttled.rate"),
            taking: Throttle::new("follower.replication.throttled.rate"),
        }
    }
}

/// Whether more may be sent to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// As much as there is.
    Free,
    /// Now, and it counts.
    Counted {
        /// Bytes a second that the throttle allows.
        rate: u64,
    },
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
        let throttle = &self.throttles.sending;
        match self.rate(throttle.rate_key).filter(|_| throttled.by_leader) {
            None => Sending::Free,
            Some(rate) => throttle.wait(rate).map_or(Sending::Counted { rate }, Sending::Held),
        }
    }

    /// So much was sent to a replica that is throttled.
    pub(crate) fn sent(&self, rate: u64, bytes: usize) {
        self.throttles.sending.take(rate, bytes);
    }

    /// This broker's replica was sent so many bytes: whether it must wait now, see [`Self::must_wait`].
    pub(crate) fn taken(&self, partition: &Partition, bytes: usize) -> Option<Duration> {
        let rate = self.taking_rate(partition)?;
        self.throttles.taking.take(rate, bytes);
        self.throttles.taking.wait(rate)
    }

    /// How long this broker's replica must not ask for more; then it looks again.
    pub(crate) fn must_wait(&self, partition: &Partition) -> Option<Duration> {
        self.throttles.taking.wait(self.taking_rate(partition)?)
    }

    fn taking_rate(&self, partition: &Partition) -> Option<u64> {
        let local = self.host().local;
        let is_in_sync = || {
            let image = self.host().image.load();
            image
                .partition(partition.id())
                .is_some_and(|registration| registration.isr.contains(&local))
        };
        if !partition.throttled(local, local).by_follower || is_in_sync() {
            return None;
        }
        self.rate(self.throttles.taking.rate_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate_after_a_second_of_them() {
        let throttle = Throttle::new("any");
        let begin = Instant::now();
        let mut taken = 0;
        while taken < 50_000 {
            while let Some(wait) = throttle.wait(1_000) {
                assert!(wait <= SLICE);
                tokio::time::sleep(wait).await;
            }
            throttle.take(1_000, 3_000);
            taken += 3_000;
        }
        // The last 3,000 are still to be paid for.
        let seconds = begin.elapsed().as_secs_f64();
        assert!((46.9..48.2).contains(&seconds), "{seconds}");
        // A faster rate pays the debt sooner, and none at all is none.
        assert!(
            throttle
                .wait(1_000_000_000)
                .is_some_and(|wait| wait <= Duration::from_millis(1))
        );
        throttle.take(0, 1);
        assert_eq!(throttle.wait(0), Some(SLICE));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(throttle.wait(0), Some(SLICE));
    }
}
