//! A shell without a world: the log is a vector, the high watermark moves when told.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{ErrorCode, Offset, TimestampMs};

use super::cluster::TestCluster;
use crate::*;

pub(super) struct Shell {
    pub(super) shard: GroupShard,
    pub(super) config: GroupConfig,
    pub(super) log: Vec<CoordinatorRecord>,
    pub(super) high_watermark: Offset,
    pub(super) now: TimestampMs,
    /// Replies that wait for the high watermark to be above the offset.
    pub(super) held: Vec<(Offset, Reply)>,
    pub(super) delivered: BTreeMap<ReplyToken, Answer>,
    pub(super) refuse_appends: Option<ErrorCode>,
    /// Whether everything is committed at once.
    pub(super) instant_commit: bool,
    pub(super) last_token: u64,
    /// What is seen of the cluster where a call names none.
    pub(super) cluster: TestCluster,
}

impl Shell {
    pub(super) fn new(config: GroupConfig) -> Self {
        let mut shell = Self {
            shard: GroupShard::new(config),
            config,
            log: Vec::new(),
            high_watermark: Offset(0),
            now: TimestampMs(1_000_000),
            held: Vec::new(),
            delivered: BTreeMap::new(),
            refuse_appends: None,
            instant_commit: true,
            last_token: 0,
            cluster: TestCluster::default(),
        };
        let effects = shell.shard.on_load_finished(shell.now, &shell.cluster);
        shell.run(effects);
        shell
    }

    pub(super) fn token(&mut self) -> ReplyToken {
        self.last_token += 1;
        ReplyToken(self.last_token)
    }

    pub(super) fn run(&mut self, mut effects: Effects) {
        if let Some(error) = self.refuse_appends
            && !effects.records.is_empty()
        {
            effects = self.shard.on_append_failed(self.now, effects, error, &self.cluster);
            assert!(effects.records.is_empty(), "a refused append leads to no records");
        }
        for record in effects.records {
            let offset = Offset(i64::try_from(self.log.len()).unwrap());
            self.shard.replay(&record.key, record.value.as_deref(), offset).unwrap();
            self.log.push(record);
        }
        self.shard.check_invariants().unwrap();
        for reply in effects.replies {
            match (reply.wait, self.shard.last_offset()) {
                (Wait::Committed, Some(needed)) if needed >= self.high_watermark => self.held.push((needed, reply)),
                _ => self.deliver(reply),
            }
        }
        if self.instant_commit {
            self.commit();
        }
    }

    pub(super) fn deliver(&mut self, reply: Reply) {
        let second = self.delivered.insert(reply.token, reply.answer);
        assert!(second.is_none(), "{:?} was answered before: {second:?}", reply.token);
    }

    pub(super) fn commit(&mut self) {
        let end = Offset(i64::try_from(self.log.len()).unwrap());
        if end <= self.high_watermark {
            return;
        }
        self.high_watermark = end;
        let effects = self.shard.on_committed(self.now, end);
        self.run(effects);
        let (ready, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(needed, _)| *needed < end);
        self.held = held;
        for (_, reply) in ready {
            self.deliver(reply);
        }
    }

    /// Lets time pass, stopping at every deadline.
    pub(super) fn pass(&mut self, millis: i64) {
        let end = self.now.plus_ms(millis);
        while let Some(at) = self.shard.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let effects = self.shard.tick(self.now, &self.cluster);
            self.run(effects);
        }
        self.now = end;
    }

    /// Another broker becomes the coordinator with the log up to `end`.
    pub(super) fn fail_over(&mut self, end: usize) {
        for reply in self.shard.on_unload() {
            self.deliver(reply);
        }
        for (_, reply) in std::mem::take(&mut self.held) {
            let answer = reply.answer.with_error(ErrorCode::NotCoordinator);
            self.deliver(Reply { answer, ..reply });
        }
        self.log.truncate(end);
        self.check_compaction();
        self.shard = self.loaded();
        let effects = self.shard.on_load_finished(self.now, &self.cluster);
        self.run(effects);
    }

    /// A shard that replayed the log from scratch.
    pub(super) fn loaded(&self) -> GroupShard {
        let mut shard = GroupShard::new(self.config);
        for (offset, record) in (0..).zip(&self.log) {
            shard
                .replay(&record.key, record.value.as_deref(), Offset(offset))
                .unwrap();
        }
        shard
    }

    /// However much of the log compaction has gone through, a shard that replays what it left is the same.
    pub(super) fn check_compaction(&self) {
        let whole = self.loaded();
        for (end, tombstones) in [
            (self.log.len(), true),
            (self.log.len(), false),
            (self.log.len() * 2 / 3, false),
            (self.log.len() / 3, false),
        ] {
            let compacted = self.loaded_from_compacted(end, tombstones);
            assert!(
                compacted.same_durable_state(&whole),
                "compacted up to {end} of {}, with tombstones: {tombstones}",
                self.log.len()
            );
        }
    }

    /// Below `end` only the last record of each key is there, and its tombstones as long as nobody has removed them.
    fn loaded_from_compacted(&self, end: usize, tombstones: bool) -> GroupShard {
        let mut last = BTreeMap::new();
        for (at, record) in self.log.iter().enumerate().take(end) {
            last.insert(&record.key, at);
        }
        let mut shard = GroupShard::new(self.config);
        for (at, record) in self.log.iter().enumerate() {
            let is_kept = at >= end || (last.get(&record.key) == Some(&at) && (tombstones || record.value.is_some()));
            if is_kept {
                let offset = Offset(i64::try_from(at).unwrap());
                shard.replay(&record.key, record.value.as_deref(), offset).unwrap();
            }
        }
        shard
    }

    pub(super) fn answer(&self, token: ReplyToken) -> Option<&Answer> {
        self.delivered.get(&token)
    }

    pub(super) fn join(&mut self, request: JoinGroupRequest) -> ReplyToken {
        let token = self.token();
        let effects = self.shard.join_group(self.now, token, request, &self.cluster);
        self.run(effects);
        token
    }

    pub(super) fn joined(&self, token: ReplyToken) -> &JoinGroupResponse {
        match self.answer(token) {
            Some(Answer::JoinGroup(response)) => response,
            other => panic!("no join answer but {other:?}"),
        }
    }

    pub(super) fn sync(&mut self, member: &str, generation: i32, assigned: &[(&str, &'static str)]) -> ReplyToken {
        let token = self.token();
        let of = |(member_id, text): &(&str, &'static str)| MemberAssignment {
            member_id: (*member_id).to_owned(),
            assignment: Bytes::from_static(text.as_bytes()),
        };
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            group_instance_id: None,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assigned.iter().map(of).collect(),
        };
        let effects = self.shard.sync_group(self.now, token, request, &self.cluster);
        self.run(effects);
        token
    }

    pub(super) fn synced(&self, token: ReplyToken) -> &SyncGroupResponse {
        match self.answer(token) {
            Some(Answer::SyncGroup(response)) => response,
            other => panic!("no sync answer but {other:?}"),
        }
    }

    pub(super) fn heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let token = self.token();
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            group_instance_id: None,
        };
        let effects = self.shard.heartbeat(self.now, token, &request, &self.cluster);
        self.run(effects);
        match self.answer(token) {
            Some(Answer::Heartbeat(response)) => response.error,
            other => panic!("no heartbeat answer but {other:?}"),
        }
    }

    pub(super) fn ask_consumer_heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        cluster: &TestCluster,
    ) -> ReplyToken {
        let token = self.token();
        let effects = self.shard.consumer_group_heartbeat(self.now, token, request, cluster);
        self.run(effects);
        token
    }

    pub(super) fn consumer_heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        cluster: &TestCluster,
    ) -> ConsumerGroupHeartbeatResponse {
        let token = self.ask_consumer_heartbeat(request, cluster);
        match self.answer(token) {
            Some(Answer::ConsumerGroupHeartbeat(response)) => response.clone(),
            other => panic!("no heartbeat answer but {other:?}"),
        }
    }

    pub(super) fn ask_to_leave(&mut self, members: &[(&str, Option<&str>)]) -> ReplyToken {
        let token = self.token();
        let of = |(member_id, instance): &(&str, Option<&str>)| LeavingMember {
            member_id: (*member_id).to_owned(),
            group_instance_id: instance.map(str::to_owned),
        };
        let request = LeaveGroupRequest {
            group_id: "g".into(),
            members: members.iter().map(of).collect(),
        };
        let effects = self.shard.leave_group(self.now, token, request, &self.cluster);
        self.run(effects);
        token
    }

    pub(super) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> LeaveGroupResponse {
        let token = self.ask_to_leave(members);
        match self.answer(token) {
            Some(Answer::LeaveGroup(response)) => response.clone(),
            other => panic!("no leave answer but {other:?}"),
        }
    }

    pub(super) fn describe(&mut self) -> DescribeGroupResponse {
        let token = self.token();
        let request = DescribeGroupRequest {
            api_version: 5,
            group_id: "g".into(),
        };
        let effects = self.shard.describe_group(token, request);
        self.run(effects);
        match self.answer(token) {
            Some(Answer::DescribeGroup(response)) => response.clone(),
            other => panic!("no describe answer but {other:?}"),
        }
    }

    /// Members `a`, `b`, … of group `g` in a stable generation; `a` leads.
    pub(super) fn stable(config: GroupConfig, members: &[&'static str]) -> Self {
        let mut shell = Self::new(config);
        let tokens: Vec<_> = members.iter().map(|member| shell.join(join("", member))).collect();
        shell.pass(6_000);
        let generation = shell.joined(tokens[0]).generation_id;
        let assigned: Vec<_> = members.iter().map(|member| (*member, *member)).collect();
        for member in members.iter().rev() {
            shell.sync(member, generation, if *member == members[0] { &assigned } else { &[] });
        }
        assert_eq!(shell.describe().state, GroupState::Stable);
        shell
    }
}

/// A consumer's subscription to topic `t`.
pub(super) const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

/// A join of group `g` by a client that needs no id first (v3).
pub(super) fn join(member_id: &str, fresh: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        api_version: 3,
        group_id: "g".into(),
        member_id: member_id.into(),
        group_instance_id: None,
        fresh_member_id: fresh.into(),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range")],
    }
}

pub(super) fn protocol(name: &str) -> JoinProtocol {
    JoinProtocol {
        name: name.into(),
        metadata: Bytes::from_static(SUBSCRIPTION),
    }
}
