//! What is to be seen while a run lasts: one line that changes on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

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

    /// Shows a line, if it is time to. `done` is between 0 and 1; `describe` gets the rate at which `count` has grown since
    /// the last line.
    pub(super) fn show(&mut self, done: f64, count: u64, describe: impl FnOnce(f64) -> String) {
        let every = if self.terminal { EVERY_ON_TERMINAL } else { EVERY };
        let now = Instant::now();
        let (since, before) = self.last.unwrap_or((self.began, 0));
        if now - since < every {
            return;
        }
        self.last = Some((now, count));
        let rate = count.saturating_sub(before) as f64 / (now - since).as_secs_f64();
        let line = format!("{} {:>3.0} %  {}", bar(done), done * 100.0, describe(rate));
        self.put(&line, !self.terminal);
    }

    /// Counts anew from now on: what comes next has a rate of its own.
    pub(super) fn restart(&mut self) {
        self.last = Some((Instant::now(), 0));
    }

    /// Takes the line away, so that results stand alone.
    pub(super) fn clear(&self) {
        if self.terminal {
            let mut out = io::stderr().lock();
            // Nobody is left to tell when standard error is closed, too.
            let _ = write!(out, "\r\x1b[2K").and_then(|()| out.flush());
        }
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
