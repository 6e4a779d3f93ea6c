//! A member of a classic group.

use bytes::Bytes;
use types::TimestampMs;

use crate::record::PersistedMember;
use crate::{JoinProtocol, ReplyToken};

/// What the coordinator knows of a member. Its id is its key in the group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// Best first, each name once.
    pub(crate) protocols: Vec<JoinProtocol>,
    pub(crate) assignment: Bytes,
    pub(crate) awaiting_join: Option<ReplyToken>,
    pub(crate) awaiting_sync: Option<ReplyToken>,
    /// It never got a JoinGroup answer: it may be gone already, so waiting doesn't keep it alive.
    pub(crate) is_new: bool,
    /// When it is given up, unless it waits for us.
    pub(crate) session_deadline: TimestampMs,
}

impl Member {
    pub(crate) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// Whether silence is expected of it: we owe it an answer.
    pub(crate) fn is_excused(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub(crate) fn restart_session(&mut self, now: TimestampMs) {
        self.session_deadline = now.plus_ms(i64::from(self.session_timeout_ms.max(0)));
    }

    /// Its metadata for a protocol; empty if it doesn't offer it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let offered = self
            .protocols
            .iter()
            .find(|offered| Some(offered.name.as_str()) == protocol);
        offered.map(|offered| offered.metadata.clone()).unwrap_or_default()
    }

    pub(crate) fn from_record(record: &PersistedMember, protocol: Option<&str>, now: TimestampMs) -> Self {
        let mut member = Self {
            group_instance_id: record.group_instance_id.clone(),
            client_id: record.client_id.clone(),
            client_host: record.client_host.clone(),
            rebalance_timeout_ms: record.rebalance_timeout_ms,
            session_timeout_ms: record.session_timeout_ms,
            protocols: vec![JoinProtocol {
                name: protocol.unwrap_or_default().to_owned(),
                metadata: record.subscription.clone(),
            }],
            assignment: record.assignment.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            session_deadline: now,
        };
        member.restart_session(now);
        member
    }

    pub(crate) fn to_record(&self, member_id: &str, protocol: Option<&str>, assignment: Bytes) -> PersistedMember {
        PersistedMember {
            member_id: member_id.to_owned(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }
}
