//! Reading typed values out of text, as Kafka's `ConfigDef` does: blanks around a value never count.
//!
//! Every function returns what is expected instead as its error; the caller adds the key and the value.

use std::collections::HashSet;

use crate::key::ConfigType;

/// `true` or `false`, in any case.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err("expected true or false".to_owned())
    }
}

/// A 32-bit number.
pub(crate) fn int(text: &str) -> Result<i32, String> {
    text.trim()
        .parse()
        .map_err(|_| "expected a number of 32 bits".to_owned())
}

/// A 16-bit number.
pub(crate) fn short(text: &str) -> Result<i16, String> {
    text.trim()
        .parse()
        .map_err(|_| "expected a number of 16 bits".to_owned())
}

/// A 64-bit number.
pub(crate) fn long(text: &str) -> Result<i64, String> {
    text.trim()
        .parse()
        .map_err(|_| "expected a number of 64 bits".to_owned())
}

/// A floating point number.
pub(crate) fn double(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| "expected a decimal number".to_owned())
}

/// The entries of a list, duplicates once; an empty text is an empty list.
pub(crate) fn list(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    text.split(',')
        .map(str::trim)
        .filter(|entry| seen.insert(*entry))
        .collect()
}

/// Whether `text` is a value of the type, whatever its range.
pub(crate) fn check_type(kind: ConfigType, text: &str) -> Result<(), String> {
    match kind {
        ConfigType::Boolean => boolean(text).map(drop),
        ConfigType::Int => int(text).map(drop),
        ConfigType::Short => short(text).map(drop),
        ConfigType::Long => long(text).map(drop),
        ConfigType::Double => double(text).map(drop),
        ConfigType::String | ConfigType::List | ConfigType::Class | ConfigType::Password => Ok(()),
    }
}
