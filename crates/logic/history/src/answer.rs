//! What a producer was told about one record, in eight bytes: there are millions of them.

/// What a producer was told about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    None,
    /// Acknowledged at this offset.
    AckedAt(u64),
    /// Acknowledged, at an offset that the broker didn't know any more.
    Acked,
    /// Refused.
    Refused,
    /// Given up.
    Unknown,
}

/// An [`Answer`], packed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedAnswer(u64);

const NONE: u64 = u64::MAX;
const ACKED: u64 = u64::MAX - 1;
const REFUSED: u64 = u64::MAX - 2;
const UNKNOWN: u64 = u64::MAX - 3;

impl PackedAnswer {
    /// Nothing yet.
    pub(crate) const NONE: Self = Self(NONE);

    /// Packs it. Offsets are below 2^63 on the wire.
    pub(crate) fn new(answer: Answer) -> Self {
        Self(match answer {
            Answer::None => NONE,
            Answer::AckedAt(offset) => offset.min(i64::MAX as u64),
            Answer::Acked => ACKED,
            Answer::Refused => REFUSED,
            Answer::Unknown => UNKNOWN,
        })
    }

    /// Unpacks it.
    pub(crate) fn answer(self) -> Answer {
        match self.0 {
            NONE => Answer::None,
            ACKED => Answer::Acked,
            REFUSED => Answer::Refused,
            UNKNOWN => Answer::Unknown,
            offset => Answer::AckedAt(offset),
        }
    }
}
