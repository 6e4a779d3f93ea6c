//! Subscriptions to the metrics of clients (KIP-714): what a resource of type `client-metrics` says.

use regex::{Regex, RegexBuilder};
use thiserror::Error;

use crate::value;

/// How often a client pushes where `interval.ms` isn't set.
pub const DEFAULT_INTERVAL_MS: i32 = 300_000;
/// Bounds of what one subscription costs those who look at it.
const PATTERNS_MAX: usize = 32;
const PATTERN_BYTES_MAX: usize = 1_000;
const COMPILED_BYTES_MAX: usize = 64 << 10;
const INTERVALS_MS: std::ops::RangeInclusive<i32> = 100..=3_600_000;

/// What of a client a `match` entry can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTrait {
    /// `client_instance_id`: the id that the broker gave it.
    InstanceId,
    /// `client_id`.
    Id,
    /// `client_software_name`.
    SoftwareName,
    /// `client_software_version`.
    SoftwareVersion,
    /// `client_source_address`.
    SourceAddress,
    /// `client_source_port`.
    SourcePort,
}

impl ClientTrait {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "client_instance_id" => Self::InstanceId,
            "client_id" => Self::Id,
            "client_software_name" => Self::SoftwareName,
            "client_software_version" => Self::SoftwareVersion,
            "client_source_address" => Self::SourceAddress,
            "client_source_port" => Self::SourcePort,
            _ => return None,
        })
    }
}

/// Why a subscription is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientMetricsError {
    /// A key that doesn't exist, or an interval out of range: `INVALID_REQUEST`.
    #[error("{0}")]
    Request(String),
    /// `match` can't be read: `INVALID_CONFIG`.
    #[error("illegal client matching pattern: {0}")]
    Pattern(String),
}

/// One subscription.
#[derive(Debug, Clone)]
pub struct ClientMetricsSubscription {
    /// How often its clients push.
    pub interval_ms: i32,
    /// Prefixes of the metrics' names; `*` stands for all, no entry for none.
    pub metrics: Vec<String>,
    patterns: Vec<(ClientTrait, Regex)>,
}

impl ClientMetricsSubscription {
    /// Reads what is set on the resource.
    ///
    /// # Errors
    /// The first thing that Kafka refuses.
    pub fn parse<'a>(configs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ClientMetricsError> {
        let mut subscription = Self {
            interval_ms: DEFAULT_INTERVAL_MS,
            metrics: Vec::new(),
            patterns: Vec::new(),
        };
        for (key, text) in configs {
            match key {
                "interval.ms" => {
                    let interval = text.trim().parse().ok().filter(|ms| INTERVALS_MS.contains(ms));
                    subscription.interval_ms = interval.ok_or_else(|| {
                        let (low, high) = (INTERVALS_MS.start(), INTERVALS_MS.end());
                        ClientMetricsError::Request(format!(
                            "interval.ms must be between {low} and {high}, not '{text}'"
                        ))
                    })?;
                }
                "metrics" => {
                    subscription.metrics = value::list(text).into_iter().map(str::to_owned).collect();
                }
                "match" => {
                    if value::list(text).len() > PATTERNS_MAX {
                        return Err(ClientMetricsError::Pattern(format!("more than {PATTERNS_MAX} entries")));
                    }
                    subscription.patterns = value::list(text).into_iter().map(pattern).collect::<Result<_, _>>()?
                }
                unknown => {
                    return Err(ClientMetricsError::Request(format!(
                        "unknown client metrics configuration: {unknown}"
                    )));
                }
            }
        }
        Ok(subscription)
    }

    /// Whether it is for a client of which `of` tells the traits. Every entry must match, as a whole.
    pub fn is_for<'a>(&self, of: impl Fn(ClientTrait) -> &'a str) -> bool {
        self.patterns
            .iter()
            .all(|(wanted, pattern)| pattern.is_match(of(*wanted)))
    }
}

fn pattern(entry: &str) -> Result<(ClientTrait, Regex), ClientMetricsError> {
    let refused = || ClientMetricsError::Pattern(entry.to_owned());
    let (name, regex) = entry.split_once('=').ok_or_else(refused)?;
    let wanted = ClientTrait::from_name(name.trim()).ok_or_else(refused)?;
    if entry.len() > PATTERN_BYTES_MAX {
        return Err(ClientMetricsError::Pattern(format!(
            "longer than {PATTERN_BYTES_MAX} bytes"
        )));
    }
    let whole = RegexBuilder::new(&format!("^(?:{})$", regex.trim()))
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|_| refused())?;
    Ok((wanted, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_says_who_pushes_what_and_how_often() {
        let configs = [
            ("interval.ms", "5000"),
            ("metrics", "org.apache.kafka.producer., org.apache.kafka.consumer.fetch"),
            ("match", "client_software_name=apache-kafka-.*,client_id=[ab]"),
        ];
        let subscription = ClientMetricsSubscription::parse(configs).unwrap();
        assert_eq!((subscription.interval_ms, subscription.metrics.len()), (5000, 2));
        let client = |software: &'static str, id: &'static str| {
            move |wanted| match wanted {
                ClientTrait::SoftwareName => software,
                ClientTrait::Id => id,
                _ => "",
            }
        };
        assert!(subscription.is_for(client("apache-kafka-java", "a")));
        assert!(!subscription.is_for(client("apache-kafka-java", "ab")));
        assert!(!subscription.is_for(client("librdkafka", "a")));
        let all = ClientMetricsSubscription::parse([("metrics", "*")]).unwrap();
        assert_eq!(
            (all.metrics, all.interval_ms),
            (vec!["*".to_owned()], DEFAULT_INTERVAL_MS)
        );
    }

    #[test]
    fn what_kafka_refuses_is_refused_with_its_code() {
        let refused = |key, value| ClientMetricsSubscription::parse([(key, value)]).unwrap_err();
        for (key, value) in [("interval.ms", "99"), ("interval.ms", "x"), ("other", "1")] {
            assert!(
                matches!(refused(key, value), ClientMetricsError::Request(_)),
                "{key}={value}"
            );
        }
        let many: Vec<String> = (0..=PATTERNS_MAX).map(|n| format!("client_id=a{n}")).collect();
        let many = many.join(",");
        let long = format!("client_id={}", "a".repeat(PATTERN_BYTES_MAX));
        let costly = "client_id=(\\w{200}){200}";
        for value in ["nonsense", "client_age=7", "client_id=(", &many, &long, costly] {
            assert!(
                matches!(refused("match", value), ClientMetricsError::Pattern(_)),
                "{value}"
            );
        }
    }
}
