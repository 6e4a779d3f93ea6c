//! Waiting for a condition with a deadline: the only way a cluster test waits.

use std::time::{Duration, Instant};

use anyhow::bail;

/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(50);

/// A point in time that a wait must not pass.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `seconds` from now.
    pub fn seconds(seconds: u64) -> Self {
        Self(Instant::now() + Duration::from_secs(seconds))
    }

    /// True once it has passed.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// What is left, zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Looks at `condition` until it gives a value. An error counts as "not yet"; the last one is in the message when the
/// deadline passes first.
///
/// # Errors
/// The deadline passed: says for what was waited, and what the last look found.
pub fn wait_until<T>(
    what: &str,
    seconds: u64,
    mut condition: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Deadline::seconds(seconds);
    loop {
        let last = match condition() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if deadline.is_over() {
            bail!("waited {seconds} s for {what}: {last}");
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks at a condition that has a deadline"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
