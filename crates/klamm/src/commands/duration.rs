//! Times as arguments say them.

use std::time::{Duration, Instant};

/// Reads `500ms`, `90s`, `10m`, `2h`, or seconds.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| "expected a time, as in 90s".to_owned())?;
    let seconds = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        unit => return Err(format!("{unit} is none of ms, s, m, h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// When that time will have passed. None: never, it is more than a clock can tell.
pub(super) fn deadline_in(within: Duration) -> Option<Instant> {
    Instant::now().checked_add(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        parse_duration("soon").unwrap_err();
        parse_duration("5 weeks").unwrap_err();
        parse_duration("-1s").unwrap_err();
    }

    #[test]
    fn a_time_without_end_has_no_deadline() {
        assert!(deadline_in(Duration::from_secs(90)).is_some_and(|deadline| deadline > Instant::now()));
        assert_eq!(deadline_in(Duration::MAX), None);
    }
}
