//! The words in which request schemas are written down.
//!
//! A schema says only what the walk needs: which fields exist in which versions and how long they are. Kafka's
//! message definitions are the source; the tests hold each schema against the codec in every served version.

/// "No version": of flexible encoding, of nullability.
pub(super) const NEVER: i16 = i16::MAX;

/// The fields of one request.
#[derive(Debug)]
pub(super) struct Schema {
    /// From this version on lengths are compact varints and each structure ends with tagged fields (KIP-482).
    pub(super) flexible_since: i16,
    pub(super) fields: &'static [Field],
}

impl Schema {
    pub(super) const fn new(flexible_since: i16, fields: &'static [Field]) -> Self {
        Self { flexible_since, fields }
    }
}

/// One field of a structure.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    since: i16,
    until: i16,
    nullable_since: i16,
    /// A tagged field's tag. Such fields are absent in versions that are not flexible.
    pub(super) tag: Option<u32>,
}

/// How a value looks on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A number, boolean or uuid of so many bytes.
    Fixed(usize),
    /// UTF-8 with an int16 length, or a compact one.
    String,
    /// Bytes (records, too) with an int32 length, or a compact one.
    Bytes,
    /// An array of numbers of so many bytes.
    FixedArray(usize),
    /// An array of strings, none of them null.
    StringArray,
    /// An array of structures.
    StructArray(&'static [Field]),
    /// A structure in place; a nullable one is preceded by a byte that says whether it is there.
    Struct(&'static [Field]),
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            since: 0,
            until: i16::MAX,
            nullable_since: NEVER,
            tag: None,
        }
    }

    /// The first version that has it.
    pub(super) const fn since(self, version: i16) -> Self {
        Self { since: version, ..self }
    }

    /// The last version that has it.
    pub(super) const fn until(self, version: i16) -> Self {
        Self { until: version, ..self }
    }

    /// It may be null in every version.
    pub(super) const fn nullable(self) -> Self {
        self.nullable_since(0)
    }

    /// It may be null from this version on.
    pub(super) const fn nullable_since(self, version: i16) -> Self {
        Self {
            nullable_since: version,
            ..self
        }
    }

    /// It travels among the tagged fields.
    pub(super) const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    pub(super) const fn exists_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }

    pub(super) const fn is_nullable_in(&self, version: i16) -> bool {
        self.nullable_since != NEVER && self.nullable_since <= version
    }
}

pub(super) const fn boolean(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(1))
}

pub(super) const fn int8(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(1))
}

pub(super) const fn int16(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(2))
}

pub(super) const fn int32(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(4))
}

pub(super) const fn int64(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(8))
}

pub(super) const fn uuid(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(16))
}

pub(super) const fn string(name: &'static str) -> Field {
    Field::new(name, Kind::String)
}

pub(super) const fn bytes(name: &'static str) -> Field {
    Field::new(name, Kind::Bytes)
}

pub(super) const fn int8s(name: &'static str) -> Field {
    Field::new(name, Kind::FixedArray(1))
}

pub(super) const fn int32s(name: &'static str) -> Field {
    Field::new(name, Kind::FixedArray(4))
}

pub(super) const fn strings(name: &'static str) -> Field {
    Field::new(name, Kind::StringArray)
}

pub(super) const fn structs(name: &'static str, fields: &'static [Field]) -> Field {
    Field::new(name, Kind::StructArray(fields))
}

pub(super) const fn structure(name: &'static str, fields: &'static [Field]) -> Field {
    Field::new(name, Kind::Struct(fields))
}
