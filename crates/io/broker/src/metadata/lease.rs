//! Until when this broker may believe that nobody has deposed it.
//!
//! LEASE-1: the controller counts a session from the last message that it heard, this broker from when it sent the last one
//! that was answered: its own count ends first, and a process that was stopped and goes on finds it ended. How long it is, the
//! answer says: not beyond what the controller can be sure of itself, for one that is parted from its majority goes on
//! answering when its successor has fenced the broker. A lease decides only what an answer says of things that a newer leader
//! may know better (a producer told that its sequence is wrong would send again what its successor has taken, a consumer told
//! that its offset is out of range would begin anew); nothing that is acknowledged hangs on it, nor what is read: a deposed
//! leader's high watermark stands still.
//!
//! LEASE-2: an answer renews the lease when everything that the controller knew when it gave it is applied here, and only if
//! it didn't find this broker fenced. A broker that was stopped and comes back to its session still believes what it led.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::time::Instant;
use types::MetadataOffset;

/// A broker's.
#[derive(Debug, Default)]
pub struct SessionLease(Mutex<Option<Instant>>);

impl SessionLease {
    /// A message was answered with a lease until then.
    pub(crate) fn renew(&self, until: Instant) {
        let mut lease = self.0.lock();
        *lease = Some(lease.map_or(until, |known| known.max(until)));
    }

    /// Whether another broker may lead what this one believes to lead. Never before the first session.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.lock().is_some_and(|until| Instant::now() >= until)
    }
}

/// Answers of one session that wait until what they tell of is applied (LEASE-2).
#[derive(Debug, Default)]
pub(crate) struct Renewals(VecDeque<(MetadataOffset, Instant)>);

impl Renewals {
    /// A message was answered with a lease until then, by a controller whose metadata went so far.
    pub(crate) fn answered(&mut self, until: Instant, metadata_offset: MetadataOffset) {
        match self.0.back_mut() {
            // One wait for both.
            Some((last, at)) if *last == metadata_offset => *at = (*at).max(until),
            _ => self.0.push_back((metadata_offset, until)),
        }
    }

    /// The longest lease among the answers that are applied, once.
    pub(crate) fn take_applied(&mut self, applied: MetadataOffset) -> Option<Instant> {
        let mut longest = None;
        while let Some((_, until)) = self.0.pop_front_if(|(offset, _)| *offset <= applied) {
            longest = longest.max(Some(until));
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_when_what_its_controller_knew_is_applied() {
        let mut renewals = Renewals::default();
        let first = Instant::now();
        let second = first + Duration::from_millis(250);
        renewals.answered(first, MetadataOffset(7));
        renewals.answered(second, MetadataOffset(9));
        assert_eq!(renewals.take_applied(MetadataOffset(6)), None);
        assert_eq!(renewals.take_applied(MetadataOffset(8)), Some(first));
        assert_eq!(renewals.take_applied(MetadataOffset(9)), Some(second));
        assert_eq!(renewals.take_applied(MetadataOffset(9)), None);
        renewals.answered(first, MetadataOffset(9));
        renewals.answered(second, MetadataOffset(9));
        assert_eq!(renewals.take_applied(MetadataOffset(9)), Some(second));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_and_never_gets_shorter() {
        let second = Duration::from_secs(1);
        let lease = SessionLease::default();
        assert!(!lease.is_over(), "nobody has deposed whom nobody knows yet");
        lease.renew(Instant::now() + second);
        tokio::time::advance(second / 2).await;
        // A controller that isn't sure of its majority gives none.
        lease.renew(Instant::now());
        assert!(!lease.is_over());
        tokio::time::advance(second / 2).await;
        assert!(lease.is_over());
        lease.renew(Instant::now() + second);
        assert!(!lease.is_over());
    }
}
