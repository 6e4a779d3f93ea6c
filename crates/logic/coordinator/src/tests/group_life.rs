use types::ErrorCode;

use super::shell::{Shell, join, protocol};
use crate::*;

fn config() -> GroupConfig {
    GroupConfig::default()
}

#[test]
fn the_first_rebalance_waits_for_more_members_and_hands_out_the_leaders_assignment() {
    let mut shell = Shell::new(config());
    let a = shell.join(join("", "a"));
    shell.pass(2_000);
    let b = shell.join(join("", "b"));
    shell.pass(2_000);
    assert!(shell.answer(a).is_none(), "the delay is extended by the second member");
    shell.pass(2_000);
    assert_eq!(shell.joined(a).leader, "a");
    assert_eq!(shell.joined(a).members.len(), 2);
    assert_eq!(shell.joined(b).members.len(), 0);
    assert_eq!(shell.joined(b).generation_id, 1);
    let b = shell.sync("b", 1, &[]);
    assert!(shell.answer(b).is_none());
    let a = shell.sync("a", 1, &[("a", "0"), ("b", "1")]);
    assert_eq!(&shell.synced(a).assignment[..], b"0");
    assert_eq!(&shell.synced(b).assignment[..], b"1");
    assert_eq!(shell.synced(b).protocol_name.as_deref(), Some("range"));
    assert_eq!(shell.describe().protocol_data, "range");
    assert_eq!(shell.heartbeat("a", 1), ErrorCode::None);
    assert_eq!(shell.heartbeat("a", 2), ErrorCode::IllegalGeneration);
    assert_eq!(shell.heartbeat("x", 1), ErrorCode::UnknownMemberId);
}

#[test]
fn without_an_initial_delay_the_group_starts_at_once() {
    let mut shell = Shell::new(GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..config()
    });
    let a = shell.join(join("", "a"));
    shell.pass(0);
    assert_eq!(shell.joined(a).generation_id, 1);
}

#[test]
fn a_new_member_must_come_back_with_its_id_from_v4_on() {
    let mut shell = Shell::new(config());
    let first = shell.join(JoinGroupRequest {
        api_version: 4,
        ..join("", "a")
    });
    assert_eq!(shell.joined(first).error, ErrorCode::MemberIdRequired);
    assert_eq!(shell.joined(first).member_id, "a");
    let second = shell.join(JoinGroupRequest {
        api_version: 4,
        ..join("a", "x")
    });
    shell.pass(3_000);
    assert_eq!(shell.joined(second).member_id, "a");
    // Another one never comes back: it holds up nothing beyond its session, and then it is unknown.
    shell.sync("a", 1, &[("a", "0")]);
    shell.join(JoinGroupRequest {
        api_version: 4,
        ..join("", "b")
    });
    shell.pass(9_000);
    assert_eq!(shell.heartbeat("a", 1), ErrorCode::None);
    shell.pass(2_000);
    let late = shell.join(JoinGroupRequest {
        api_version: 4,
        ..join("b", "x")
    });
    assert_eq!(shell.joined(late).error, ErrorCode::UnknownMemberId);
}

#[test]
fn joins_that_do_not_fit_are_refused() {
    let mut shell = Shell::stable(
        GroupConfig {
            max_size: 1,
            ..config()
        },
        &["a"],
    );
    let cases = [
        (
            JoinGroupRequest {
                group_id: String::new(),
                ..join("", "b")
            },
            ErrorCode::InvalidGroupId,
        ),
        (
            JoinGroupRequest {
                session_timeout_ms: 5_999,
                ..join("", "b")
            },
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            JoinGroupRequest {
                session_timeout_ms: 1_800_001,
                ..join("", "b")
            },
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            JoinGroupRequest {
                group_id: "other".into(),
                ..join("m", "b")
            },
            ErrorCode::UnknownMemberId,
        ),
        (
            JoinGroupRequest {
                group_id: "other".into(),
                protocols: vec![],
                ..join("", "b")
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (join("", "b"), ErrorCode::GroupMaxSizeReached),
        (
            JoinGroupRequest {
                protocol_type: "connect".into(),
                ..join("a", "")
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            JoinGroupRequest {
                protocols: vec![protocol("other")],
                ..join("a", "")
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (join("nobody", "b"), ErrorCode::GroupMaxSizeReached),
    ];
    for (request, error) in cases {
        let token = shell.join(request);
        assert_eq!(shell.joined(token).error, error);
    }
    assert_eq!(shell.shard.group_count(), 1, "a refused join leaves no group behind");
    assert_eq!(shell.describe().state, GroupState::Stable);
}

#[test]
fn most_votes_win_among_the_protocols_that_everyone_offers() {
    let mut shell = Shell::new(config());
    let offers = [("a", ["x", "y", "z"]), ("b", ["z", "y", "x"]), ("c", ["z", "y", "w"])];
    let tokens = offers.map(|(id, names)| {
        shell.join(JoinGroupRequest {
            protocols: names.map(protocol).to_vec(),
            ..join("", id)
        })
    });
    shell.pass(10_000);
    assert_eq!(shell.joined(tokens[0]).protocol_name.as_deref(), Some("z"));
}

#[test]
fn a_follower_that_joins_again_unchanged_is_answered_from_memory_and_the_leader_rebalances() {
    let mut shell = Shell::stable(config(), &["a", "b"]);
    let same = shell.join(join("b", ""));
    assert_eq!(shell.joined(same).generation_id, 1);
    assert_eq!(shell.describe().state, GroupState::Stable);
    let leader = shell.join(join("a", ""));
    assert_eq!(shell.describe().state, GroupState::PreparingRebalance);
    assert_eq!(shell.heartbeat("b", 1), ErrorCode::RebalanceInProgress);
    let follower = shell.join(join("b", ""));
    assert_eq!(shell.joined(leader).generation_id, 2);
    assert_eq!(shell.joined(follower).generation_id, 2);
    // The answer got lost: the same generation is told again, to the leader with its members.
    let again = shell.join(join("a", ""));
    assert_eq!(shell.joined(again).members.len(), 2);
    let waiting = shell.sync("b", 2, &[]);
    shell.join(JoinGroupRequest {
        protocols: vec![protocol("range"), protocol("new")],
        ..join("a", "")
    });
    assert_eq!(shell.synced(waiting).error, ErrorCode::RebalanceInProgress);
}

#[test]
fn members_that_do_not_join_again_are_out_at_the_rebalance_timeout() {
    let mut shell = Shell::stable(config(), &["a", "b"]);
    let a = shell.join(join("a", ""));
    for _ in 0..6 {
        assert_eq!(shell.heartbeat("b", 1), ErrorCode::RebalanceInProgress);
        shell.pass(5_000);
    }
    assert_eq!(shell.joined(a).generation_id, 2);
    assert_eq!(shell.joined(a).members.len(), 1);
    assert_eq!(shell.heartbeat("b", 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_leader_that_never_syncs_is_replaced() {
    let mut shell = Shell::new(config());
    shell.join(join("", "a"));
    let b = shell.join(join("", "b"));
    shell.pass(6_000);
    assert_eq!(shell.joined(b).leader, "a");
    let waiting = shell.sync("b", 1, &[]);
    for _ in 0..6 {
        shell.heartbeat("a", 1);
        shell.pass(5_000);
    }
    assert_eq!(shell.synced(waiting).error, ErrorCode::RebalanceInProgress);
    let again = shell.join(join("b", ""));
    assert_eq!(shell.joined(again).leader, "b");
    assert_eq!(shell.joined(again).generation_id, 2);
}

#[test]
fn a_silent_member_is_out_after_its_session_and_an_empty_group_is_stored() {
    let mut shell = Shell::stable(config(), &["a"]);
    let records = shell.log.len();
    shell.pass(9_999);
    assert_eq!(shell.describe().state, GroupState::Stable);
    shell.pass(1);
    assert_eq!(shell.describe().state, GroupState::Empty);
    assert_eq!(shell.log.len(), records + 1);
    assert!(shell.loaded().same_durable_state(&shell.shard));
}

#[test]
fn leaving_members_are_answered_one_by_one() {
    let mut shell = Shell::stable(config(), &["a", "b"]);
    let left = shell.leave(&[("a", None), ("nobody", None), ("", Some("no instance"))]);
    let errors: Vec<_> = left.members.iter().map(|member| member.error).collect();
    assert_eq!(
        errors,
        [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::UnknownMemberId]
    );
    assert_eq!(shell.describe().state, GroupState::PreparingRebalance);
    shell.leave(&[("b", None)]);
    assert_eq!(shell.describe().state, GroupState::Empty);
    assert_eq!(shell.leave(&[("b", None)]).members[0].error, ErrorCode::UnknownMemberId);
}

#[test]
fn nobody_gets_an_assignment_before_it_is_committed() {
    let mut shell = Shell::new(config());
    shell.join(join("", "a"));
    shell.pass(3_000);
    shell.instant_commit = false;
    let sync = shell.sync("a", 1, &[("a", "0")]);
    assert!(shell.answer(sync).is_none());
    shell.pass(5_000);
    assert_eq!(shell.synced(sync).error, ErrorCode::CoordinatorNotAvailable);
    // It asks again, with another assignment: the first one holds, and no second record is written.
    let records = shell.log.len();
    let again = shell.sync("a", 1, &[("a", "other")]);
    assert_eq!(shell.log.len(), records);
    shell.commit();
    assert_eq!(&shell.synced(again).assignment[..], b"0");
}

#[test]
fn an_assignment_made_stale_by_a_rebalance_is_not_handed_out() {
    let mut shell = Shell::new(config());
    shell.join(join("", "a"));
    shell.pass(3_000);
    shell.instant_commit = false;
    let stale = shell.sync("a", 1, &[("a", "stale")]);
    let b = shell.join(join("", "b"));
    assert_eq!(shell.synced(stale).error, ErrorCode::RebalanceInProgress);
    shell.join(join("a", ""));
    assert_eq!(shell.joined(b).generation_id, 2);
    shell.commit();
    let b = shell.sync("b", 2, &[]);
    let a = shell.sync("a", 2, &[("a", "new"), ("b", "b")]);
    assert!(shell.answer(b).is_none());
    shell.commit();
    assert_eq!(&shell.synced(a).assignment[..], b"new");
}

#[test]
fn a_refused_append_sends_the_members_back_to_join() {
    let mut shell = Shell::new(config());
    shell.join(join("", "a"));
    shell.pass(3_000);
    shell.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    let sync = shell.sync("a", 1, &[("a", "0")]);
    assert_eq!(shell.synced(sync).error, ErrorCode::CoordinatorNotAvailable);
    shell.refuse_appends = None;
    let again = shell.join(join("a", ""));
    assert_eq!(shell.joined(again).generation_id, 2);
}

#[test]
fn a_loaded_group_goes_on_where_it_was() {
    let mut shell = Shell::stable(config(), &["a", "b"]);
    shell.pass(9_000);
    shell.fail_over(shell.log.len());
    shell.pass(9_000);
    assert_eq!(shell.heartbeat("a", 1), ErrorCode::None);
    let sync = shell.sync("b", 1, &[]);
    assert_eq!(&shell.synced(sync).assignment[..], b"b");
    assert_eq!(shell.describe().members.len(), 2);
    // A lowered limit rebalances at load.
    shell.config.max_size = 1;
    shell.fail_over(shell.log.len());
    assert_eq!(shell.describe().state, GroupState::PreparingRebalance);
    shell.join(join("a", ""));
    let late = shell.join(join("b", ""));
    assert_eq!(shell.joined(late).error, ErrorCode::GroupMaxSizeReached);
}

#[test]
fn unloading_answers_everything_parked() {
    let mut shell = Shell::stable(config(), &["a", "b"]);
    let join = shell.join(join("a", ""));
    shell.fail_over(shell.log.len());
    assert_eq!(shell.joined(join).error, ErrorCode::NotCoordinator);
}

#[test]
fn an_idle_shard_has_no_timer_and_a_heartbeat_moves_none() {
    let shell = Shell::new(config());
    assert_eq!(shell.shard.next_deadline(), None);
    let mut shell = Shell::stable(config(), &["a", "b"]);
    let before = shell.shard.next_deadline();
    shell.heartbeat("a", 1);
    assert_eq!(shell.shard.next_deadline(), before);
}
