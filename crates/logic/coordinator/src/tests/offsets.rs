use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicName};

use super::shell::{Shell, join};
use crate::*;

const DAY_MS: i64 = 86_400_000;

fn commit_as(shell: &mut Shell, change: impl FnOnce(&mut OffsetCommitRequest)) -> ReplyToken {
    let token = shell.token();
    let mut request = OffsetCommitRequest {
        api_version: 8,
        group_id: "g".into(),
        generation_id: -1,
        member_id: String::new(),
        group_instance_id: None,
        retention_time_ms: -1,
        offsets: vec![OffsetToCommit {
            topic: TopicName::new("t"),
            partition: PartitionIndex(0),
            offset: Offset(5),
            leader_epoch: LeaderEpoch(2),
            metadata: Some("note".into()),
        }],
    };
    change(&mut request);
    let effects = shell.shard.offset_commit(shell.now, token, request);
    shell.run(effects);
    token
}

fn committed(shell: &Shell, token: ReplyToken) -> ErrorCode {
    match shell.answer(token) {
        Some(Answer::OffsetCommit(response)) => response.partitions[0].error,
        other => panic!("no commit answer but {other:?}"),
    }
}

fn fetch(shell: &mut Shell, topics: Option<Vec<TopicPartitions>>) -> Vec<FetchedOffset> {
    let token = shell.token();
    let effects = shell.shard.offset_fetch(
        token,
        OffsetFetchRequest {
            group_id: "g".into(),
            topics,
            member: None,
        },
    );
    shell.run(effects);
    match shell.answer(token) {
        Some(Answer::OffsetFetch(response)) => response.offsets.clone(),
        other => panic!("no fetch answer but {other:?}"),
    }
}

fn partitions(topic: &str, partitions: &[i32]) -> TopicPartitions {
    let partitions = partitions.iter().map(|partition| PartitionIndex(*partition)).collect();
    TopicPartitions {
        topic: TopicName::new(topic),
        partitions,
    }
}

#[test]
fn a_standalone_consumer_commits_and_fetches() {
    let mut shell = Shell::new(GroupConfig::default());
    let token = commit_as(&mut shell, |_| ());
    assert_eq!(committed(&shell, token), ErrorCode::None);
    let offsets = fetch(&mut shell, Some(vec![partitions("t", &[0, 1])]));
    assert_eq!(
        (offsets[0].offset, offsets[0].leader_epoch),
        (Offset(5), LeaderEpoch(2))
    );
    assert_eq!(offsets[0].metadata, "note");
    assert_eq!((offsets[1].offset, offsets[1].error), (Offset(-1), ErrorCode::None));
    assert_eq!(fetch(&mut shell, None).len(), 1);
    assert_eq!(shell.describe().state, GroupState::Empty);
    assert_eq!(shell.shard.offset_count(), 1);
    shell.fail_over(1);
    assert_eq!(fetch(&mut shell, None).len(), 1);
}

#[test]
fn a_commit_is_acknowledged_and_read_only_once_it_is_committed() {
    let mut shell = Shell::new(GroupConfig::default());
    shell.instant_commit = false;
    let commit = commit_as(&mut shell, |_| ());
    let read = shell.token();
    let effects = shell.shard.offset_fetch(
        read,
        OffsetFetchRequest {
            group_id: "g".into(),
            topics: None,
            member: None,
        },
    );
    shell.run(effects);
    assert!(shell.answer(commit).is_none() && shell.answer(read).is_none());
    shell.commit();
    assert!(shell.answer(commit).is_some() && shell.answer(read).is_some());
    shell.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    let refused = commit_as(&mut shell, |request| request.offsets[0].offset = Offset(9));
    assert_eq!(committed(&shell, refused), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(fetch(&mut shell, None)[0].offset, Offset(5));
}

#[test]
fn commits_are_checked_against_the_group() {
    let mut shell = Shell::new(GroupConfig::default());
    let no_group = commit_as(&mut shell, |request| request.generation_id = 1);
    assert_eq!(committed(&shell, no_group), ErrorCode::IllegalGeneration);
    let no_group = commit_as(&mut shell, |request| {
        (request.generation_id, request.api_version) = (1, 9)
    });
    assert_eq!(committed(&shell, no_group), ErrorCode::GroupIdNotFound);

    let mut shell = Shell::stable(GroupConfig::default(), &["a"]);
    let cases = [
        ("", -1, ErrorCode::UnknownMemberId),
        ("x", 1, ErrorCode::UnknownMemberId),
        ("a", 2, ErrorCode::IllegalGeneration),
        ("a", -1, ErrorCode::IllegalGeneration),
        ("a", 1, ErrorCode::None),
    ];
    for (member, generation, error) in cases {
        let token = commit_as(&mut shell, |request| {
            (request.member_id, request.generation_id) = (member.into(), generation);
        });
        assert_eq!(committed(&shell, token), error, "{member} {generation}");
    }
    let long = commit_as(&mut shell, |request| {
        (request.member_id, request.generation_id) = ("a".into(), 1);
        request.offsets[0].metadata = Some("x".repeat(4_097));
    });
    assert_eq!(committed(&shell, long), ErrorCode::OffsetMetadataTooLarge);
    shell.join(join("a", ""));
    let early = commit_as(&mut shell, |request| {
        (request.member_id, request.generation_id) = ("a".into(), 2)
    });
    assert_eq!(committed(&shell, early), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_commit_keeps_the_session_alive() {
    let mut shell = Shell::stable(GroupConfig::default(), &["a"]);
    for _ in 0..4 {
        shell.pass(9_000);
        commit_as(&mut shell, |request| {
            (request.member_id, request.generation_id) = ("a".into(), 1)
        });
    }
    assert_eq!(shell.heartbeat("a", 1), ErrorCode::None);
}

#[test]
fn offsets_expire_once_the_group_is_empty_for_the_retention() {
    let mut shell = Shell::stable(GroupConfig::default(), &["a"]);
    commit_as(&mut shell, |request| {
        (request.member_id, request.generation_id) = ("a".into(), 1)
    });
    // Ten days of heartbeats, of which only the last matter: expiry looks at the clock.
    let idle = shell.shard.tick(shell.now.plus_ms(1), &shell.cluster);
    assert!(idle.is_empty());
    shell.now = shell.now.plus_ms(10 * DAY_MS);
    shell.heartbeat("a", 1);
    shell.pass(1_000);
    assert_eq!(fetch(&mut shell, None).len(), 1, "the topic is subscribed to");
    shell.leave(&[("a", None)]);
    shell.pass(7 * DAY_MS - 1);
    assert_eq!(fetch(&mut shell, None).len(), 1);
    shell.pass(600_001);
    assert_eq!(fetch(&mut shell, None).len(), 0);
    assert_eq!(shell.shard.group_count(), 0, "the group goes with its last offset");
    shell.pass(600_001);
    assert_eq!(shell.shard.next_deadline(), None);
    assert!(shell.loaded().same_durable_state(&shell.shard));
}

#[test]
fn offsets_of_a_simple_group_expire_by_their_commit_or_by_their_own_time() {
    let mut shell = Shell::new(GroupConfig::default());
    commit_as(&mut shell, |_| ());
    commit_as(&mut shell, |request| {
        request.retention_time_ms = DAY_MS;
        request.offsets[0].partition = PartitionIndex(1);
    });
    shell.pass(DAY_MS + 600_000);
    let left = fetch(&mut shell, None);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].partition, PartitionIndex(0));
    shell.pass(6 * DAY_MS);
    assert_eq!(shell.shard.group_count(), 0);
}

#[test]
fn a_flood_of_expired_offsets_is_spread_over_rounds() {
    let mut shell = Shell::new(GroupConfig::default());
    commit_as(&mut shell, |request| {
        let one = request.offsets[0].clone();
        let numbered = (0..4_500).map(|at| OffsetToCommit {
            partition: PartitionIndex(at),
            ..one.clone()
        });
        request.offsets = numbered.collect();
    });
    shell.now = TimestampMs(shell.now.0 + 8 * DAY_MS);
    let effects = shell.shard.tick(shell.now, &shell.cluster);
    assert_eq!(effects.records.len(), 2_000);
    shell.run(effects);
    shell.pass(10);
    assert_eq!(shell.shard.offset_count(), 0);
}

#[test]
fn offsets_are_deleted_where_nobody_is_subscribed() {
    let mut shell = Shell::stable(GroupConfig::default(), &["a"]);
    commit_as(&mut shell, |request| {
        (request.member_id, request.generation_id) = ("a".into(), 1);
        let other = OffsetToCommit {
            topic: TopicName::new("u"),
            ..request.offsets[0].clone()
        };
        request.offsets.push(other);
    });
    let mut delete = |group: &str| {
        let token = shell.token();
        let topics = vec![partitions("t", &[0]), partitions("u", &[0, 7])];
        let effects = shell.shard.offset_delete(
            token,
            OffsetDeleteRequest {
                group_id: group.into(),
                topics,
            },
        );
        shell.run(effects);
        match shell.answer(token) {
            Some(Answer::OffsetDelete(response)) => response.clone(),
            other => panic!("no delete answer but {other:?}"),
        }
    };
    assert_eq!(delete("nobody").error, ErrorCode::GroupIdNotFound);
    let errors: Vec<_> = delete("g").partitions.iter().map(|each| each.error).collect();
    assert_eq!(
        errors,
        [ErrorCode::GroupSubscribedToTopic, ErrorCode::None, ErrorCode::None]
    );
    assert_eq!(fetch(&mut shell, None).len(), 1);
    let effects = shell.shard.on_topics_deleted(&[TopicName::new("t")]);
    shell.run(effects);
    assert_eq!(fetch(&mut shell, None).len(), 0);
}

#[test]
fn only_empty_groups_are_deleted_and_they_are_listed_by_state() {
    let mut shell = Shell::stable(GroupConfig::default(), &["a"]);
    commit_as(&mut shell, |request| request.group_id = "simple".into());
    let mut list = |states: &[&str], types: &[&str]| {
        let token = shell.token();
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let request = ListGroupsRequest {
            states: owned(states),
            types: owned(types),
        };
        let effects = shell.shard.list_groups(token, &request);
        shell.run(effects);
        match shell.answer(token) {
            Some(Answer::ListGroups(response)) => response
                .groups
                .iter()
                .map(|group| group.group_id.clone())
                .collect::<Vec<_>>(),
            other => panic!("no list but {other:?}"),
        }
    };
    assert_eq!(list(&[], &[]), ["g", "simple"]);
    assert_eq!(list(&["STABLE"], &["classic"]), ["g"]);
    assert_eq!(list(&["Empty", "Dead"], &[]), ["simple"]);
    assert!(list(&[], &["consumer"]).is_empty());

    let token = shell.token();
    let names = ["g", "simple", "nobody", "simple"].map(str::to_owned).to_vec();
    let effects = shell.shard.delete_groups(token, names);
    shell.run(effects);
    let Some(Answer::DeleteGroups(response)) = shell.answer(token) else {
        panic!("no answer");
    };
    let errors: Vec<_> = response.results.iter().map(|(_, error)| *error).collect();
    assert_eq!(
        errors,
        [
            ErrorCode::NonEmptyGroup,
            ErrorCode::None,
            ErrorCode::GroupIdNotFound,
            ErrorCode::None
        ]
    );
    assert_eq!(shell.shard.group_count(), 1);
    assert!(shell.loaded().same_durable_state(&shell.shard));
}

#[test]
fn foreign_records_are_skipped_and_broken_ones_change_nothing() {
    let mut shell = Shell::new(GroupConfig::default());
    assert!(shell.shard.replay(b"\0\x09\0\x01g", Some(b"\0\0"), Offset(0)).is_ok());
    assert!(shell.shard.replay(b"\0\x01\0\x01g", None, Offset(1)).is_err());
    assert!(
        shell
            .shard
            .replay(b"\0\x02\0\x01g", Some(b"\0\x03\0\x7f"), Offset(2))
            .is_err()
    );
    assert_eq!(shell.shard.group_count(), 0);
    assert_eq!(shell.shard.last_offset(), Some(Offset(2)));
}
