//! What a key allows beyond its type: Kafka's validators, with the same bounds.
//!
//! Called through `ConfigKey::validate` only, after the type was checked.

use crate::key::ConfigType;
use crate::throttled_replicas::ThrottledReplicas;
use crate::value;

/// A rule for the values of one key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validator {
    /// Anything of the type.
    Any,
    /// A whole number not below this.
    AtLeast(i64),
    /// A whole number within these, both included.
    Between(i64, i64),
    /// A decimal number within these, both included.
    BetweenReal(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list of entries from these. Duplicates count once, as in Kafka.
    ListOf(&'static [&'static str]),
    /// As `ListOf`, with at least one entry.
    NonEmptyListOf(&'static [&'static str]),
    /// A list whose entries aren't empty.
    List,
    /// As `List`, with at least one entry.
    NonEmptyList,
    /// A text that isn't empty.
    NonEmpty,
    /// A gzip level: 1 to 9, or -1 for the codec's own default.
    GzipLevel,
    /// `*`, or `partition:broker` pairs, separated by commas (KIP-73).
    ThrottledReplicas,
    /// `earliest`, `latest` or `by_duration:` and an ISO 8601 duration (KIP-932, KIP-1106).
    ShareOffsetReset,
}

impl Validator {
    /// Checks a value that is of type `kind`; the error says what is allowed.
    pub(crate) fn check(&self, kind: ConfigType, text: &str) -> Result<(), String> {
        let text = text.trim();
        match *self {
            Self::Any => Ok(()),
            Self::AtLeast(low) => ensure(whole(text)? >= low, || format!("must be at least {low}")),
            Self::Between(low, high) => ensure((low..=high).contains(&whole(text)?), || {
                format!("must be between {low} and {high}")
            }),
            Self::BetweenReal(low, high) => ensure((low..=high).contains(&value::double(text)?), || {
                format!("must be between {low} and {high}")
            }),
            Self::OneOf(allowed) => ensure(allowed.contains(&text), || one_of(allowed)),
            Self::OneOfIgnoringCase(allowed) => {
                ensure(allowed.iter().any(|known| known.eq_ignore_ascii_case(text)), || {
                    one_of(allowed)
                })
            }
            Self::ListOf(allowed) => entries(text, Some(allowed), true),
            Self::NonEmptyListOf(allowed) => entries(text, Some(allowed), false),
            Self::List => entries(text, None, true),
            Self::NonEmptyList => entries(text, None, false),
            Self::NonEmpty => ensure(!text.is_empty(), || "must not be empty".to_owned()),
            Self::GzipLevel => {
                let level = whole(text)?;
                ensure(level == -1 || (1..=9).contains(&level), || {
                    "must be between 1 and 9, or -1".to_owned()
                })
            }
            Self::ThrottledReplicas => ThrottledReplicas::parse(text).map(|_| ()),
            Self::ShareOffsetReset => ensure(is_share_offset_reset(text), || {
                "must be earliest, latest or by_duration: with an ISO 8601 duration, as in by_duration:PT1H".to_owned()
            }),
        }
        .map_err(|expected| match kind {
            ConfigType::List => format!("each entry {expected}"),
            ConfigType::Boolean
            | ConfigType::String
            | ConfigType::Int
            | ConfigType::Short
            | ConfigType::Long
            | ConfigType::Double
            | ConfigType::Class
            | ConfigType::Password => expected,
        })
    }
}

fn ensure(holds: bool, expected: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(expected()) }
}

fn whole(text: &str) -> Result<i64, String> {
    value::long(text)
}

fn one_of(allowed: &[&str]) -> String {
    format!("must be one of {}", allowed.join(", "))
}

fn entries(text: &str, allowed: Option<&[&str]>, may_be_empty: bool) -> Result<(), String> {
    let list = value::list(text);
    ensure(may_be_empty || !list.is_empty(), || {
        "must be given: the list can't be empty".to_owned()
    })?;
    for entry in &list {
        ensure(!entry.is_empty(), || "must not be empty".to_owned())?;
        if let Some(allowed) = allowed {
            ensure(allowed.contains(entry), || one_of(allowed))?;
        }
    }
    Ok(())
}

fn is_share_offset_reset(text: &str) -> bool {
    match text.split_once(':') {
        None => matches!(text, "earliest" | "latest"),
        Some((kind, duration)) => kind == "by_duration" && is_duration(duration),
    }
}

/// ISO 8601 as Java's `Duration` takes it, without signs: `PnDTnHnMn.nS`, at least one part.
fn is_duration(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix('P') else {
        return false;
    };
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return false,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    !(days.is_empty() && time.is_empty()) && parts(days, "D") && parts(time, "HMS")
}

/// Numbers each followed by one of `units`, which come in order and at most once.
fn parts(text: &str, units: &str) -> bool {
    let mut units = units.chars();
    let mut number = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() || letter == '.' {
            number.push(letter);
        } else if units.any(|unit| unit == letter) {
            let fraction_allowed = letter == 'S';
            if number.parse::<f64>().is_err() || (!fraction_allowed && number.contains('.')) {
                return false;
            }
            number.clear();
        } else {
            return false;
        }
    }
    number.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rule: Validator, kind: ConfigType, text: &str) -> bool {
        rule.check(kind, text).is_ok()
    }

    #[test]
    fn lists_refuse_strangers_and_empty_entries() {
        let policy = Validator::ListOf(&["compact", "delete"]);
        assert!(allowed(policy, ConfigType::List, "compact, delete"));
        assert!(allowed(policy, ConfigType::List, "compact,compact"));
        assert!(allowed(policy, ConfigType::List, ""));
        assert!(!allowed(policy, ConfigType::List, "compress"));
        assert!(!allowed(policy, ConfigType::List, "compact,,delete"));
    }

    #[test]
    fn throttled_replicas_are_a_star_or_pairs() {
        for text in ["*", "", "0:1", "0:1,1:2"] {
            assert!(allowed(Validator::ThrottledReplicas, ConfigType::List, text), "{text}");
        }
        for text in ["0", "0:1:2", "a:b", "0:1,*"] {
            assert!(!allowed(Validator::ThrottledReplicas, ConfigType::List, text), "{text}");
        }
    }

    #[test]
    fn durations_are_iso_8601() {
        for text in [
            "by_duration:PT1H",
            "by_duration:P1DT2H3M4.5S",
            "by_duration:P2D",
            "latest",
            "earliest",
        ] {
            assert!(allowed(Validator::ShareOffsetReset, ConfigType::String, text), "{text}");
        }
        for text in [
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:1H",
            "none",
            "by_duration:PT1S2H",
        ] {
            assert!(
                !allowed(Validator::ShareOffsetReset, ConfigType::String, text),
                "{text}"
            );
        }
    }
}
