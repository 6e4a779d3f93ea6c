//! What a configuration can have wrong with it, in words that name the key, the value and what is allowed.
//!
//! A start reports every error at once (`ConfigErrors`), because finding them one restart at a time is what makes
//! people hate a configuration file. Messages are shown to operators and, for topics, to Kafka clients as they are.

use std::fmt;

use thiserror::Error;

/// One key whose value can't be used.
///
/// Answers `INVALID_CONFIG` (40) where a client set it, ends the start where a file did.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The value isn't of the key's type or not among the allowed ones.
    #[error("invalid value {value} for configuration {key}: {expected}")]
    Invalid {
        /// The key as the user wrote it.
        key: String,
        /// The value as the user wrote it; `[hidden]` for secrets.
        value: String,
        /// What is allowed instead, or what contradicts it.
        expected: String,
    },
    /// A key that has no default was left out.
    #[error("missing required configuration {key}: {expected}")]
    Missing {
        /// The key.
        key: String,
        /// What belongs there.
        expected: String,
    },
    /// Nobody knows this key.
    #[error("unknown configuration {key}{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// The key as the user wrote it.
        key: String,
        /// The known key that looks most like it, if any is near.
        nearest: Option<String>,
    },
    /// The key exists, but can't be changed while the node runs or at this level (broker, cluster).
    #[error("configuration {key} can't be changed here: {reason}")]
    NotDynamic {
        /// The key.
        key: String,
        /// Where it can be changed instead.
        reason: String,
    },
}

impl ConfigError {
    /// A value that isn't allowed.
    pub(crate) fn invalid(key: impl Into<String>, value: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            value: value.into(),
            expected: expected.into(),
        }
    }

    /// The key that the error is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Invalid { key, .. }
            | Self::Missing { key, .. }
            | Self::Unknown { key, .. }
            | Self::NotDynamic { key, .. } => key,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean {key}?")).unwrap_or_default()
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            many => {
                write!(f, "{} errors in the configuration:", many.len())?;
                for error in many {
                    write!(f, "\n  - {error}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that an operator should know and that doesn't keep the node from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Nobody knows this key; it has no effect.
    UnknownKey {
        /// The key as the user wrote it.
        key: String,
        /// The known key that looks most like it, if any is near.
        nearest: Option<String>,
    },
    /// Kafka knows the key, and here it has no effect although its value asks for something.
    NotActedOn {
        /// The key.
        key: String,
        /// The value that has no effect.
        value: String,
    },
    /// The value was taken, but is likely not what was meant.
    Doubtful {
        /// The key.
        key: String,
        /// What is doubtful, and what to write instead.
        message: String,
    },
}

impl Warning {
    /// The key that the warning is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::UnknownKey { key, .. } | Self::NotActedOn { key, .. } | Self::Doubtful { key, .. } => key,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, nearest } => {
                write!(
                    f,
                    "unknown configuration {key} is ignored{}",
                    did_you_mean(nearest.as_deref())
                )
            }
            Self::NotActedOn { key, value } => {
                write!(
                    f,
                    "configuration {key}={value} is known to Kafka and has no effect here yet"
                )
            }
            Self::Doubtful { key, message } => write!(f, "configuration {key}: {message}"),
        }
    }
}
