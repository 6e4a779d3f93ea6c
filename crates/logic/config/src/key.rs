//! The words of a configuration table: what one key is called, holds, allows, and when it may change.
//!
//! The tables (`broker_keys`, `topic_keys`) are constants of `ConfigKey`. The same rows serve parsing at start,
//! validation of what clients set, DescribeConfigs and the documentation, so that these can't disagree.

use crate::error::ConfigError;
use crate::validator::Validator;
use crate::value;

/// Kafka's types of configuration values. The numbers of DescribeConfigs are in `wire_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// 32 bits, signed.
    Int,
    /// 16 bits, signed.
    Short,
    /// 64 bits, signed.
    Long,
    /// A floating point number.
    Double,
    /// Texts separated by commas.
    List,
    /// The name of a Java class. Accepted and shown, never loaded.
    Class,
    /// A secret: never shown.
    Password,
}

impl ConfigType {
    /// The number in DescribeConfigs responses.
    #[must_use]
    pub fn wire_code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

/// How much a key matters to an operator, as Kafka's documentation ranks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Importance {
    /// Look at it before the first start.
    High,
    /// Look at it when tuning.
    Medium,
    /// Rarely looked at.
    Low,
}

/// When a broker key's value may change (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateMode {
    /// Only by a restart.
    ReadOnly,
    /// While the broker runs, for one broker.
    PerBroker,
    /// While brokers run, for one or for all.
    ClusterWide,
}

/// What a key does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Support {
    /// The value has Kafka's effect.
    Acts,
    /// The value is checked, kept and shown, and has no effect (yet).
    Accepts,
}

/// A key's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefaultValue {
    /// The value in text, as a file would hold it.
    Value(&'static str),
    /// None: the key is unset, or derived from others.
    Null,
    /// None, and the node can't start without one.
    Required,
}

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    /// The key as in `server.properties`.
    pub name: &'static str,
    /// The value's type.
    pub kind: ConfigType,
    /// Kafka's default, or ours where `differences::DEFAULTS` says so.
    pub default: DefaultValue,
    /// What is allowed beyond the type.
    pub validator: Validator,
    /// Kafka's rank.
    pub importance: Importance,
    /// When it may change. Topic keys are always changeable and say `ClusterWide`.
    pub update: UpdateMode,
    /// Whether it has an effect.
    pub support: Support,
    /// One or two sentences.
    pub doc: &'static str,
}

impl ConfigKey {
    /// Checks a value's type and range.
    ///
    /// # Errors
    /// `ConfigError::Invalid` with what is allowed; the value of a password is hidden.
    pub fn validate(&self, value: &str) -> Result<(), ConfigError> {
        let expected = value::check_type(self.kind, value).and_then(|()| self.validator.check(self.kind, value));
        expected.map_err(|expected| ConfigError::invalid(self.name, self.shown(value), expected))
    }

    /// Whether the value must never be shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }

    /// The default as text, if there is one.
    #[must_use]
    pub fn default_text(&self) -> Option<&'static str> {
        match self.default {
            DefaultValue::Value(text) => Some(text),
            DefaultValue::Null | DefaultValue::Required => None,
        }
    }

    fn shown(&self, value: &str) -> String {
        if self.is_sensitive() {
            "[hidden]".to_owned()
        } else {
            value.to_owned()
        }
    }
}
