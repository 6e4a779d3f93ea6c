//! What this broker has noticed of the others, ahead of the metadata and after it.
//!
//! PEER-1: a leader whose stream here broke, or whose port refuses, is *lost* until a stream to it opens, for at most
//! [`LOST_FOR`]: it is probably about to be fenced, and a client that is told so asks again in 0.1 s; told of the old leader, it
//! knocks there, and librdkafka asks again after a whole second. Only answers follow from it, never a decision.
//! PEER-2: a broker that was fenced is *listed* to clients for [`LISTED_FOR`] more, as Kafka does for its whole session:
//! librdkafka (2.10 and newer) drops a broker that is no longer listed together with the partitions that it is just moving
//! away from it, and finds their new leaders only a second later.

use std::collections::HashMap;
use std::time::Duration;

use metadata::MetadataImage;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use types::BrokerId;

/// Longer than a fencing takes when all goes well; then a leader that only this broker can't reach is named again.
const LOST_FOR: Duration = Duration::from_secs(2);
/// Enough for every client that uses the broker to have asked once.
const LISTED_FOR: Duration = Duration::from_secs(5);

/// How far behind a client this broker may be in noticing that a third one died: its connections close one after the other.
const NOTICED_WITHIN: Duration = Duration::from_millis(10);

/// What was noticed, and when.
#[derive(Debug, Default)]
pub struct Peers {
    noticed: Mutex<Noticed>,
    lost: Notify,
}

#[derive(Debug, Default)]
struct Noticed {
    lost: HashMap<BrokerId, Instant>,
    fenced: HashMap<BrokerId, Instant>,
}

impl Peers {
    /// A stream to this broker broke or couldn't be opened. The first time counts.
    pub(crate) fn on_lost(&self, broker: BrokerId) {
        self.noticed.lock().lost.entry(broker).or_insert_with(Instant::now);
        self.lost.notify_waiters();
    }

    /// Waits a moment for what a client has probably noticed just now. Over in 10 ms, whatever happens.
    pub(crate) async fn notice(&self) {
        // Running out of time is the usual case: nobody died.
        let _ = timeout(NOTICED_WITHIN, self.lost.notified()).await;
    }

    /// A stream to this broker is open.
    pub(crate) fn on_reached(&self, broker: BrokerId) {
        self.noticed.lock().lost.remove(&broker);
    }

    /// Notes who was fenced between two images.
    pub(crate) fn on_image(&self, older: &MetadataImage, newer: &MetadataImage) {
        let mut noticed = self.noticed.lock();
        for broker in newer.brokers() {
            let was_listed = older.broker(broker.id).is_some_and(|before| !before.fenced);
            if !broker.fenced {
                noticed.fenced.remove(&broker.id);
            } else if was_listed {
                noticed.fenced.insert(broker.id, Instant::now());
            }
        }
        noticed.fenced.retain(|id, _| newer.broker(*id).is_some());
    }

    /// Whether a leader is out of reach as seen from here (PEER-1).
    #[must_use]
    pub fn is_lost(&self, broker: BrokerId) -> bool {
        let noticed = self.noticed.lock();
        noticed
            .lost
            .get(&broker)
            .is_some_and(|since| since.elapsed() < LOST_FOR)
    }

    /// Whether a fenced broker was fenced only just now (PEER-2).
    #[must_use]
    pub fn is_listed_still(&self, broker: BrokerId) -> bool {
        let noticed = self.noticed.lock();
        noticed
            .fenced
            .get(&broker)
            .is_some_and(|since| since.elapsed() < LISTED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use metadata::proto::{MetadataRecord, RegisterBroker};

    use super::*;

    const PEER: BrokerId = BrokerId(2);

    #[tokio::test(start_paused = true)]
    async fn a_lost_leader_is_named_again_when_it_is_reached_or_after_a_while() {
        let peers = Peers::default();
        assert!(!peers.is_lost(PEER));
        peers.on_lost(PEER);
        tokio::time::advance(LOST_FOR / 2).await;
        // Trying again in vain doesn't make it last longer.
        peers.on_lost(PEER);
        assert!(peers.is_lost(PEER));
        tokio::time::advance(LOST_FOR / 2).await;
        assert!(!peers.is_lost(PEER));
        peers.on_reached(PEER);
        peers.on_lost(PEER);
        assert!(peers.is_lost(PEER));
        peers.on_reached(PEER);
        assert!(!peers.is_lost(PEER));
    }

    fn image(fenced: bool) -> MetadataImage {
        let mut image = MetadataImage::new();
        let record = RegisterBroker {
            broker_id: PEER.0,
            incarnation_id: vec![1; 16].into(),
            fenced,
            ..RegisterBroker::default()
        };
        image.replay(&MetadataRecord::from(record)).unwrap();
        image
    }

    #[tokio::test(start_paused = true)]
    async fn a_fenced_broker_is_listed_for_a_while() {
        let peers = Peers::default();
        // One that was fenced before this broker looked isn't.
        peers.on_image(&MetadataImage::new(), &image(true));
        assert!(!peers.is_listed_still(PEER));
        peers.on_image(&image(false), &image(true));
        tokio::time::advance(LISTED_FOR / 2).await;
        peers.on_image(&image(true), &image(true));
        assert!(peers.is_listed_still(PEER));
        tokio::time::advance(LISTED_FOR / 2).await;
        assert!(!peers.is_listed_still(PEER));
        peers.on_image(&image(false), &image(true));
        peers.on_image(&image(true), &image(false));
        assert!(!peers.is_listed_still(PEER));
    }
}
