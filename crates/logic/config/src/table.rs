//! The notation of the tables, and looking a key up in them.

use crate::key::ConfigKey;

/// `"name": Type = default, validator; importance, update mode, support; "doc"` rows as a slice of `ConfigKey`.
macro_rules! keys {
    ($($name:literal: $kind:ident = $default:tt, $validator:expr; $importance:ident $update:ident $support:ident; $doc:literal;)*) => {
        &[$($crate::key::ConfigKey {
            name: $name,
            kind: $crate::key::ConfigType::$kind,
            default: $crate::table::default_value!($default),
            validator: $validator,
            importance: $crate::key::Importance::$importance,
            update: $crate::key::UpdateMode::$update,
            support: $crate::key::Support::$support,
            doc: $doc,
        }),*]
    };
}

macro_rules! default_value {
    (null) => {
        $crate::key::DefaultValue::Null
    };
    (required) => {
        $crate::key::DefaultValue::Required
    };
    ($text:literal) => {
        $crate::key::DefaultValue::Value($text)
    };
}

pub(crate) use {default_value, keys};

/// The row of a key in the given tables.
pub(crate) fn find<'a>(tables: impl IntoIterator<Item = &'a [ConfigKey]>, name: &str) -> Option<&'a ConfigKey> {
    tables.into_iter().flatten().find(|key| key.name == name)
}
