//! A consumer group's member: finds the coordinator, joins, gets partitions, reads them from the committed offsets on,
//! commits as it goes, leaves or dies now and then, and comes back.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;
use types::{ErrorCode, Offset};
use wire::messages::join_group_request::JoinGroupRequestProtocol;
use wire::messages::leave_group_request::MemberIdentity;
use wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::messages::sync_group_request::SyncGroupRequestAssignment;
use wire::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, TopicName,
};
use wire::protocol::{Encodable, Request, StrBytes};

use super::assignment::{ROUND_ROBIN, assign, assigned, subscription};
use super::client::Client;
use super::consumer::Cursor;
use super::{Clients, GROUP, REBALANCE_MS, SESSION_MS, TOPIC};
use crate::fabric::NodeId;
use crate::history::Ownership;

/// What is answered from memory, or after a commit.
const ANSWER: Duration = Duration::from_millis(3_500);
/// What waits for the other members.
const REBALANCE_ANSWER: Duration = Duration::from_millis(REBALANCE_MS.unsigned_abs() as u64 + 4_000);
const HEARTBEAT_EVERY: Duration = Duration::from_millis(500);
const COMMIT_EVERY: Duration = Duration::from_millis(400);
/// The protocol type of consumers.
const CONSUMER: &str = "consumer";

const FIND_VERSION: i16 = 4;
const JOIN_VERSION: i16 = 9;
const SYNC_VERSION: i16 = 5;
const HEARTBEAT_VERSION: i16 = 4;
const COMMIT_VERSION: i16 = 8;
const FETCH_VERSION: i16 = 8;
const LEAVE_VERSION: i16 = 5;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str(GROUP))
}

/// Part of a generation.
#[derive(Debug, Clone)]
struct Generation {
    id: i32,
    protocol: Option<StrBytes>,
}

/// One member; see the module.
#[derive(Debug)]
struct Member {
    name: i64,
    /// Asks the coordinator; what is read goes over connections of their own, as with Kafka's consumer.
    coordinating: Client,
    reading: Client,
    coordinator: Option<NodeId>,
    member_id: StrBytes,
}

impl Clients {
    /// The group's first commit, by nobody in particular: from then on the group never disappears.
    pub(crate) async fn found_group(self, partitions: i32, seed: u64) {
        let mut member = Member::new(self, 0, seed);
        let positions: Vec<(i32, Offset)> = (0..partitions).map(|partition| (partition, Offset::ZERO)).collect();
        while !member.commit(None, &positions).await {
            member.coordinating.back_off().await;
        }
    }

    /// Takes part in the group for ever.
    pub(crate) async fn join(self, name: i64, seed: u64) {
        let mut member = Member::new(self.clone(), name, seed);
        loop {
            member.take_part().await;
            if !self.stopping() && member.coordinating.dice.random_ratio(1, 4) {
                member.go_away().await;
            }
            member.coordinating.back_off().await;
        }
    }
}

impl Member {
    fn new(clients: Clients, name: i64, seed: u64) -> Self {
        Self {
            name,
            coordinating: Client::new(clients.clone(), seed),
            reading: Client::new(clients, seed ^ 0x5555),
            coordinator: None,
            member_id: StrBytes::default(),
        }
    }

    /// From a join to the end of the generation.
    async fn take_part(&mut self) {
        let Some(joined) = self.join().await else { return };
        let generation = Generation {
            id: joined.generation_id,
            protocol: joined.protocol_name.clone(),
        };
        let Some(partitions) = self.sync(&generation, &joined).await else {
            return;
        };
        self.coordinating.clients.history.owns(Ownership {
            generation: generation.id,
            member: self.member_id.to_string(),
            partitions: partitions.clone(),
        });
        let Some(cursors) = self.committed(&partitions).await else {
            return;
        };
        self.consume(&generation, cursors).await;
    }

    /// Reads, commits and heartbeats until the generation is over for this member.
    async fn consume(&mut self, generation: &Generation, mut cursors: Vec<Cursor>) {
        let mut committed: Vec<Offset> = cursors.iter().map(|cursor| cursor.position).collect();
        let (mut heartbeat_at, mut commit_at) = (Instant::now(), Instant::now() + COMMIT_EVERY);
        loop {
            for cursor in &mut cursors {
                cursor.poll(&mut self.reading).await;
            }
            self.reading.rest(5..120).await;
            if Instant::now() >= heartbeat_at {
                heartbeat_at = Instant::now() + HEARTBEAT_EVERY;
                let request = HeartbeatRequest::default()
                    .with_group_id(group())
                    .with_generation_id(generation.id)
                    .with_member_id(self.member_id.clone());
                let code = self
                    .ask(HEARTBEAT_VERSION, &request, ANSWER, |answer| answer.error_code)
                    .await
                    .map(|(code, _)| code);
                if !self.goes_on("Heartbeat", code).await {
                    return;
                }
            }
            let positions: Vec<(i32, Offset)> = cursors
                .iter()
                .zip(&committed)
                .filter(|(cursor, committed)| cursor.position > **committed)
                .map(|(cursor, _)| (cursor.partition, cursor.position))
                .collect();
            if Instant::now() >= commit_at && !positions.is_empty() {
                commit_at = Instant::now() + COMMIT_EVERY;
                if !self.commit(Some(generation), &positions).await {
                    return;
                }
                committed = cursors.iter().map(|cursor| cursor.position).collect();
            }
            if !self.reading.clients.stopping() && self.reading.dice.random_ratio(1, 250) {
                return;
            }
        }
    }

    /// Leaves, or dies without a word; back as somebody new.
    async fn go_away(&mut self) {
        if self.coordinating.dice.random_bool(0.5) {
            let member = MemberIdentity::default().with_member_id(self.member_id.clone());
            let request = LeaveGroupRequest::default()
                .with_group_id(group())
                .with_members(vec![member]);
            let code = self
                .ask(LEAVE_VERSION, &request, ANSWER, |answer| answer.error_code)
                .await
                .map(|(code, _)| code);
            self.goes_on("LeaveGroup", code).await;
        }
        let clients = self.coordinating.clients.clone();
        let seed = self.coordinating.dice.random();
        *self = Self::new(clients, self.name, seed);
        self.coordinating.rest(100..2_000).await;
    }

    /// Asks the coordinator, found first if need be; the answer with its code.
    async fn ask<R: Request + Encodable>(
        &mut self,
        version: i16,
        request: &R,
        within: Duration,
        code: fn(&R::Response) -> i16,
    ) -> Option<(ErrorCode, R::Response)> {
        let node = match self.coordinator {
            Some(node) => node,
            None => self.find_coordinator().await?,
        };
        self.coordinator = Some(node);
        let answer = self.coordinating.call(node, version, request, within).await.ok()?;
        Some((ErrorCode::from_code(code(&answer)), answer))
    }

    async fn find_coordinator(&mut self) -> Option<NodeId> {
        self.coordinating.refresh().await;
        let node = self.coordinating.any_broker();
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(GROUP)]);
        // The first one to ask waits until the offsets topic is made.
        let within = Duration::from_millis(8_000);
        let answer = self
            .coordinating
            .call(node, FIND_VERSION, &request, within)
            .await
            .ok()?;
        let found = answer.coordinators.first()?;
        match ErrorCode::from_code(found.error_code) {
            ErrorCode::None => Some(found.node_id.0),
            code => {
                self.goes_on("FindCoordinator", Some(code)).await;
                None
            }
        }
    }

    /// What a code means (GRP-3): whether the member goes on as it is. `None`: no answer.
    async fn goes_on(&mut self, api: &str, code: Option<ErrorCode>) -> bool {
        let Some(code) = code else {
            self.coordinator = None;
            self.coordinating.back_off().await;
            return false;
        };
        match code {
            ErrorCode::None => return true,
            ErrorCode::CoordinatorLoadInProgress => {}
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => self.coordinator = None,
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration if api != "FindCoordinator" => {}
            ErrorCode::UnknownMemberId if api != "FindCoordinator" => self.member_id = StrBytes::default(),
            other => self.odd(&format!("{api} was answered with {other}")),
        }
        self.coordinating.back_off().await;
        false
    }

    async fn join(&mut self) -> Option<JoinGroupResponse> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(ROUND_ROBIN))
            .with_metadata(subscription());
        let request = JoinGroupRequest::default()
            .with_group_id(group())
            .with_session_timeout_ms(SESSION_MS)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_member_id(self.member_id.clone())
            .with_protocol_type(text(CONSUMER))
            .with_protocols(vec![protocol]);
        let answer = self
            .ask(JOIN_VERSION, &request, REBALANCE_ANSWER, |answer| answer.error_code)
            .await;
        if let Some((ErrorCode::MemberIdRequired, answer)) = &answer {
            self.member_id = answer.member_id.clone();
            return None;
        }
        let code = answer.as_ref().map(|(code, _)| *code);
        if !self.goes_on("JoinGroup", code).await {
            return None;
        }
        let (_, joined) = answer?;
        self.member_id = joined.member_id.clone();
        Some(joined)
    }

    async fn sync(&mut self, generation: &Generation, joined: &JoinGroupResponse) -> Option<Vec<i32>> {
        let mut assignments = Vec::new();
        if joined.leader == self.member_id && !joined.skip_assignment {
            while self.reading.partitions().is_empty() {
                self.reading.refresh().await;
                self.reading.back_off().await;
            }
            let members: Vec<StrBytes> = joined.members.iter().map(|member| member.member_id.clone()).collect();
            assignments = assign(&members, &self.reading.partitions())
                .into_iter()
                .map(|(member, assignment)| {
                    SyncGroupRequestAssignment::default()
                        .with_member_id(member)
                        .with_assignment(assignment)
                })
                .collect();
        }
        let request = SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(generation.id)
            .with_member_id(self.member_id.clone())
            .with_protocol_type(Some(text(CONSUMER)))
            .with_protocol_name(generation.protocol.clone())
            .with_assignments(assignments);
        let answer = self
            .ask(SYNC_VERSION, &request, REBALANCE_ANSWER, |answer| answer.error_code)
            .await;
        let code = answer.as_ref().map(|(code, _)| *code);
        if !self.goes_on("SyncGroup", code).await {
            return None;
        }
        let (_, answer) = answer?;
        let partitions = assigned(answer.assignment);
        if partitions.is_none() {
            self.odd("SyncGroup was answered without an assignment");
        }
        partitions
    }

    /// Where the group stands in these partitions.
    async fn committed(&mut self, partitions: &[i32]) -> Option<Vec<Cursor>> {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(TopicName(text(TOPIC)))
            .with_partition_indexes(partitions.to_vec());
        let request = OffsetFetchRequest::default().with_groups(vec![
            OffsetFetchRequestGroup::default()
                .with_group_id(group())
                .with_topics(Some(vec![topic])),
        ]);
        let history = self.coordinating.clients.history.clone();
        loop {
            let bounds = history.offsets_answered();
            let answer = self
                .ask(FETCH_VERSION, &request, ANSWER, |answer| {
                    answer.groups.first().map_or(-1, |group| group.error_code)
                })
                .await;
            let code = answer.as_ref().map(|(code, _)| *code);
            let loading = code == Some(ErrorCode::CoordinatorLoadInProgress);
            if !self.goes_on("OffsetFetch", code).await {
                if loading {
                    continue;
                }
                return None;
            }
            let (_, answer) = answer?;
            let parts = answer
                .groups
                .iter()
                .flat_map(|group| &group.topics)
                .flat_map(|topic| &topic.partitions);
            let mut cursors = Vec::new();
            for part in parts {
                let offset = Offset(part.committed_offset);
                history.offset_fetched(part.partition_index, offset, &bounds);
                let consumer = 10_000 + self.name;
                let cursor = Cursor::new(
                    &mut self.reading,
                    consumer,
                    part.partition_index,
                    offset.max(Offset::ZERO),
                );
                cursors.push(cursor);
            }
            return Some(cursors);
        }
    }

    /// Commits positions; false when it has to join again, or doesn't know.
    async fn commit(&mut self, generation: Option<&Generation>, positions: &[(i32, Offset)]) -> bool {
        let partitions = positions.iter().map(|(partition, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(offset.0)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(TOPIC)))
            .with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(generation.map_or(-1, |generation| generation.id))
            .with_member_id(self.member_id.clone())
            .with_topics(vec![topic]);
        let history = self.coordinating.clients.history.clone();
        let bounds = history.offsets_answered();
        history.offsets_sent(positions);
        let answer = self
            .ask(COMMIT_VERSION, &request, ANSWER, |answer| {
                let parts = answer.topics.iter().flat_map(|topic| &topic.partitions);
                // All parts share the group's error, if there is one.
                parts.map(|part| part.error_code).find(|code| *code != 0).unwrap_or(0)
            })
            .await;
        let code = answer.map(|(code, _)| code);
        if code == Some(ErrorCode::UnknownTopicOrPartition) && generation.is_none() {
            // A broker that hasn't heard of the topic yet.
            return false;
        }
        if code == Some(ErrorCode::None) {
            history.offsets_committed(positions, &bounds);
        }
        self.goes_on("OffsetCommit", code).await
    }

    fn odd(&self, what: &str) {
        self.coordinating
            .clients
            .history
            .odd("GRP-3", format!("member {} ({}): {what}", self.name, self.member_id));
    }
}
