//! What an operation wants done. See the crate's documentation for the contract.

use bytes::Bytes;
use types::ErrorCode;

use crate::Answer;
use crate::group::{ClassicGroup, GroupId};

/// Names one request that waits for an answer; the shell chooses it, unique among the unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyToken(pub u64);

/// A record for `__consumer_offsets`; no value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorRecord {
    /// Kafka's key: a version, then what it names.
    pub key: Bytes,
    /// Kafka's value.
    pub value: Option<Bytes>,
}

/// When a reply may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It depends on memory only.
    Now,
    /// Once the high watermark is above the shard's last offset, this operation's records included.
    Committed,
}

/// One answer for one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whom it is for.
    pub token: ReplyToken,
    /// The answer.
    pub answer: Answer,
    /// What it waits for.
    pub wait: Wait,
}

/// What the shell must do now. Dropping it loses records and answers.
#[must_use]
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// To append and replay, in order, before any other call.
    pub records: Vec<CoordinatorRecord>,
    /// To send, each when its [`Wait`] is over.
    pub replies: Vec<Reply>,
    pub(crate) undo: Undo,
}

/// What a refused append takes back.
#[derive(Debug, Clone, Default)]
pub(crate) enum Undo {
    /// Nothing: memory holds, the log catches up with a later record.
    #[default]
    Nothing,
    /// The leader's assignment wasn't stored: its generation can't become stable.
    Assignment { group_id: GroupId, generation: i32 },
    /// Consumer groups are as before, but their timers ran ahead.
    Consumers(Vec<GroupId>),
    /// A static member's new id wasn't stored: the group as it was.
    Group(Box<ClassicGroup>),
}

impl Effects {
    pub(crate) fn reply(&mut self, token: ReplyToken, answer: impl Into<Answer>) {
        self.replies.push(Reply {
            token,
            answer: answer.into(),
            wait: Wait::Now,
        });
    }

    pub(crate) fn reply_committed(&mut self, token: ReplyToken, answer: impl Into<Answer>) {
        self.replies.push(Reply {
            token,
            answer: answer.into(),
            wait: Wait::Committed,
        });
    }

    pub(crate) fn read(token: ReplyToken, answer: impl Into<Answer>) -> Self {
        let mut effects = Self::default();
        effects.reply_committed(token, answer);
        effects
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.replies.is_empty()
    }
}

/// What a client sees of a refused append (`GroupCoordinatorService.handleOperationException`).
pub(crate) fn append_error_for_clients(error: ErrorCode) -> ErrorCode {
    if matches!(
        error,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::RequestTimedOut
    ) {
        ErrorCode::CoordinatorNotAvailable
    } else if matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError) {
        ErrorCode::NotCoordinator
    } else if matches!(
        error,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize | ErrorCode::None
    ) {
        ErrorCode::UnknownServerError
    } else {
        error
    }
}
