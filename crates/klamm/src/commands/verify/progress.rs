//! What is to be seen while a run lasts: one line that changes on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::recorder::Counters;

/// Between two lines where nobody looks at them as they come.
const EVERY: Duration = Duration::from_secs(10);
/// The same on a terminal.
const EVERY_ON_TERMINAL: Duration = Duration::from_millis(250);
/// Characters of the bar.
const WIDTH: usize = 24;

/// The line.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    began: Instant,
    last: Option<(Instant, u64)>,
}

impl Progress {
    /// On standard error.
    pub(super) fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            began: Instant::now(),
            last: None,
        }
    }

    /// Shows the counts, if it is time to. `done` is between 0 and 1.
    pub(super) fn show(&mut self, done: f64, counters: &Counters) {
        let every = if self.terminal { EVERY_ON_TERMINAL } else { EVERY };
        let acked = counters.acked.load(Ordering::Relaxed);
        let now = Instant::now();
        let (since, before) = self.last.unwrap_or((self.began, 0));
        if now - since < every {
            return;
        }
        self.last = Some((now, acked));
        let rate = (acked - before) as f64 / (now - since).as_secs_f64();
        let line = format!(
            "{} {:>3.0} %  {} acknowledged ({rate:.0}/s), {} failed, {} read, {} faults",
            bar(done),
            done * 100.0,
            thousands(acked),
            counters.failed.load(Ordering::Relaxed),
            thousands(counters.read.load(Ordering::Relaxed)),
            counters.faults.load(Ordering::Relaxed),
        );
        self.put(&line, !self.terminal);
    }

    /// Says what is being done now.
    pub(super) fn say(&mut self, text: &str) {
        self.put(text, true);
    }

    fn put(&self, line: &str, ends: bool) {
        let mut out = io::stderr().lock();
        // Nobody is left to tell when standard error is closed, too.
        let _ = match (self.terminal, ends) {
            (true, false) => write!(out, "\r\x1b[2K{line}"),
            (true, true) => writeln!(out, "\r\x1b[2K{line}"),
            (false, _) => writeln!(out, "{:>6.1} s  {line}", self.began.elapsed().as_secs_f64()),
        };
        let _ = out.flush();
    }
}

fn bar(done: f64) -> String {
    let full = ((done.clamp(0.0, 1.0) * WIDTH as f64) as usize).min(WIDTH);
    format!("[{}{}]", "=".repeat(full), " ".repeat(WIDTH - full))
}

/// With a mark every three digits.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_marks_and_bars_their_width() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(bar(0.5).len(), WIDTH + 2);
        assert_eq!(bar(7.0), format!("[{}]", "=".repeat(WIDTH)));
    }
}
