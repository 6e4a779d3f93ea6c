//! Well-formed bodies built from the schemas.

use super::super::schema::{Field, Kind, Schema};

/// A run of bytes that decides what is built; zeroes once it is used up, so that shrinking it makes small bodies.
pub(super) struct Entropy<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Entropy<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    fn below(&mut self, bound: u8) -> usize {
        usize::from(self.byte() % bound)
    }
}

/// A body of this version, every field of it filled in.
pub(super) fn body_of(schema: &Schema, version: i16, entropy: &mut Entropy<'_>) -> Vec<u8> {
    let mut builder = Builder {
        version,
        flexible: version >= schema.flexible_since,
        out: Vec::new(),
        entropy,
    };
    builder.structure(schema.fields);
    builder.out
}

struct Builder<'a, 'b> {
    version: i16,
    flexible: bool,
    out: Vec<u8>,
    entropy: &'a mut Entropy<'b>,
}

impl Builder<'_, '_> {
    fn structure(&mut self, fields: &'static [Field]) {
        let version = self.version;
        for field in fields
            .iter()
            .filter(|field| field.tag.is_none() && field.exists_in(version))
        {
            self.value(field);
        }
        if !self.flexible {
            return;
        }
        let tagged = fields
            .iter()
            .filter(|field| field.tag.is_some() && field.exists_in(version));
        let mut known: Vec<&'static Field> = tagged.collect();
        known.retain(|_| self.entropy.below(2) == 1);
        let unknown = if self.entropy.below(5) == 1 {
            self.entropy.below(3)
        } else {
            0
        };
        self.varint(u32::try_from(known.len() + unknown).unwrap());
        for field in known {
            let before = std::mem::take(&mut self.out);
            self.value(field);
            let value = std::mem::replace(&mut self.out, before);
            self.varint(field.tag.unwrap());
            self.varint(u32::try_from(value.len()).unwrap());
            self.out.extend(value);
        }
        for n in 0..unknown {
            self.varint(1000 + u32::try_from(n).unwrap());
            let length = self.entropy.below(4);
            self.varint(u32::try_from(length).unwrap());
            self.out.extend(std::iter::repeat_n(7, length));
        }
    }

    fn value(&mut self, field: &'static Field) {
        let null = field.is_nullable_in(self.version) && self.entropy.below(4) == 1;
        match field.kind {
            Kind::Fixed(length) => self.fixed(length),
            Kind::String if null => self.null(2),
            Kind::String => self.string(),
            Kind::Struct(_) if null => self.out.push(0xff),
            Kind::Struct(fields) => {
                if field.is_nullable_in(self.version) {
                    self.out.push(1);
                }
                self.structure(fields);
            }
            _ if null => self.null(4),
            Kind::Bytes => {
                let count = self.count(200);
                self.fixed(count);
            }
            Kind::FixedArray(element) => {
                let count = self.count(4);
                self.fixed(count * element);
            }
            Kind::StringArray => (0..self.count(4)).for_each(|_| self.string()),
            Kind::StructArray(fields) => (0..self.count(4)).for_each(|_| self.structure(fields)),
        }
    }

    fn fixed(&mut self, length: usize) {
        for _ in 0..length {
            let byte = self.entropy.byte();
            self.out.push(byte);
        }
    }

    fn null(&mut self, length_bytes: usize) {
        if self.flexible {
            self.out.push(0);
        } else {
            self.out.extend(std::iter::repeat_n(0xff, length_bytes));
        }
    }

    fn string(&mut self) {
        let length = self.entropy.below(140);
        if self.flexible {
            self.varint(u32::try_from(length).unwrap() + 1);
        } else {
            self.out.extend(i16::try_from(length).unwrap().to_be_bytes());
        }
        self.out.extend(std::iter::repeat_n(b'k', length));
    }

    fn count(&mut self, bound: u8) -> usize {
        let count = self.entropy.below(bound);
        if self.flexible {
            self.varint(u32::try_from(count).unwrap() + 1);
        } else {
            self.out.extend(i32::try_from(count).unwrap().to_be_bytes());
        }
        count
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.out.push(value.to_le_bytes()[0]);
    }
}
