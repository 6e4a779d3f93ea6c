//! Reads typed values out of properties and gathers everything that is wrong with them.
//!
//! The constructor checks every entry by its row once; after that the typed getters can't fail: a value that was
//! reported falls back to its default, so that one error doesn't hide the next.

use std::time::Duration;

use crate::broker_keys::{broker_key, broker_keys, is_plugins, is_removed, nearest_broker_key};
use crate::error::{ConfigError, Warning};
use crate::key::DefaultValue;
use crate::properties::Properties;
use crate::value;

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    properties: &'a Properties,
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    /// Checks each entry for itself, and that what has no default is there.
    pub(crate) fn new(properties: &'a Properties) -> Self {
        let mut reader = Self {
            properties,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        for (key, text) in properties.iter() {
            match broker_key(key) {
                Some(row) => reader.errors.extend(row.validate(text).err()),
                None if is_plugins(key) => {}
                None if is_removed(key) => reader.doubtful(key, "Kafka 4.0 removed this key; it has no effect"),
                None => {
                    let nearest = nearest_broker_key(key);
                    reader.warnings.push(Warning::UnknownKey {
                        key: key.to_owned(),
                        nearest,
                    });
                }
            }
        }
        for row in broker_keys().filter(|row| row.default == DefaultValue::Required) {
            if properties.get(row.name).is_none() {
                reader.missing(row.name, row.doc);
            }
        }
        reader
    }

    pub(crate) fn invalid(&mut self, key: &str, value: impl Into<String>, expected: impl Into<String>) {
        self.errors.push(ConfigError::invalid(key, value, expected));
    }

    pub(crate) fn missing(&mut self, key: &str, expected: impl Into<String>) {
        self.errors.push(ConfigError::Missing {
            key: key.to_owned(),
            expected: expected.into(),
        });
    }

    pub(crate) fn doubtful(&mut self, key: &str, message: impl Into<String>) {
        self.warnings.push(Warning::Doubtful {
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// The value that was given, without blanks around it. Empty counts as not given.
    pub(crate) fn given(&self, key: &str) -> Option<&'a str> {
        self.properties.get(key).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The value that was given, or the default.
    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.given(key).or_else(|| broker_key(key)?.default_text())
    }

    pub(crate) fn list(&self, key: &str) -> Vec<&'a str> {
        self.text(key).map(value::list).unwrap_or_default()
    }

    pub(crate) fn boolean(&self, key: &str) -> bool {
        self.typed(key, value::boolean).unwrap_or_default()
    }

    pub(crate) fn long(&self, key: &str) -> i64 {
        self.typed(key, value::long).unwrap_or_default()
    }

    pub(crate) fn int(&self, key: &str) -> i32 {
        self.typed(key, value::int).unwrap_or_default()
    }

    pub(crate) fn short(&self, key: &str) -> i16 {
        self.typed(key, value::short).unwrap_or_default()
    }

    /// A size or a count; negative ones, which mean that the kernel or nobody limits it, are `None`.
    pub(crate) fn size(&self, key: &str) -> Option<u32> {
        u32::try_from(self.long(key)).ok()
    }

    /// A time in milliseconds; negative ones are zero.
    pub(crate) fn milliseconds(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.long(key)).unwrap_or_default())
    }

    fn typed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let row = broker_key(key)?;
        let given = self
            .given(key)
            .filter(|text| row.validate(text).is_ok())
            .and_then(|text| parse(text).ok());
        given.or_else(|| parse(row.default_text()?).ok())
    }
}
