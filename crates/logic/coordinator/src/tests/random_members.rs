//! Members that join, work, crash and come back at random, with appends that fail, commits that lag and coordinators
//! that die: whatever happened, once it is quiet the group is stable with all who live.

use bytes::Bytes;
use proptest::prelude::*;
use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicName};

use super::cluster::TestCluster;
use super::shell::{Shell, join};
use crate::*;

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Dead,
    Out,
    Joining(ReplyToken),
    Joined(JoinGroupResponse),
    Syncing(ReplyToken, i32),
    Working(i32),
}

#[derive(Debug)]
struct Client {
    index: usize,
    instance: Option<String>,
    member_id: String,
    phase: Phase,
    commit: Option<(ReplyToken, i64)>,
    acknowledged: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Act(usize),
    Crash(usize),
    Start(usize),
    Leave(usize),
    Reconnect(usize),
    Commit(usize),
    Pass(i64),
    CommitLog,
    Refuse(bool),
    InstantCommit(bool),
    FailOver(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0_usize..5;
    prop_oneof![
        12 => client.clone().prop_map(Step::Act),
        2 => client.clone().prop_map(Step::Crash),
        4 => client.clone().prop_map(Step::Start),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.clone().prop_map(Step::Reconnect),
        3 => client.prop_map(Step::Commit),
        4 => (0_i64..4_000).prop_map(Step::Pass),
        1 => (0_i64..40_000).prop_map(Step::Pass),
        2 => Just(Step::CommitLog),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => any::<bool>().prop_map(Step::InstantCommit),
        1 => any::<bool>().prop_map(Step::FailOver),
    ]
}

struct World {
    shell: Shell,
    clients: Vec<Client>,
    issued: u64,
    committed: i64,
}

impl World {
    fn new() -> Self {
        let client = |index| Client {
            index,
            instance: (index >= 3).then(|| format!("i{index}")),
            member_id: String::new(),
            phase: Phase::Dead,
            commit: None,
            acknowledged: -1,
        };
        let config = GroupConfig {
            max_size: 4,
            ..GroupConfig::default()
        };
        Self {
            shell: Shell::new(config),
            clients: (0..5).map(client).collect(),
            issued: 0,
            committed: 0,
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Act(at) => self.act(at),
            Step::Crash(at) => self.clients[at].phase = Phase::Dead,
            Step::Start(at) => self.start(at),
            Step::Leave(at) => {
                if self.clients[at].phase != Phase::Dead && !self.clients[at].member_id.is_empty() {
                    let member_id = self.clients[at].member_id.clone();
                    self.shell
                        .ask_to_leave(&[(&member_id, self.clients[at].instance.clone().as_deref())]);
                    self.clients[at].phase = Phase::Dead;
                }
            }
            Step::Reconnect(at) => {
                if self.clients[at].phase != Phase::Dead {
                    self.clients[at].phase = Phase::Out;
                }
            }
            Step::Commit(at) => self.commit_offset(at),
            Step::Pass(millis) => self.shell.pass(millis),
            Step::CommitLog => self.shell.commit(),
            Step::Refuse(refuse) => self.shell.refuse_appends = refuse.then_some(ErrorCode::NotEnoughReplicas),
            Step::InstantCommit(instant) => self.shell.instant_commit = instant,
            Step::FailOver(whole) => {
                let high_watermark = usize::try_from(self.shell.high_watermark.0).unwrap();
                self.shell
                    .fail_over(if whole { self.shell.log.len() } else { high_watermark });
            }
        }
        for at in 0..self.clients.len() {
            self.receive(at);
        }
    }

    fn start(&mut self, at: usize) {
        if self.clients[at].phase == Phase::Dead {
            self.clients[at].member_id.clear();
            self.clients[at].phase = Phase::Out;
        }
    }

    fn act(&mut self, at: usize) {
        let client = &self.clients[at];
        let (member_id, instance) = (client.member_id.clone(), client.instance.clone());
        match client.phase.clone() {
            Phase::Out => {
                self.issued += 1;
                let token = self.shell.join(JoinGroupRequest {
                    api_version: if at == 0 { 3 } else { 9 },
                    group_instance_id: instance,
                    ..join(&member_id, &format!("c{at}-{}", self.issued))
                });
                self.clients[at].phase = Phase::Joining(token);
            }
            Phase::Joined(joined) => {
                let assign = |member: &JoinGroupMember| MemberAssignment {
                    member_id: member.member_id.clone(),
                    assignment: Bytes::from(format!("{}:{}", joined.generation_id, member.member_id)),
                };
                let leads = !joined.skip_assignment;
                let token = self.shell.token();
                let request = SyncGroupRequest {
                    group_id: "g".into(),
                    generation_id: joined.generation_id,
                    member_id,
                    group_instance_id: instance,
                    protocol_type: joined.protocol_type.clone(),
                    protocol_name: joined.protocol_name.clone(),
                    assignments: joined.members.iter().filter(|_| leads).map(assign).collect(),
                };
                let effects = self
                    .shell
                    .shard
                    .sync_group(self.shell.now, token, request, &TestCluster::default());
                self.shell.run(effects);
                self.clients[at].phase = Phase::Syncing(token, joined.generation_id);
            }
            Phase::Working(generation) => {
                let error = self.shell.heartbeat(&member_id, generation);
                self.on_error(at, error);
            }
            Phase::Dead | Phase::Joining(_) | Phase::Syncing(..) => {}
        }
    }

    fn on_error(&mut self, at: usize, error: ErrorCode) {
        if matches!(error, ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId) {
            self.clients[at].member_id.clear();
        }
        if !error.is_none() {
            self.clients[at].phase = Phase::Out;
        }
    }

    fn commit_offset(&mut self, at: usize) {
        let Phase::Working(generation) = self.clients[at].phase else {
            return;
        };
        self.committed += 1;
        let token = self.shell.token();
        let request = OffsetCommitRequest {
            api_version: 8,
            group_id: "g".into(),
            generation_id: generation,
            member_id: self.clients[at].member_id.clone(),
            group_instance_id: self.clients[at].instance.clone(),
            retention_time_ms: -1,
            offsets: vec![OffsetToCommit {
                topic: TopicName::new("t"),
                partition: PartitionIndex(i32::try_from(at).unwrap()),
                offset: Offset(self.committed),
                leader_epoch: LeaderEpoch(1),
                metadata: None,
            }],
        };
        let effects = self.shell.shard.offset_commit(self.shell.now, token, request);
        self.shell.run(effects);
        self.clients[at].commit = Some((token, self.committed));
    }

    fn receive(&mut self, at: usize) {
        if let Some((token, offset)) = self.clients[at].commit
            && let Some(Answer::OffsetCommit(response)) = self.shell.answer(token)
        {
            if response.partitions[0].error.is_none() {
                self.clients[at].acknowledged = self.clients[at].acknowledged.max(offset);
            }
            self.clients[at].commit = None;
        }
        match self.clients[at].phase {
            Phase::Joining(token) => {
                let Some(Answer::JoinGroup(joined)) = self.shell.answer(token).cloned() else {
                    return;
                };
                if joined.error.is_none() {
                    self.clients[at].member_id = joined.member_id.clone();
                    self.clients[at].phase = Phase::Joined(joined);
                } else {
                    if joined.error == ErrorCode::MemberIdRequired {
                        self.clients[at].member_id = joined.member_id;
                    }
                    self.on_error(at, joined.error);
                }
            }
            Phase::Syncing(token, generation) => {
                let Some(Answer::SyncGroup(synced)) = self.shell.answer(token).cloned() else {
                    return;
                };
                if synced.error.is_none() {
                    let text = String::from_utf8(synced.assignment.to_vec()).unwrap();
                    let client = &self.clients[at];
                    assert!(
                        text.starts_with(&format!("{generation}:")),
                        "GRP-4: {text} in generation {generation}"
                    );
                    assert!(
                        client.instance.is_some() || text.ends_with(&format!(":{}", client.member_id)),
                        "{text}"
                    );
                    self.clients[at].phase = Phase::Working(generation);
                } else {
                    self.on_error(at, synced.error);
                }
            }
            Phase::Dead | Phase::Out | Phase::Joined(_) | Phase::Working(_) => {}
        }
    }

    /// Four members that work, two of them static.
    fn run_in(&mut self) {
        for at in 1..5 {
            self.apply(&Step::Start(at));
        }
        for _ in 0..20 {
            for at in 1..5 {
                self.apply(&Step::Act(at));
            }
            self.apply(&Step::Pass(1_000));
        }
        assert!(
            self.clients[1..]
                .iter()
                .all(|client| matches!(client.phase, Phase::Working(_)))
        );
    }

    /// Everything works from now on; the dead stay dead.
    fn settle(&mut self) {
        for step in [Step::Refuse(false), Step::InstantCommit(true), Step::CommitLog] {
            self.apply(&step);
        }
        // The limit holds one fewer than there are.
        if self.clients.iter().all(|client| client.phase != Phase::Dead) {
            self.apply(&Step::Crash(0));
        }
        // A member that never got an answer is given up after five minutes; then its rebalance has to end.
        for _ in 0..450 {
            for at in 0..self.clients.len() {
                self.apply(&Step::Act(at));
            }
            self.apply(&Step::Pass(1_000));
        }
    }

    fn check(&mut self) {
        let alive: Vec<_> = self
            .clients
            .iter()
            .filter(|client| client.phase != Phase::Dead)
            .collect();
        let group = self.shell.shard.check_invariants();
        assert_eq!(group, Ok(()));
        let mut expected: Vec<_> = alive.iter().map(|client| client.member_id.clone()).collect();
        expected.sort();
        for client in &alive {
            assert!(
                matches!(client.phase, Phase::Working(_)),
                "client {} is {:?}",
                client.index,
                client.phase
            );
        }
        let wanted = if expected.is_empty() {
            [GroupState::Empty, GroupState::Dead]
        } else {
            [GroupState::Stable; 2]
        };
        let described = self.shell.describe();
        assert!(wanted.contains(&described.state), "{:?}", described.state);
        let members: Vec<_> = described
            .members
            .iter()
            .map(|member| member.member_id.clone())
            .collect();
        assert_eq!(members, expected);
        assert!(self.shell.loaded().same_durable_state(&self.shell.shard));
        let token = self.shell.token();
        let effects = self.shell.shard.offset_fetch(
            token,
            OffsetFetchRequest {
                group_id: "g".into(),
                topics: None,
                member: None,
            },
        );
        self.shell.run(effects);
        let Some(Answer::OffsetFetch(fetched)) = self.shell.answer(token).cloned() else {
            panic!("a fetch is answered");
        };
        for client in self.clients.iter().filter(|client| client.acknowledged >= 0) {
            let kept = fetched
                .offsets
                .iter()
                .find(|each| each.partition.0 == i32::try_from(client.index).unwrap());
            assert!(
                kept.is_some_and(|kept| kept.offset.0 >= client.acknowledged),
                "an acknowledged commit is lost"
            );
        }
        self.shell.fail_over(self.shell.log.len());
        assert_eq!(
            self.shell.delivered.len() as u64,
            self.shell.last_token,
            "GRP-3: every token has its answer"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_group_becomes_stable_with_all_who_live(
        running in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new();
        if running {
            world.run_in();
        }
        for step in &steps {
            world.apply(step);
        }
        world.settle();
        world.check();
    }
}
