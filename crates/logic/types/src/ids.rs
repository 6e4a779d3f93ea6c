//! Ids and epochs. Every message between nodes carries the epochs that fence it (promise LEAD).

use std::fmt;

use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// `node.id`: names a process, whatever its roles. Never negative for a live node.
    BrokerId(i32)
}
number! {
    /// Counts leaderships of one partition. A request with a lower one is fenced, with a higher one unknown.
    LeaderEpoch(i32)
}
number! {
    /// Counts every committed change of one partition; ISR changes are compare-and-set on it (KIP-497).
    PartitionEpoch(i32)
}
number! {
    /// The metadata offset at which this incarnation of a broker was registered (KIP-631).
    BrokerEpoch(i64)
}
number! {
    /// Counts metadata records applied since the cluster began; the offset after the last applied record.
    MetadataOffset(i64)
}
number! {
    /// Names one follow (a replica's subscription to its leader), unique within the follower's incarnation.
    FollowId(u64)
}
number! {
    /// An idempotent or transactional producer.
    ProducerId(i64)
}
number! {
    /// Fences older instances of one producer id.
    ProducerEpoch(i16)
}

impl LeaderEpoch {
    /// What Kafka writes where no epoch is known.
    pub const NONE: Self = Self(-1);

    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl PartitionEpoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl BrokerEpoch {
    /// What a broker uses before it is registered.
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// What a record batch of a producer without idempotence carries.
    pub const NONE: Self = Self(-1);
}

macro_rules! kafka_uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub Uuid);

        impl $name {
            /// All zeroes: "none" on Kafka's wire.
            pub const ZERO: Self = Self(Uuid::nil());

            /// Reads Kafka's text form (URL-safe base64 without padding, 22 characters).
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                decode_base64(text).map(|bytes| Self(Uuid::from_bytes(bytes)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode_base64(self.0.as_bytes()))
            }
        }
    };
}

kafka_uuid! {
    /// A topic's identity: a topic deleted and created again under its name has another.
    TopicId
}
kafka_uuid! {
    /// A client's identity for its telemetry (KIP-714).
    ClientInstanceId
}
kafka_uuid! {
    /// A metadata log directory's identity: a voter is (node id, directory id), so a wiped disk is another voter.
    DirectoryId
}

/// A cluster's identity. Kafka takes any non-empty text; generated ones are base64 UUIDs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub String);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one boot of the operating system: unsynced writes survive within it, and only within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub String);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode_base64(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(22);
    let mut bits = 0_u32;
    let mut held = 0_u32;
    for &byte in bytes {
        bits = (bits << 8) | u32::from(byte);
        held += 8;
        while held >= 6 {
            held -= 6;
            text.push(char::from(ALPHABET[((bits >> held) & 63) as usize]));
        }
    }
    if held > 0 {
        text.push(char::from(ALPHABET[((bits << (6 - held)) & 63) as usize]));
    }
    text
}

fn decode_base64(text: &str) -> Option<[u8; 16]> {
    let text = text.trim_end_matches('=');
    if text.len() != 22 {
        return None;
    }
    let mut bytes = [0_u8; 16];
    let mut at = 0;
    let mut bits = 0_u32;
    let mut held = 0_u32;
    for symbol in text.bytes() {
        let value = ALPHABET.iter().position(|&known| known == symbol)?;
        bits = (bits << 6) | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            *bytes.get_mut(at)? = ((bits >> held) & 255) as u8;
            at += 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_kafkas_text_form() {
        let id = TopicId(Uuid::from_bytes([0xff; 16]));
        assert_eq!(id.to_string(), "_____________________w");
        assert_eq!(TopicId::parse("_____________________w"), Some(id));
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(TopicId::parse("too short"), None);
    }

    proptest::proptest! {
        #[test]
        fn every_uuid_survives_its_text_form(bytes: [u8; 16]) {
            let id = DirectoryId(Uuid::from_bytes(bytes));
            assert_eq!(DirectoryId::parse(&id.to_string()), Some(id));
        }
    }
}
