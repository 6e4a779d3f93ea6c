//! Members of consumer groups that join, work, crash and come back at random, while topics come and go, appends fail, commits lag and
//! coordinators die. Whatever happens, what a living member reads is written down as its own; once it is quiet, every partition is
//! read by exactly one of those who want it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use types::{ErrorCode, PartitionIndex, TopicId};

use super::cluster::TestCluster;
use super::consumer_groups::{heartbeat, joining};
use super::shell::Shell;
use crate::record::Assignment;
use crate::*;

const TOPICS: [&str; 3] = ["a", "b", "c"];
/// Which topics each of the clients wants; the last one gives a pattern.
const WANTS: [&[&str]; 5] = [&["a", "b"], &["a", "b"], &["b", "c"], &["a"], &[]];
const PATTERN: &str = "[bc]";

#[derive(Debug, Default)]
struct Client {
    alive: bool,
    /// Counts lives: each has a member id of its own.
    life: u32,
    epoch: i32,
    owned: Assignment,
    asked: Option<ReplyToken>,
    /// After an error it says all it wants.
    says_all: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Act(usize),
    Crash(usize),
    Start(usize),
    Leave(usize),
    Pass(i64),
    Grow(usize, i32),
    Delete(usize),
    CommitLog,
    Refuse(bool),
    InstantCommit(bool),
    FailOver(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0_usize..WANTS.len();
    let topic = 0_usize..TOPICS.len();
    prop_oneof![
        24 => client.clone().prop_map(Step::Act),
        1 => client.clone().prop_map(Step::Crash),
        4 => client.clone().prop_map(Step::Start),
        1 => client.prop_map(Step::Leave),
        3 => (0_i64..8_000).prop_map(Step::Pass),
        1 => (0_i64..70_000).prop_map(Step::Pass),
        1 => (topic.clone(), 1_i32..6).prop_map(|(topic, partitions)| Step::Grow(topic, partitions)),
        1 => topic.prop_map(Step::Delete),
        2 => Just(Step::CommitLog),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => any::<bool>().prop_map(Step::InstantCommit),
        1 => any::<bool>().prop_map(Step::FailOver),
    ]
}

struct World {
    shell: Shell,
    cluster: TestCluster,
    clients: Vec<Client>,
}

impl World {
    fn new() -> Self {
        Self {
            shell: Shell::new(GroupConfig::default()),
            cluster: TestCluster::with(&[("a", 3), ("b", 2)]),
            clients: WANTS.iter().map(|_| Client::default()).collect(),
        }
    }

    /// The fourth is a static member.
    fn instance(at: usize) -> Option<String> {
        (at == 3).then(|| "i3".to_owned())
    }

    fn member_id(&self, at: usize) -> String {
        format!("m{at}-{}", self.clients[at].life)
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Act(at) => self.act(at),
            Step::Crash(at) => self.clients[at].alive = false,
            Step::Start(at) => {
                if !self.clients[at].alive {
                    let life = self.clients[at].life + 1;
                    self.clients[at] = Client {
                        alive: true,
                        life,
                        ..Client::default()
                    };
                }
            }
            Step::Leave(at) => self.leave(at),
            Step::Pass(millis) => self.shell.pass(millis),
            Step::Grow(topic, partitions) => self.cluster.set(TOPICS[topic], partitions),
            Step::Delete(topic) => self.cluster.delete(TOPICS[topic]),
            Step::CommitLog => self.shell.commit(),
            Step::Refuse(refuse) => self.shell.refuse_appends = refuse.then_some(ErrorCode::NotEnoughReplicas),
            Step::InstantCommit(instant) => self.shell.instant_commit = instant,
            Step::FailOver(whole) => {
                let high_watermark = usize::try_from(self.shell.high_watermark.0).unwrap();
                let end = if whole { self.shell.log.len() } else { high_watermark };
                self.shell.fail_over(end);
            }
        }
        self.check();
    }

    fn leave(&mut self, at: usize) {
        if self.clients[at].alive && self.clients[at].epoch > 0 {
            let away = Self::instance(at).is_some();
            let request = ConsumerGroupHeartbeatRequest {
                instance_id: Self::instance(at),
                ..heartbeat(&self.member_id(at), if away { -2 } else { -1 })
            };
            self.shell.ask_consumer_heartbeat(&request, &self.cluster);
            self.clients[at].alive = false;
        }
    }

    /// Takes the answer that is there, or asks.
    fn act(&mut self, at: usize) {
        if !self.clients[at].alive {
            return;
        }
        if let Some(token) = self.clients[at].asked {
            let Some(Answer::ConsumerGroupHeartbeat(response)) = self.shell.answer(token).cloned() else {
                return;
            };
            self.clients[at].asked = None;
            self.take(at, response);
            return;
        }
        let client = &self.clients[at];
        let member_id = self.member_id(at);
        let says_all = client.epoch == 0 || client.says_all;
        let mut request = if says_all {
            ConsumerGroupHeartbeatRequest {
                member_epoch: client.epoch,
                ..joining(&member_id, WANTS[at])
            }
        } else {
            heartbeat(&member_id, client.epoch)
        };
        if WANTS[at].is_empty() && says_all {
            request.topics = None;
            request.pattern = Some(PATTERN.to_owned());
        }
        request.owned = Some(client.owned.clone());
        request.instance_id = Self::instance(at);
        let token = self.shell.ask_consumer_heartbeat(&request, &self.cluster);
        self.clients[at].asked = Some(token);
    }

    fn take(&mut self, at: usize, response: ConsumerGroupHeartbeatResponse) {
        let client = &mut self.clients[at];
        client.says_all = !response.error.is_none();
        match response.error {
            ErrorCode::None => {
                client.epoch = response.member_epoch;
                if let Some(assignment) = response.assignment {
                    client.owned = assignment;
                }
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch | ErrorCode::GroupIdNotFound => {
                client.epoch = 0;
                client.owned.clear();
            }
            ErrorCode::FencedInstanceId => client.alive = false,
            ErrorCode::UnreleasedInstanceId | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {}
            other => panic!("unexpected {other:?}: {:?}", response.message),
        }
    }

    /// What a member reads is held by it in the coordinator's book, unless it was given up and doesn't know yet.
    fn check(&self) {
        let Some(group) = self.shell.shard.consumer_groups.get("g") else {
            return;
        };
        for (at, client) in self.clients.iter().enumerate().filter(|(_, client)| client.alive) {
            let Some(member) = group.members.get(&self.member_id(at)) else {
                continue;
            };
            let held = |topic: &TopicId, partition: &PartitionIndex| {
                let of = |side: &crate::record::HeldPartitions| {
                    side.get(topic)
                        .is_some_and(|partitions| partitions.contains_key(partition))
                };
                of(&member.current.assigned) || of(&member.current.pending_revocation)
            };
            for (topic, partitions) in &client.owned {
                for partition in partitions {
                    assert!(
                        held(topic, partition),
                        "client {at} reads {topic:?}-{partition}, which is not its own"
                    );
                }
            }
        }
    }

    fn settle(&mut self) {
        self.shell.refuse_appends = None;
        self.shell.instant_commit = true;
        self.shell.commit();
        for _ in 0..40 {
            for at in 0..self.clients.len() {
                self.act(at);
                self.act(at);
                self.check();
            }
            self.shell.pass(5_000);
        }
    }

    fn wanted(&self) -> BTreeMap<TopicId, i32> {
        let mut wanted = BTreeMap::new();
        for (at, _) in self.clients.iter().enumerate().filter(|(_, client)| client.alive) {
            let names = if WANTS[at].is_empty() {
                &["b", "c"][..]
            } else {
                WANTS[at]
            };
            for view in names.iter().filter_map(|name| self.cluster.view(name)) {
                wanted.insert(view.id, view.partitions);
            }
        }
        wanted
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn when_it_is_quiet_every_partition_has_one_reader(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
        }
        world.settle();
        let mut read = BTreeSet::new();
        for client in world.clients.iter().filter(|client| client.alive) {
            for (topic, partitions) in &client.owned {
                for partition in partitions {
                    prop_assert!(read.insert((*topic, *partition)), "read twice: {topic:?}-{partition}");
                }
            }
        }
        let wanted: BTreeSet<(TopicId, PartitionIndex)> = world
            .wanted()
            .into_iter()
            .flat_map(|(topic, partitions)| (0..partitions).map(move |partition| (topic, PartitionIndex(partition))))
            .collect();
        prop_assert_eq!(read, wanted);
        if let Some(group) = world.shell.shard.consumer_groups.get("g") {
            let alive = world.clients.iter().filter(|client| client.alive).count();
            prop_assert_eq!(group.members.len(), alive);
            let stable = matches!(group.state(), ConsumerGroupState::Stable | ConsumerGroupState::Empty);
            prop_assert!(stable, "{:?}", group.state());
        }
        world.shell.check_compaction();
        prop_assert!(world.shell.loaded().same_durable_state(&world.shell.shard));
    }
}
