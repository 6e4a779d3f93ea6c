//! Until when this broker may believe that nobody has deposed it.
//!
//! LEASE-1: the controller counts a session from the last message that it heard, this broker from when it sent the last one
//! that was answered: its own count ends first, and a process that was stopped and goes on finds it ended. A lease decides
//! only what an answer says of things that a newer leader may know better; nothing that is acknowledged hangs on it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A broker's.
#[derive(Debug, Default)]
pub struct SessionLease(Mutex<Option<Instant>>);

impl SessionLease {
    /// A message that was sent then was answered, in a session of this length.
    pub(crate) fn renew(&self, sent: Instant, session: Duration) {
        let until = sent + session;
        let mut lease = self.0.lock();
        *lease = Some(lease.map_or(until, |known| known.max(until)));
    }

    /// Whether another broker may lead what this one believes to lead. Never before the first session.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.lock().is_some_and(|until| Instant::now() >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_counts_from_what_was_sent_and_never_gets_shorter() {
        let session = Duration::from_secs(2);
        let lease = SessionLease::default();
        assert!(!lease.is_over());
        let sent = Instant::now();
        tokio::time::advance(Duration::from_millis(1_500)).await;
        lease.renew(sent, session);
        lease.renew(sent.checked_sub(session).unwrap_or(sent), session);
        assert!(!lease.is_over());
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(lease.is_over());
        lease.renew(Instant::now(), session);
        assert!(!lease.is_over());
    }
}
