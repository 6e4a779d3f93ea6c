//! What this broker has noticed of the others, ahead of the metadata and after it.
//!
//! PEER-1: a leader whose stream here broke, or whose port refuses, is *lost* until a stream to it opens, for at most
//! [`LOST_FOR`]: it is probably about to be fenced, and a client that is told so asks again in 0.1 s; told of the old leader, it
//! knocks there, and librdkafka asks again after a whole second. Only answers follow from it, never a decision.
//! PEER-2: a broker that was fenced is *listed* to clients for [`LISTED_FOR`] more, as Kafka does for its whole session:
//! librdkafka (2.10 and newer) drops a broker that is no longer listed together with the partitions that it is just moving
//! away from it, and finds their new leaders only a second later.
//! PEER-3: a client is told of no leader that is silent: each to which a stream is open is asked over it, and the answer waits until
//! it speaks, is lost, or is fenced. A client that has just connected waits longer: told of a leader that hangs, librdkafka would
//! wait 10 s for its first answer before it looked again. Who was waited for in vain that long, once, isn't waited for again until
//! it speaks: it may be this broker that doesn't hear. A client that asks again has lost a broker, mostly, a millisecond ago; its
//! connections close one after the other, and ours may be among the last, or not looked at yet. Only an answer to the question
//! counts then: what a dead leader had sent before may still be on its way through this process.
//! PEER-4: while a lost leader has no successor the answer waits, too, a moment: told that there is none, librdkafka asks again
//! after 0.1 s, or a whole second.

use std::collections::HashMap;
use std::time::Duration;

use metadata::MetadataImage;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use types::BrokerId;

/// Longer than a fencing takes when all goes well; then a leader that only this broker can't reach is named again.
const LOST_FOR: Duration = Duration::from_secs(2);
/// Enough for every client that uses the broker to have asked once.
const LISTED_FOR: Duration = Duration::from_secs(5);
/// Longer than a fencing takes when all goes well, also of the active controller. Other answers of the connection wait behind.
const REPLACED_WITHIN: Duration = Duration::from_millis(400);

/// A leader that was heard so short a time ago needn't be asked for a new client's sake.
const FRESH: Duration = Duration::from_millis(50);
/// Longer than it takes to fence a hanging broker that was the active controller, too.
const SPEAKS_WITHIN: Duration = Duration::from_millis(3_500);
/// For a client that asks again: longer than a busy machine needs to tell that connections are closed. Other answers wait behind.
const SPEAKS_SOON: Duration = Duration::from_millis(100);

/// For whom a sign of life is waited for (PEER-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// It has just connected.
    New,
    /// It asks again.
    Known,
}

/// What was noticed, and when.
#[derive(Debug)]
pub struct Peers {
    noticed: Mutex<Noticed>,
    /// Counts questions for a sign of life; streams pass them on.
    asked: watch::Sender<u64>,
    /// Counts what may end the wait for one, while somebody waits.
    progress: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Noticed {
    /// When a sign of life was last asked for.
    asked_at: Option<Instant>,
    lost: HashMap<BrokerId, Instant>,
    fenced: HashMap<BrokerId, Instant>,
    /// By broker to which a stream is open.
    signs: HashMap<BrokerId, Sign>,
}

/// What is heard of a broker.
#[derive(Debug)]
struct Sign {
    /// Streams that are open to it.
    streams: usize,
    /// When something came from it.
    heard: Instant,
    /// The newest question that it has answered.
    answered: u64,
    /// Somebody waited for it since, until the end.
    in_vain: bool,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            noticed: Mutex::default(),
            asked: watch::Sender::new(0),
            progress: watch::Sender::new(0),
        }
    }
}

impl Peers {
    /// A stream to this broker broke or couldn't be opened. The first time counts.
    pub(crate) fn on_lost(&self, broker: BrokerId) {
        self.noticed.lock().lost.entry(broker).or_insert_with(Instant::now);
        self.note_progress();
    }

    /// A stream to this broker is no longer open.
    pub(crate) fn on_closed(&self, broker: BrokerId) {
        let mut noticed = self.noticed.lock();
        if let Some(sign) = noticed.signs.get_mut(&broker) {
            sign.streams = sign.streams.saturating_sub(1);
            if sign.streams == 0 {
                noticed.signs.remove(&broker);
            }
        }
        drop(noticed);
        self.note_progress();
    }

    /// Something came over a stream from this broker.
    pub(crate) fn on_heard(&self, broker: BrokerId) {
        let mut noticed = self.noticed.lock();
        let Some(sign) = noticed.signs.get_mut(&broker) else {
            return;
        };
        let heard = std::mem::replace(&mut sign.heard, Instant::now());
        sign.in_vain = false;
        let is_first = noticed.asked_at.is_some_and(|asked| heard < asked);
        drop(noticed);
        // The first word is enough for everybody who waits; who speaks all the time wakes nobody.
        if is_first {
            self.note_progress();
        }
    }

    /// An answer to this question came from this broker.
    pub(crate) fn on_answered(&self, broker: BrokerId, question: u64) {
        if let Some(sign) = self.noticed.lock().signs.get_mut(&broker) {
            sign.answered = sign.answered.max(question);
        }
        self.note_progress();
    }

    /// Changes whenever a sign of life is asked for.
    pub(crate) fn questions(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    fn note_progress(&self) {
        if self.progress.receiver_count() > 0 {
            self.progress.send_modify(|count| *count += 1);
        }
    }

    /// Waits until every broker to which a stream is open, and which `concerns` the asker, has been heard, or is lost. A new client
    /// waits at most 3.5 s, for anything that came at most 50 ms before `since`; another 0.1 s, for an answer (PEER-3).
    pub(crate) async fn all_heard(&self, asker: Asker, since: Instant, concerns: impl Fn(BrokerId) -> bool) {
        let mut progress = self.progress.subscribe();
        let since = since.checked_sub(FRESH).unwrap_or(since);
        let mut question = None;
        let silent = |question: Option<u64>| {
            let noticed = self.noticed.lock();
            let is_silent = |sign: &Sign| match asker {
                Asker::New => sign.heard < since && !sign.in_vain,
                Asker::Known => question.is_none_or(|question| sign.answered < question),
            };
            let silent = noticed
                .signs
                .iter()
                .filter(|(broker, sign)| is_silent(sign) && !noticed.lost.contains_key(*broker));
            let silent: Vec<BrokerId> = silent.map(|(broker, _)| *broker).collect();
            drop(noticed);
            // Without the lock, which every message of a leader takes: it looks through the image.
            silent.into_iter().any(&concerns)
        };
        if !silent(question) {
            return;
        }
        self.noticed.lock().asked_at = Some(Instant::now());
        self.asked.send_modify(|count| {
            *count += 1;
            question = Some(*count);
        });
        let within = match asker {
            Asker::New => SPEAKS_WITHIN,
            Asker::Known => SPEAKS_SOON,
        };
        let deadline = Instant::now() + within;
        while silent(question) {
            if !matches!(timeout_at(deadline, progress.changed()).await, Ok(Ok(()))) {
                // What is known has to do.
                if asker == Asker::New {
                    for (_, sign) in self.noticed.lock().signs.iter_mut() {
                        sign.in_vain |= sign.heard < since;
                    }
                }
                return;
            }
        }
    }

    /// Waits until no lost broker leads what the asker wants; at most 0.4 s (PEER-4).
    pub(crate) async fn all_replaced(&self, leads: impl Fn(BrokerId) -> bool) {
        let mut progress = self.progress.subscribe();
        let deadline = Instant::now() + REPLACED_WITHIN;
        let lost = || {
            let noticed = self.noticed.lock();
            let recent = noticed.lost.iter().filter(|(_, since)| since.elapsed() < LOST_FOR);
            let lost: Vec<BrokerId> = recent.map(|(broker, _)| *broker).collect();
            drop(noticed);
            lost.into_iter().any(&leads)
        };
        while lost() && matches!(timeout_at(deadline, progress.changed()).await, Ok(Ok(()))) {}
    }

    /// A stream to this broker is open.
    pub(crate) fn on_reached(&self, broker: BrokerId) {
        let mut noticed = self.noticed.lock();
        noticed.lost.remove(&broker);
        let now = Instant::now();
        let sign = noticed.signs.entry(broker).or_insert(Sign {
            streams: 0,
            heard: now,
            answered: 0,
            in_vain: false,
        });
        sign.streams += 1;
        sign.heard = now;
        sign.in_vain = false;
        drop(noticed);
        self.note_progress();
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
        drop(noticed);
        self.note_progress();
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

    #[tokio::test(start_paused = true)]
    async fn a_new_client_waits_for_silent_leaders_until_they_speak_are_lost_or_fenced() {
        let peers = Peers::default();
        let everybody = |_: BrokerId| true;
        // Nobody is followed: nothing to wait for.
        peers.all_heard(Asker::New, Instant::now(), everybody).await;
        peers.on_reached(PEER);
        peers.all_heard(Asker::New, Instant::now(), everybody).await;
        assert!(!peers.questions().has_changed().unwrap());

        tokio::time::advance(Duration::from_secs(1)).await;
        peers
            .all_heard(Asker::New, Instant::now(), |broker| broker != PEER)
            .await;
        let mut questions = peers.questions();
        let began = Instant::now();
        let answers = async {
            questions.changed().await.unwrap();
            tokio::time::sleep(Duration::from_millis(700)).await;
            peers.on_heard(PEER);
        };
        tokio::join!(peers.all_heard(Asker::New, began, everybody), answers);
        assert_eq!(began.elapsed(), Duration::from_millis(700));

        tokio::time::advance(Duration::from_secs(1)).await;
        let loses = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            peers.on_lost(PEER);
        };
        let began = Instant::now();
        tokio::join!(peers.all_heard(Asker::New, began, everybody), loses);
        assert_eq!(began.elapsed(), Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_again_waits_a_moment_for_an_answer_of_each_leader() {
        let peers = Peers::default();
        let everybody = |_: BrokerId| true;
        let ms = Duration::from_millis;
        peers.on_reached(PEER);
        let mut questions = peers.questions();
        let began = Instant::now();
        let loses = async {
            questions.changed().await.unwrap();
            tokio::time::sleep(ms(30)).await;
            peers.on_lost(PEER);
        };
        tokio::join!(peers.all_heard(Asker::Known, began, everybody), loses);
        assert_eq!(began.elapsed(), ms(30));
        peers.on_reached(PEER);
        let began = Instant::now();
        let answers = async {
            questions.changed().await.unwrap();
            let question = *questions.borrow_and_update();
            // What it had said before, and its answer to an earlier question, prove nothing.
            tokio::time::sleep(ms(1)).await;
            peers.on_heard(PEER);
            peers.on_answered(PEER, question - 1);
            tokio::time::sleep(ms(1)).await;
            peers.on_answered(PEER, question);
        };
        tokio::join!(peers.all_heard(Asker::Known, began, everybody), answers);
        assert_eq!(began.elapsed(), ms(2));
        // One that hangs costs a moment each time, and a new client waits for it all the same.
        for (asker, expected) in [
            (Asker::Known, SPEAKS_SOON),
            (Asker::Known, SPEAKS_SOON),
            (Asker::New, SPEAKS_WITHIN),
            (Asker::New, Duration::ZERO),
        ] {
            tokio::time::advance(Duration::from_secs(1)).await;
            let began = Instant::now();
            peers.all_heard(asker, began, everybody).await;
            assert_eq!(began.elapsed(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_waits_a_moment_for_a_lost_leaders_successor() {
        let peers = Peers::default();
        let leads = std::cell::Cell::new(true);
        let asks = || async {
            let began = Instant::now();
            peers.all_replaced(|broker| broker == PEER && leads.get()).await;
            began.elapsed()
        };
        assert_eq!(asks().await, Duration::ZERO);
        peers.on_lost(PEER);
        assert_eq!(asks().await, REPLACED_WITHIN);
        let replaces = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            leads.set(false);
            peers.on_image(&image(false), &image(true));
        };
        let (waited, ()) = tokio::join!(asks(), replaces);
        assert_eq!(waited, Duration::from_millis(20));
        leads.set(true);
        tokio::time::advance(LOST_FOR).await;
        assert_eq!(asks().await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_waited_for_in_vain_is_not_waited_for_again_until_it_speaks() {
        let peers = Peers::default();
        let everybody = |_: BrokerId| true;
        peers.on_reached(PEER);
        tokio::time::advance(Duration::from_secs(1)).await;
        for expected in [SPEAKS_WITHIN, Duration::ZERO] {
            let began = Instant::now();
            peers.all_heard(Asker::New, began, everybody).await;
            assert_eq!(began.elapsed(), expected);
        }
        peers.on_heard(PEER);
        tokio::time::advance(Duration::from_secs(1)).await;
        let began = Instant::now();
        peers.all_heard(Asker::New, began, everybody).await;
        assert_eq!(began.elapsed(), SPEAKS_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_is_heard_as_long_as_one_of_several_streams_is_open() {
        let peers = Peers::default();
        peers.on_reached(PEER);
        peers.on_reached(PEER);
        peers.on_closed(PEER);
        tokio::time::advance(Duration::from_secs(1)).await;
        let began = Instant::now();
        peers.all_heard(Asker::New, began, |_| true).await;
        assert_eq!(began.elapsed(), SPEAKS_WITHIN);
        peers.on_heard(PEER);
        peers.on_closed(PEER);
        tokio::time::advance(Duration::from_secs(1)).await;
        let began = Instant::now();
        peers.all_heard(Asker::New, began, |_| true).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
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
