//! Times and durations as `--to-datetime` and `--by-duration` take them: those of Java's `SimpleDateFormat` and `Duration`.

use anyhow::{Context as _, Result, bail, ensure};

const DAY_MS: i64 = 86_400_000;

/// `2026-01-31T23:59:59.999`, in UTC or with a zone (`Z`, `+02`, `+02:00`), in milliseconds since 1970.
pub(super) fn parse_datetime(text: &str) -> Result<i64> {
    let unparsable = || format!("Unparseable date: \"{text}\"");
    let (date, time) = text
        .split_once('T')
        .context("Error parsing timestamp. It does not contain a 'T' according to ISO8601 format")?;
    let (time, zone) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let numbers = |text: &str, separators: &[char]| -> Option<Vec<i64>> {
        let parts = text.split(separators);
        parts.map(|part| part.parse::<u32>().ok().map(i64::from)).collect()
    };
    let date = numbers(date, &['-']).with_context(unparsable)?;
    let time = numbers(time, &[':', '.']).with_context(unparsable)?;
    let ([year, month, day], [hour, minute, second, millis]) = (date.as_slice(), time.as_slice()) else {
        bail!(unparsable());
    };
    let in_range = (1..=12).contains(month)
        && (1..=days_in_month(*year, *month)).contains(day)
        && *hour < 24
        && *minute < 60
        && *second < 60
        && *millis < 1000;
    ensure!(in_range, unparsable());
    let time = ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    Ok(days_since_1970(*year, *month, *day) * DAY_MS + time - zone_ms(zone).with_context(unparsable)?)
}

fn zone_ms(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// By eras of 400 years that begin in March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `P1DT2H3M4.5S` in milliseconds, each part with a sign of its own if need be.
pub(super) fn parse_duration(text: &str) -> Result<i64> {
    read_duration(text).with_context(|| format!("Text cannot be parsed to a Duration: {text}"))
}

fn read_duration(text: &str) -> Option<i64> {
    let upper = text.to_uppercase();
    let (sign, body) = match upper.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let body = body.strip_prefix('P')?;
    let (days, time) = match body.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (body, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut millis = match days {
        "" => 0,
        days => days.strip_suffix('D')?.parse::<i64>().ok()?.checked_mul(DAY_MS)?,
    };
    let mut rest = time;
    for (unit, unit_ms) in [('H', 3_600_000), ('M', 60_000)] {
        if let Some((number, behind)) = rest.split_once(unit) {
            millis = millis.checked_add(number.parse::<i64>().ok()?.checked_mul(unit_ms)?)?;
            rest = behind;
        }
    }
    if !rest.is_empty() {
        let seconds: f64 = rest.strip_suffix('S')?.parse().ok()?;
        millis = millis.checked_add((seconds * 1000.0) as i64)?;
    }
    Some(sign * millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datetime_is_in_utc_unless_it_has_a_zone() {
        assert_eq!(parse_datetime("1970-01-01T00:00:00.000").unwrap(), 0);
        assert_eq!(parse_datetime("2024-02-29T12:30:15.250").unwrap(), 1_709_209_815_250);
        assert_eq!(parse_datetime("2024-02-29T12:30:15.250Z").unwrap(), 1_709_209_815_250);
        assert_eq!(
            parse_datetime("2024-02-29T14:30:15.250+02:00").unwrap(),
            1_709_209_815_250
        );
        assert_eq!(parse_datetime("2024-02-29T07:30:15.250-05").unwrap(), 1_709_209_815_250);
        assert_eq!(parse_datetime("1969-12-31T23:59:59.999").unwrap(), -1);
    }

    #[test]
    fn a_datetime_that_is_none_is_refused() {
        for bad in [
            "2024-01-01",
            "2024-13-01T00:00:00.000",
            "2023-02-29T00:00:00.000",
            "2024-01-01T00:00:00",
            "xTy",
        ] {
            parse_datetime(bad).unwrap_err();
        }
    }

    #[test]
    fn a_duration_has_days_hours_minutes_and_seconds() {
        assert_eq!(parse_duration("P1D").unwrap(), DAY_MS);
        assert_eq!(parse_duration("PT1H2M3.5S").unwrap(), 3_723_500);
        assert_eq!(parse_duration("-p1dt-1h").unwrap(), -DAY_MS + 3_600_000);
        assert_eq!(parse_duration("PT0S").unwrap(), 0);
        for bad in ["P", "PT", "1D", "P1H", "PT1D", "PTS", ""] {
            parse_duration(bad).unwrap_err();
        }
    }
}
