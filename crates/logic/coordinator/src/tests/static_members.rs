use types::ErrorCode;

use super::shell::{Shell, join, protocol};
use crate::*;

fn static_join(fresh: &str, instance: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        api_version: 9,
        group_instance_id: Some(instance.into()),
        ..join("", fresh)
    }
}

/// Static members `i-1` (leader) and `j-1`.
fn stable() -> Shell {
    let mut shell = Shell::new(GroupConfig::default());
    shell.join(static_join("i-1", "i"));
    shell.join(static_join("j-1", "j"));
    shell.pass(6_000);
    shell.sync("j-1", 1, &[]);
    shell.sync("i-1", 1, &[("i-1", "I"), ("j-1", "J")]);
    shell
}

#[test]
fn a_restarted_static_member_keeps_its_assignment_without_a_rebalance() {
    let mut shell = stable();
    shell.instant_commit = false;
    let back = shell.join(static_join("j-2", "j"));
    assert!(shell.answer(back).is_none(), "the new id is told once it is committed");
    shell.commit();
    assert_eq!(shell.joined(back).generation_id, 1);
    assert_eq!(shell.joined(back).leader, "i-1");
    assert!(!shell.joined(back).skip_assignment);
    let sync = shell.sync("j-2", 1, &[]);
    assert_eq!(&shell.synced(sync).assignment[..], b"J");
    assert_eq!(shell.heartbeat("j-1", 1), ErrorCode::UnknownMemberId);
    assert_eq!(shell.heartbeat("i-1", 1), ErrorCode::None);
    assert!(shell.loaded().same_durable_state(&shell.shard));
}

#[test]
fn a_restarted_static_leader_skips_the_assignment_or_hears_of_its_predecessor() {
    let mut shell = stable();
    let back = shell.join(static_join("i-2", "i"));
    assert!(shell.joined(back).skip_assignment);
    assert_eq!(shell.joined(back).leader, "i-2");
    assert_eq!(shell.joined(back).members.len(), 2);
    let older = shell.join(JoinGroupRequest {
        api_version: 8,
        ..static_join("i-3", "i")
    });
    assert!(!shell.joined(older).skip_assignment);
    assert_eq!(shell.joined(older).leader, "i-2");
    assert_eq!(shell.joined(older).members.len(), 0);
}

#[test]
fn a_replaced_static_member_is_fenced() {
    let mut shell = stable();
    shell.join(static_join("j-2", "j"));
    let token = shell.token();
    let request = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: "j-1".into(),
        group_instance_id: Some("j".into()),
    };
    let effects = shell.shard.heartbeat(shell.now, token, &request, &shell.cluster);
    shell.run(effects);
    assert_eq!(
        shell.answer(token),
        Some(&Answer::Heartbeat(HeartbeatResponse {
            error: ErrorCode::FencedInstanceId
        }))
    );
    assert_eq!(
        shell.leave(&[("j-1", Some("j"))]).members[0].error,
        ErrorCode::FencedInstanceId
    );
    // While everyone joins again the older process is told at once.
    let parked = shell.join(static_join("k-1", "k"));
    shell.join(static_join("k-2", "k"));
    assert_eq!(shell.joined(parked).error, ErrorCode::FencedInstanceId);
}

#[test]
fn a_new_id_that_cannot_be_stored_is_forgotten() {
    let mut shell = stable();
    shell.refuse_appends = Some(ErrorCode::NotLeaderOrFollower);
    let back = shell.join(static_join("j-2", "j"));
    assert_eq!(shell.joined(back).error, ErrorCode::NotCoordinator);
    assert_eq!(shell.joined(back).member_id, "");
    assert_eq!(shell.heartbeat("j-1", 1), ErrorCode::None);
    assert_eq!(shell.heartbeat("j-2", 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_changes_the_protocol_rebalances() {
    let mut shell = stable();
    let both = vec![protocol("a"), protocol("range")];
    let back = shell.join(JoinGroupRequest {
        protocols: both,
        ..static_join("j-2", "j")
    });
    assert_eq!(shell.joined(back).generation_id, 1, "the others don't offer it");
    shell.leave(&[("", Some("i"))]);
    assert_eq!(shell.describe().state, GroupState::PreparingRebalance);
}

#[test]
fn a_silent_static_member_stays_until_its_session_ends() {
    let mut shell = stable();
    let leader = shell.join(JoinGroupRequest {
        group_instance_id: Some("i".into()),
        ..join("i-1", "")
    });
    shell.pass(9_000);
    assert!(shell.answer(leader).is_none());
    shell.pass(1_000);
    assert_eq!(shell.joined(leader).members.len(), 1);
}
