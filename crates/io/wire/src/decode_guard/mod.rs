//! The decode guard: walks a request's bytes by its schema before the codec decodes it.
//!
//! kafka-protocol 0.18 allocates arrays by the count on the wire, so five bytes from anyone who can connect would abort
//! the process. After [`check_body`] has accepted a body, every count in it is backed by bytes that are there, and at
//! most [`DECODED_ELEMENTS_MAX`] elements come out of it.
//!
//! - GUARD-1: a body that the codec would decode from a conforming client is accepted, and both take the same bytes.
//! - GUARD-2: after acceptance the codec allocates no more than a constant times the body's length.
//!
//! `request` is the only caller in the broker. Schemas live in `schemas/`, one file per family of APIs.

mod schema;
mod schemas;
mod walk;

#[cfg(test)]
mod tests;

use thiserror::Error;

/// The most structures and strings in arrays of one request (a primitive in an array is not counted).
///
/// Each takes some hundred bytes at most once decoded, so a request costs some 200 MB at worst, and only if it has
/// itself several megabytes. The largest honest requests name each partition of a broker once.
pub const DECODED_ELEMENTS_MAX: usize = 1 << 20;

/// The most tagged fields of one request that its schema does not know. The codec keeps them in a tree per structure,
/// some 400 bytes for the first, while two bytes declare one. Today's clients send none.
const UNKNOWN_TAGGED_FIELDS_MAX: usize = 1 << 14;

/// Why a request is refused before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{violation} at byte {offset} (field {field})")]
pub struct GuardError {
    /// The field on which the walk stopped, by Kafka's name in snake case.
    pub field: &'static str,
    /// Where, counted from the start of the body (of the frame, for a header).
    pub offset: usize,
    /// What is wrong.
    pub violation: Violation,
}

impl GuardError {
    /// Not even the eight bytes that every header starts with.
    pub(crate) fn header_cut() -> Self {
        Self {
            field: "header",
            offset: 0,
            violation: Violation::HeaderCut,
        }
    }
}

/// What is wrong with a request's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// The frame is shorter than any request header.
    #[error("the frame is shorter than a request header")]
    HeaderCut,
    /// No schema for this API.
    #[error("no schema for this api")]
    NoSchema,
    /// A value is longer than what is left.
    #[error("needs {needed_bytes} bytes, {left_bytes} are left")]
    Truncated {
        /// What the value takes.
        needed_bytes: usize,
        /// What the body still has.
        left_bytes: usize,
    },
    /// An array cannot have so many elements in what is left.
    #[error("{count} elements of at least {element_bytes} bytes are declared, {left_bytes} bytes are left")]
    CountExceedsBytes {
        /// As declared.
        count: usize,
        /// The least that one element takes.
        element_bytes: usize,
        /// What the body still has.
        left_bytes: usize,
    },
    /// A negative length other than -1, which means null.
    #[error("length {length} is negative")]
    NegativeLength {
        /// As declared.
        length: i32,
    },
    /// Null where the version does not allow it.
    #[error("null is not allowed")]
    Null,
    /// A string beyond 32767 bytes.
    #[error("a string of {length_bytes} bytes is too long")]
    StringTooLong {
        /// As declared.
        length_bytes: usize,
    },
    /// A client id that is not UTF-8. (Strings of a body are left to the codec.)
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A varint of more than 32 bits.
    #[error("a varint has more than 32 bits")]
    VarintTooLong,
    /// A tagged field whose value is not as long as its size says.
    #[error("tagged field {tag} declares {declared_bytes} bytes and takes {taken_bytes}")]
    TagSize {
        /// Which.
        tag: u32,
        /// By its size.
        declared_bytes: usize,
        /// By its value.
        taken_bytes: usize,
    },
    /// A tagged field that this version does not have.
    #[error("tagged field {tag} does not exist in this version")]
    TagNotInVersion {
        /// Which.
        tag: u32,
    },
    /// The byte before a nullable structure is neither 1 nor negative.
    #[error("{mark} says neither that a structure follows nor that it is null")]
    PresenceMark {
        /// As read.
        mark: u8,
    },
    /// More than [`DECODED_ELEMENTS_MAX`] elements in all.
    #[error("more than {DECODED_ELEMENTS_MAX} elements")]
    TooManyElements,
    /// More than 16384 unknown tagged fields in all.
    #[error("more than {UNKNOWN_TAGGED_FIELDS_MAX} unknown tagged fields")]
    TooManyTaggedFields,
}

/// Walks the body of a request; returns how many of its bytes the request takes. Allocates nothing.
///
/// # Errors
/// The first [`Violation`], with the field and the byte where it is.
pub fn check_body(api_key: i16, version: i16, body: &[u8]) -> Result<usize, GuardError> {
    let Some(schema) = schemas::of(api_key) else {
        return Err(GuardError {
            field: "api_key",
            offset: 0,
            violation: Violation::NoSchema,
        });
    };
    walk::walk(schema, version, body)
}

/// A request header as far as it can be borrowed from the frame.
#[derive(Debug)]
pub(crate) struct CheckedHeader<'a> {
    pub(crate) client_id: Option<&'a str>,
    /// The bytes of the whole header.
    pub(crate) length: usize,
}

/// Walks a request header of version 1 or 2. Its client id has an int16 length in both, because a broker must be able
/// to read the header of a version that it does not know (KIP-511). Unknown tagged fields are skipped.
pub(crate) fn check_header(header_version: i16, frame: &[u8]) -> Result<CheckedHeader<'_>, GuardError> {
    let mut cursor = walk::Cursor::new(frame);
    cursor.at("header");
    cursor.take(8)?;
    let mut client_id = None;
    if header_version >= 1 {
        cursor.at("client_id");
        if let Some(length) = cursor.string_length(false)? {
            let text = cursor.take(length)?;
            client_id = Some(std::str::from_utf8(text).map_err(|_| cursor.refuse(Violation::NotUtf8))?);
        }
    }
    if header_version >= 2 {
        cursor.at("tagged fields");
        cursor.tagged_fields(|_, _| Ok(false))?;
    }
    Ok(CheckedHeader {
        client_id,
        length: cursor.offset(),
    })
}
