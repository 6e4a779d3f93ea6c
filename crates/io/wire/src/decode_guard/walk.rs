//! The walk over a request's bytes, along its schema, without allocating.
//!
//! Every length and count is checked against the bytes left before anything trusts it: a count must fit when each
//! element takes the least bytes its schema allows (WIRE-1). What the codec keeps per element is larger than what the
//! element takes on the wire, so elements and unknown tagged fields are also bounded per request.

use super::schema::{Field, Kind, Schema};
use super::{DECODED_ELEMENTS_MAX, GuardError, UNKNOWN_TAGGED_FIELDS_MAX, Violation};

/// Kafka refuses longer strings in the compact form too.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Walks `body`; returns how many bytes of it the request takes.
pub(super) fn walk(schema: &Schema, version: i16, body: &[u8]) -> Result<usize, GuardError> {
    let mut cursor = Cursor::new(body);
    let walk = Walk {
        version,
        flexible: version >= schema.flexible_since,
    };
    walk.structure(&mut cursor, schema.fields)?;
    Ok(cursor.offset())
}

/// Reads forward over bytes and keeps what the whole request may still declare.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    length: usize,
    elements_left: usize,
    unknown_tagged_fields_left: usize,
    field: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            length: bytes.len(),
            elements_left: DECODED_ELEMENTS_MAX,
            unknown_tagged_fields_left: UNKNOWN_TAGGED_FIELDS_MAX,
            field: "",
        }
    }

    pub(super) fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Names the field that the next errors are about.
    pub(super) fn at(&mut self, field: &'static str) {
        self.field = field;
    }

    pub(super) fn refuse(&self, violation: Violation) -> GuardError {
        GuardError {
            field: self.field,
            offset: self.offset(),
            violation,
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], GuardError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.refuse(Violation::Truncated {
                needed_bytes: length,
                left_bytes: self.rest.len(),
            }));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GuardError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.refuse(Violation::Truncated {
                needed_bytes: N,
                left_bytes: self.rest.len(),
            }));
        };
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, GuardError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// At most five bytes, of which the last holds four bits.
    fn unsigned_varint(&mut self) -> Result<u32, GuardError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.refuse(Violation::VarintTooLong))
    }

    /// A length of which `None` means null.
    fn non_negative(&self, length: i32) -> Result<Option<usize>, GuardError> {
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.refuse(Violation::NegativeLength { length })),
        }
    }

    fn compact_length(&mut self) -> Result<Option<usize>, GuardError> {
        let encoded = self.unsigned_varint()?;
        Ok(encoded.checked_sub(1).map(|length| length as usize))
    }

    fn int32_length(&mut self, flexible: bool) -> Result<Option<usize>, GuardError> {
        if flexible {
            return self.compact_length();
        }
        let length = i32::from_be_bytes(self.array()?);
        self.non_negative(length)
    }

    /// A string's length, not beyond what Kafka allows.
    pub(super) fn string_length(&mut self, flexible: bool) -> Result<Option<usize>, GuardError> {
        let length = if flexible {
            self.compact_length()?
        } else {
            let length = i32::from(i16::from_be_bytes(self.array()?));
            self.non_negative(length)?
        };
        match length {
            Some(length_bytes) if length_bytes > STRING_BYTES_MAX => {
                Err(self.refuse(Violation::StringTooLong { length_bytes }))
            }
            length => Ok(length),
        }
    }

    /// Checks that `count` elements of at least `element_bytes` can follow.
    fn fits(&self, count: usize, element_bytes: usize) -> Result<usize, GuardError> {
        match count.checked_mul(element_bytes) {
            Some(needed) if needed <= self.rest.len() => Ok(needed),
            _ => Err(self.refuse(Violation::CountExceedsBytes {
                count,
                element_bytes,
                left_bytes: self.rest.len(),
            })),
        }
    }

    fn charge_elements(&mut self, count: usize) -> Result<(), GuardError> {
        match self.elements_left.checked_sub(count) {
            Some(left) => {
                self.elements_left = left;
                Ok(())
            }
            None => Err(self.refuse(Violation::TooManyElements)),
        }
    }

    /// Walks a structure's tagged fields; `known` yields the kind of a tag of this version.
    pub(super) fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, GuardError>,
    ) -> Result<(), GuardError> {
        let count = self.unsigned_varint()? as usize;
        self.fits(count, TAGGED_FIELD_BYTES_MIN)?;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let declared_bytes = self.unsigned_varint()? as usize;
            let start = self.offset();
            // The codec reads a known tag by its type and never looks at the size, so both must agree.
            if known(self, tag)? {
                let taken_bytes = self.offset() - start;
                if taken_bytes != declared_bytes {
                    return Err(self.refuse(Violation::TagSize {
                        tag,
                        declared_bytes,
                        taken_bytes,
                    }));
                }
            } else {
                match self.unknown_tagged_fields_left.checked_sub(1) {
                    Some(left) => self.unknown_tagged_fields_left = left,
                    None => return Err(self.refuse(Violation::TooManyTaggedFields)),
                }
                self.take(declared_bytes)?;
            }
        }
        Ok(())
    }
}

/// A tag and a size.
const TAGGED_FIELD_BYTES_MIN: usize = 2;

struct Walk {
    version: i16,
    flexible: bool,
}

impl Walk {
    fn structure(&self, cursor: &mut Cursor<'_>, fields: &'static [Field]) -> Result<(), GuardError> {
        for field in fields {
            if field.tag.is_none() && field.exists_in(self.version) {
                cursor.at(field.name);
                self.value(cursor, field)?;
            }
        }
        if !self.flexible {
            return Ok(());
        }
        cursor.at("tagged fields");
        cursor.tagged_fields(|cursor, tag| {
            let Some(field) = fields.iter().find(|field| field.tag == Some(tag)) else {
                return Ok(false);
            };
            cursor.at(field.name);
            if !field.exists_in(self.version) {
                return Err(cursor.refuse(Violation::TagNotInVersion { tag }));
            }
            self.value(cursor, field)?;
            Ok(true)
        })
    }

    fn value(&self, cursor: &mut Cursor<'_>, field: &'static Field) -> Result<(), GuardError> {
        let nullable = field.is_nullable_in(self.version);
        let null_allowed = |cursor: &Cursor<'_>| {
            if nullable {
                Ok(())
            } else {
                Err(cursor.refuse(Violation::Null))
            }
        };
        match field.kind {
            Kind::Fixed(length) => {
                cursor.take(length)?;
            }
            Kind::String => match cursor.string_length(self.flexible)? {
                Some(length) => {
                    cursor.take(length)?;
                }
                None => null_allowed(cursor)?,
            },
            Kind::Bytes => match cursor.int32_length(self.flexible)? {
                Some(length) => {
                    cursor.take(length)?;
                }
                None => null_allowed(cursor)?,
            },
            Kind::FixedArray(element_bytes) => match cursor.int32_length(self.flexible)? {
                Some(count) => {
                    let length = cursor.fits(count, element_bytes)?;
                    cursor.take(length)?;
                }
                None => null_allowed(cursor)?,
            },
            Kind::StringArray => match cursor.int32_length(self.flexible)? {
                Some(count) => {
                    cursor.fits(count, self.string_bytes_min())?;
                    cursor.charge_elements(count)?;
                    for _ in 0..count {
                        let length = cursor
                            .string_length(self.flexible)?
                            .ok_or_else(|| cursor.refuse(Violation::Null))?;
                        cursor.take(length)?;
                    }
                }
                None => null_allowed(cursor)?,
            },
            Kind::StructArray(fields) => match cursor.int32_length(self.flexible)? {
                Some(count) => {
                    cursor.fits(count, self.structure_bytes_min(fields))?;
                    cursor.charge_elements(count)?;
                    for _ in 0..count {
                        self.structure(cursor, fields)?;
                    }
                }
                None => null_allowed(cursor)?,
            },
            Kind::Struct(fields) => {
                // Presence is a signed byte: negative is null, Kafka writes 1 otherwise and the codec wants just that.
                if nullable {
                    match cursor.byte()? {
                        1 => {}
                        0x80.. => return Ok(()),
                        mark => return Err(cursor.refuse(Violation::PresenceMark { mark })),
                    }
                }
                self.structure(cursor, fields)?;
            }
        }
        Ok(())
    }

    fn string_bytes_min(&self) -> usize {
        if self.flexible { 1 } else { 2 }
    }

    /// The least bytes that a structure can take in this version. Never 0: each structure of Kafka's arrays has at
    /// least one field, and a zero would let any count pass.
    fn structure_bytes_min(&self, fields: &'static [Field]) -> usize {
        let tagged_fields = usize::from(self.flexible);
        let present = fields
            .iter()
            .filter(|field| field.tag.is_none() && field.exists_in(self.version));
        let sum: usize = present.map(|field| self.value_bytes_min(field)).sum();
        (sum + tagged_fields).max(1)
    }

    fn value_bytes_min(&self, field: &'static Field) -> usize {
        match field.kind {
            Kind::Fixed(length) => length,
            Kind::String => self.string_bytes_min(),
            Kind::Bytes | Kind::FixedArray(_) | Kind::StringArray | Kind::StructArray(_) => {
                if self.flexible {
                    1
                } else {
                    4
                }
            }
            Kind::Struct(_) if field.is_nullable_in(self.version) => 1,
            Kind::Struct(fields) => self.structure_bytes_min(fields),
        }
    }
}
