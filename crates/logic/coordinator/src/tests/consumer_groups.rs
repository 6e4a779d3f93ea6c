//! The life of consumer groups, step by step.

use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicName};

use super::cluster::TestCluster;
use super::shell::{Shell, join};
use crate::consumer::{ClusterView as _, decode_assignment};
use crate::record::Assignment;
use crate::*;

pub(super) fn heartbeat(member_id: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        api_version: 1,
        group_id: "g".into(),
        member_id: member_id.into(),
        fresh_member_id: "fresh".into(),
        member_epoch: epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: -1,
        topics: None,
        pattern: None,
        assignor: None,
        owned: None,
        client_id: "c".into(),
        client_host: "/h".into(),
    }
}

pub(super) fn joining(member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        topics: Some(topics.iter().map(|name| TopicName::new(name)).collect()),
        owned: Some(Assignment::new()),
        ..heartbeat(member_id, 0)
    }
}

struct Group {
    shell: Shell,
    cluster: TestCluster,
}

impl Group {
    fn new(topics: &[(&str, i32)]) -> Self {
        Self {
            shell: Shell::new(GroupConfig::default()),
            cluster: TestCluster::with(topics),
        }
    }

    fn send(&mut self, request: &ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.shell.consumer_heartbeat(request, &self.cluster)
    }

    /// Sends what a member holds; returns its epoch and what it is told to hold.
    fn tell(&mut self, member_id: &str, epoch: i32, owned: &Assignment) -> (i32, Option<Assignment>) {
        let request = ConsumerGroupHeartbeatRequest {
            owned: Some(owned.clone()),
            ..heartbeat(member_id, epoch)
        };
        let response = self.send(&request);
        assert_eq!(response.error, ErrorCode::None, "{response:?}");
        (response.member_epoch, response.assignment)
    }

    fn describe(&mut self) -> ConsumerGroupDescribeResponse {
        let token = self.shell.token();
        let request = ConsumerGroupDescribeRequest { group_id: "g".into() };
        let effects = self.shell.shard.consumer_group_describe(token, request);
        self.shell.run(effects);
        match self.shell.answer(token) {
            Some(Answer::ConsumerGroupDescribe(response)) => response.clone(),
            other => panic!("no description but {other:?}"),
        }
    }
}

fn count(assignment: &Assignment) -> usize {
    assignment.values().map(std::collections::BTreeSet::len).sum()
}

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut group = Group::new(&[("t", 3)]);
    let joined = group.send(&joining("a", &["t"]));
    assert_eq!(
        (joined.error, joined.member_epoch, joined.heartbeat_interval_ms),
        (ErrorCode::None, 2, 5_000)
    );
    assert_eq!(count(&joined.assignment.unwrap()), 3);
    let described = group.describe();
    assert_eq!(
        (described.state, described.epoch, described.target_epoch),
        (ConsumerGroupState::Stable, 2, 2)
    );
    assert_eq!(described.assignor, "uniform");
    assert!(group.shell.loaded().same_durable_state(&group.shell.shard));
}

#[test]
fn a_second_member_gets_its_share_when_the_first_has_given_it_up() {
    let mut group = Group::new(&[("t", 4)]);
    let all = group.send(&joining("a", &["t"])).assignment.unwrap();
    group.shell.pass(1_000);
    let second = group.send(&joining("b", &["t"]));
    assert_eq!(
        (second.member_epoch, second.assignment.map(|got| count(&got))),
        (3, Some(0))
    );
    assert_eq!(group.describe().state, ConsumerGroupState::Reconciling);
    // The first learns of it, and stays in its epoch until it has given up.
    let (epoch, kept) = group.tell("a", 2, &all);
    let kept = kept.unwrap();
    assert_eq!((epoch, count(&kept)), (2, 2));
    assert_eq!(group.tell("b", 3, &Assignment::new()), (3, None));
    assert_eq!(group.tell("a", 2, &kept), (3, None));
    let (epoch, got) = group.tell("b", 3, &Assignment::new());
    assert_eq!((epoch, got.map(|got| count(&got))), (3, Some(2)));
    assert_eq!(group.describe().state, ConsumerGroupState::Stable);
}

#[test]
fn members_that_come_within_the_assignment_interval_are_assigned_together() {
    let mut group = Group::new(&[("t", 3)]);
    let all = group.send(&joining("a", &["t"])).assignment.unwrap();
    // The second and the third wait in the target's epoch, with nothing.
    for member in ["b", "c"] {
        let joined = group.send(&joining(member, &["t"]));
        assert_eq!((joined.member_epoch, joined.assignment), (2, Some(Assignment::new())));
    }
    assert_eq!(group.describe().state, ConsumerGroupState::Assigning);
    group.shell.pass(999);
    assert_eq!(group.tell("a", 2, &all), (2, None));
    group.shell.pass(1);
    let (_, kept) = group.tell("a", 2, &all);
    assert_eq!(kept.map(|kept| count(&kept)), Some(1));
    let described = group.describe();
    assert_eq!((described.epoch, described.target_epoch), (4, 4));
}

#[test]
fn a_classic_member_waits_for_the_assignment_interval_without_being_sent_back() {
    let mut group = Group::new(&[("t", 2)]);
    group.shell.cluster = group.cluster.clone();
    let all = group.send(&joining("a", &["t"])).assignment.unwrap();
    let token = group.shell.join(join("b", "b"));
    assert_eq!(group.shell.joined(token).error, ErrorCode::None);
    assert_eq!(group.shell.joined(token).generation_id, 2);
    assert_eq!(group.describe().state, ConsumerGroupState::Assigning);
    // Nothing for it yet, and nothing to be told.
    let token = group.shell.sync("b", 2, &[]);
    assert_eq!(group.shell.synced(token).error, ErrorCode::None);
    assert_eq!(group.shell.heartbeat("b", 2), ErrorCode::None);
    group.shell.pass(1_000);
    assert_eq!(group.shell.heartbeat("b", 2), ErrorCode::RebalanceInProgress);
    let token = group.shell.join(join("b", "b"));
    assert_eq!(group.shell.joined(token).generation_id, 3);
    let (_, kept) = group.tell("a", 2, &all);
    assert_eq!(kept.map(|kept| count(&kept)), Some(1));
}

#[test]
fn a_member_that_does_not_give_up_in_time_is_removed() {
    let mut group = Group::new(&[("t", 2)]);
    let all = group.send(&joining("a", &["t"])).assignment.unwrap();
    group.send(&joining("b", &["t"]));
    group.shell.pass(1_000);
    group.tell("b", 2, &Assignment::new());
    for _ in 0..12 {
        group.tell("a", 2, &all);
        group.tell("b", 3, &Assignment::new());
        group.shell.pass(5_000);
    }
    let refused = group.send(&heartbeat("a", 2));
    assert_eq!(refused.error, ErrorCode::UnknownMemberId);
    let (_, got) = group.tell("b", 3, &Assignment::new());
    assert_eq!(got.map(|got| count(&got)), Some(2));
}

#[test]
fn a_silent_member_is_removed_and_a_new_coordinator_waits_a_full_session() {
    let mut group = Group::new(&[("t", 2)]);
    group.send(&joining("a", &["t"]));
    group.shell.pass(40_000);
    let end = group.shell.log.len();
    group.shell.fail_over(end);
    group.shell.pass(44_000);
    assert_eq!(group.describe().members.len(), 1);
    group.shell.pass(2_000);
    assert_eq!(group.describe().state, ConsumerGroupState::Empty);
}

#[test]
fn a_groups_own_session_timeout_holds_with_a_new_coordinator_too() {
    let mut group = Group::new(&[("t", 2)]);
    group.cluster.overrides.session_timeout_ms = Some(100_000);
    group.shell.cluster = group.cluster.clone();
    group.send(&joining("a", &["t"]));
    let end = group.shell.log.len();
    group.shell.fail_over(end);
    group.shell.pass(99_999);
    assert_eq!(group.describe().members.len(), 1);
    group.shell.pass(1);
    assert_eq!(group.describe().state, ConsumerGroupState::Empty);
}

#[test]
fn members_whose_sessions_end_together_leave_in_one_epoch() {
    let mut group = Group::new(&[("t", 4)]);
    for member in ["a", "b", "c"] {
        group.send(&joining(member, &["t"]));
    }
    let epoch = group.describe().epoch;
    group.shell.pass(45_000);
    let described = group.describe();
    assert_eq!(
        (described.state, described.epoch),
        (ConsumerGroupState::Empty, epoch + 1)
    );
}

#[test]
fn a_lost_answer_is_given_again_and_other_epochs_are_fenced() {
    let mut group = Group::new(&[("t", 2)]);
    let all = group.send(&joining("a", &["t"])).assignment.unwrap();
    group.cluster.set("t", 3);
    group.shell.pass(1_000);
    // The answer with epoch 3 is lost; what the member says next is of epoch 2.
    group.tell("a", 2, &all);
    assert_eq!(group.tell("a", 2, &all).0, 3);
    let ahead = group.send(&heartbeat("a", 9));
    assert_eq!(ahead.error, ErrorCode::FencedMemberEpoch);
    let behind = group.send(&heartbeat("a", 2));
    assert_eq!(
        behind.error,
        ErrorCode::FencedMemberEpoch,
        "it doesn't say what it holds"
    );
    let again = group.send(&joining("a", &["t"]));
    assert_eq!(
        (again.error, again.assignment.map(|got| count(&got))),
        (ErrorCode::None, Some(3))
    );
}

#[test]
fn partitions_and_topics_that_come_are_given_with_the_next_heartbeat() {
    let mut group = Group::new(&[("logs-a", 1)]);
    let request = ConsumerGroupHeartbeatRequest {
        topics: None,
        pattern: Some("logs-.*".into()),
        ..joining("a", &[])
    };
    let joined = group.send(&request);
    assert_eq!(joined.assignment.map(|got| count(&got)), Some(1));
    group.cluster.set("logs-b", 2);
    group.cluster.set("other", 2);
    group.shell.pass(1_000);
    let (epoch, got) = group.tell("a", 2, &Assignment::new());
    assert_eq!((epoch, got.map(|got| count(&got))), (3, Some(3)));
    group.cluster.delete("logs-b");
    group.shell.pass(1_000);
    let (epoch, got) = group.tell("a", 3, &Assignment::new());
    assert_eq!((epoch, got.map(|got| count(&got))), (4, Some(1)));
    let bad = ConsumerGroupHeartbeatRequest {
        pattern: Some("(".into()),
        ..joining("b", &[])
    };
    assert_eq!(group.send(&bad).error, ErrorCode::InvalidRegularExpression);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut group = Group::new(&[("t", 4)]);
    let of = |member_id: &str, epoch: i32| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..heartbeat(member_id, epoch)
    };
    let joining_as = |member_id: &str| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..joining(member_id, &["t"])
    };
    let first = group.send(&joining_as("a")).assignment;
    assert_eq!(group.send(&joining_as("b")).error, ErrorCode::UnreleasedInstanceId);
    assert_eq!(group.send(&of("a", -2)).member_epoch, -2);
    let back = group.send(&joining_as("b"));
    assert_eq!(
        (back.error, back.member_epoch, back.assignment),
        (ErrorCode::None, 2, first)
    );
    assert_eq!(group.send(&of("a", 2)).error, ErrorCode::FencedInstanceId);
    assert_eq!(group.send(&of("b", -1)).member_epoch, -1);
    assert_eq!(group.describe().state, ConsumerGroupState::Empty);
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let mut group = Group::new(&[("t", 1)]);
    let mut code = |request: ConsumerGroupHeartbeatRequest| group.send(&request).error;
    assert_eq!(code(heartbeat("a", 1)), ErrorCode::GroupIdNotFound);
    assert_eq!(code(heartbeat("", 1)), ErrorCode::InvalidRequest);
    assert_eq!(code(heartbeat("a", 0)), ErrorCode::InvalidRequest);
    assert_eq!(code(heartbeat("a", -3)), ErrorCode::InvalidRequest);
    assert_eq!(code(heartbeat("a", i32::MIN)), ErrorCode::InvalidRequest);
    let nothing = ConsumerGroupHeartbeatRequest {
        topics: None,
        ..joining("a", &[])
    };
    assert_eq!(code(nothing), ErrorCode::InvalidRequest);
    let long = ConsumerGroupHeartbeatRequest {
        group_id: "g".repeat(40_000),
        ..joining("a", &["t"])
    };
    assert_eq!(code(long), ErrorCode::InvalidRequest);
    let unknown = ConsumerGroupHeartbeatRequest {
        assignor: Some("sticky".into()),
        ..joining("a", &["t"])
    };
    assert_eq!(code(unknown), ErrorCode::UnsupportedAssignor);
    assert_eq!(code(joining("a", &["t"])), ErrorCode::None);
    assert_eq!(code(heartbeat("b", 1)), ErrorCode::UnknownMemberId);
    assert_eq!(code(heartbeat("a", i32::MAX)), ErrorCode::FencedMemberEpoch);
}

#[test]
fn a_refused_append_leaves_no_trace() {
    let mut group = Group::new(&[("t", 1)]);
    group.shell.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    let refused = group.send(&joining("a", &["t"]));
    assert_eq!(refused.error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(group.describe().error, ErrorCode::GroupIdNotFound);
    group.shell.refuse_appends = None;
    assert_eq!(group.send(&joining("a", &["t"])).member_epoch, 2);
}

#[test]
fn commits_and_fetches_are_for_members_of_this_epoch() {
    let mut group = Group::new(&[("t", 1)]);
    group.send(&joining("a", &["t"]));
    let mut commit = |member_id: &str, epoch: i32| {
        let token = group.shell.token();
        let request = OffsetCommitRequest {
            api_version: 9,
            group_id: "g".into(),
            generation_id: epoch,
            member_id: member_id.into(),
            group_instance_id: None,
            retention_time_ms: -1,
            offsets: vec![OffsetToCommit {
                topic: TopicName::new("t"),
                partition: PartitionIndex(0),
                offset: Offset(7),
                leader_epoch: LeaderEpoch(0),
                metadata: None,
            }],
        };
        let effects = group.shell.shard.offset_commit(group.shell.now, token, request);
        group.shell.run(effects);
        match group.shell.answer(token) {
            Some(Answer::OffsetCommit(response)) => response.partitions[0].error,
            other => panic!("no answer but {other:?}"),
        }
    };
    assert_eq!(commit("a", 2), ErrorCode::None);
    assert_eq!(commit("a", 1), ErrorCode::StaleMemberEpoch);
    assert_eq!(commit("b", 2), ErrorCode::UnknownMemberId);
    assert_eq!(commit("", -1), ErrorCode::UnknownMemberId);
    let token = group.shell.token();
    let fetch = |member: Option<(String, i32)>| OffsetFetchRequest {
        group_id: "g".into(),
        topics: None,
        member,
    };
    let effects = group.shell.shard.offset_fetch(token, fetch(Some(("a".into(), 9))));
    group.shell.run(effects);
    assert!(
        matches!(group.shell.answer(token), Some(Answer::OffsetFetch(response)) if response.error == ErrorCode::StaleMemberEpoch)
    );
}

#[test]
fn a_name_changes_its_protocol_when_nobody_is_there() {
    let mut group = Group::new(&[("t", 1)]);
    group.send(&joining("a", &["t"]));
    group.send(&heartbeat("a", -1));
    let token = group.shell.join(join("", "classic"));
    assert_eq!(
        group.shell.joined(token).error,
        ErrorCode::CoordinatorLoadInProgress,
        "try again"
    );
    let knowing = JoinGroupRequest {
        api_version: 4,
        ..join("", "classic")
    };
    let token = group.shell.join(knowing);
    assert_eq!(group.shell.joined(token).error, ErrorCode::MemberIdRequired);
    // Who was given an id and hasn't joined yet, or never will, keeps nobody out.
    assert_eq!(group.send(&joining("a", &["t"])).error, ErrorCode::None);
}

/// `a` by heartbeats and `b` by joins, one partition each; what `b` has.
fn mixed() -> (Group, Assignment) {
    let mut group = Group::new(&[("t", 2)]);
    group.shell.cluster = group.cluster.clone();
    let all = group.send(&joining("a", &["t"])).assignment.unwrap();
    group.shell.join(join("b", "b"));
    group.shell.pass(1_000);
    assert_eq!(group.shell.heartbeat("b", 2), ErrorCode::RebalanceInProgress);
    group.shell.join(join("b", "b"));
    let kept = group.tell("a", 2, &all).1.unwrap();
    assert_eq!(group.tell("a", 2, &kept).0, 3);
    assert_eq!(group.shell.heartbeat("b", 3), ErrorCode::RebalanceInProgress);
    group.shell.join(join("b", "b"));
    let given_up = |topic: &types::TopicId| {
        let of_b = all[topic].difference(&kept[topic]).copied();
        (*topic, of_b.collect())
    };
    let of_b: Assignment = all.keys().map(given_up).collect();
    assert_eq!(count(&of_b), 1);
    assert_eq!(held_by_classic(&mut group, "b", 3), of_b);
    (group, of_b)
}

/// What a classic member is told to hold.
fn held_by_classic(group: &mut Group, member_id: &str, generation: i32) -> Assignment {
    let token = group.shell.sync(member_id, generation, &[]);
    let synced = group.shell.synced(token);
    assert_eq!(synced.error, ErrorCode::None);
    let assigned = decode_assignment(&synced.assignment).unwrap().assigned;
    let topics = assigned.into_iter();
    topics
        .map(|(name, partitions)| (group.cluster.topic(&name).unwrap().id, partitions.into_iter().collect()))
        .collect()
}

#[test]
fn who_comes_into_a_group_that_was_classic_for_a_moment_gets_nothing_that_another_holds() {
    for fails_over in [false, true] {
        let (mut group, of_b) = mixed();
        group.send(&heartbeat("a", -1));
        assert_eq!(group.shell.describe().state, GroupState::PreparingRebalance);
        if fails_over {
            group.shell.fail_over(group.shell.log.len());
            assert_eq!(group.shell.describe().state, GroupState::PreparingRebalance);
        }
        // Before `b` has heard of it.
        let mut joined = group.send(&joining("c", &["t"]));
        assert_eq!(joined.error, ErrorCode::None);
        for _ in 0..3 {
            let held = joined.assignment.take().unwrap_or_default();
            for (topic, partitions) in &of_b {
                let of_c = held.get(topic).into_iter().flatten();
                assert!(of_c.clone().all(|one| !partitions.contains(one)), "{held:?}");
            }
            group.shell.pass(1_000);
            joined = group.send(&heartbeat("c", joined.member_epoch));
            assert_eq!(joined.error, ErrorCode::None);
        }
    }
}

#[test]
fn a_classic_group_whose_assignor_needs_more_than_partitions_stays_classic() {
    let mut group = Group::new(&[("t", 2)]);
    group.shell.cluster = group.cluster.clone();
    let token = group.shell.join(join("", "b"));
    group.shell.pass(6_000);
    let (generation, member_id) = {
        let joined = group.shell.joined(token);
        (joined.generation_id, joined.member_id.clone())
    };
    // Version 0, no partitions, one byte of user data.
    group
        .shell
        .sync(&member_id, generation, &[(&member_id, "\0\0\0\0\0\0\0\0\0\x01u")]);
    let refused = group.send(&joining("c", &["t"]));
    assert_eq!(refused.error, ErrorCode::GroupIdNotFound);
    assert!(refused.message.unwrap().contains("custom assignor"));
    assert_eq!(group.shell.describe().state, GroupState::Stable);
    assert_eq!(group.shell.heartbeat(&member_id, generation), ErrorCode::None);
}

#[test]
fn who_makes_a_young_classic_group_a_consumer_group_gets_an_epoch_and_partitions_at_once() {
    let mut group = Group::new(&[("t", 2)]);
    group.shell.cluster = group.cluster.clone();
    // In the initial delay: generation 0.
    group.shell.join(join("", "b"));
    let joined = group.send(&joining("c", &["t"]));
    assert_eq!(joined.error, ErrorCode::None);
    assert_eq!(joined.member_epoch, 1);
    assert_eq!(count(&joined.assignment.unwrap()), 1);
}
