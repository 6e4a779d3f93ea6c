//! The rules of one leadership, and a property test over three replicas.

use super::*;
use crate::follow::tests::Epochs;

fn leader(isr: &[i32], min: usize) -> LeaderState {
    LeaderState::new(
        LeadershipStart {
            local: BrokerId(1),
            local_epoch: BrokerEpoch(10),
            leader_epoch: LeaderEpoch(3),
            partition_epoch: PartitionEpoch(5),
            replicas: vec![BrokerId(1), BrokerId(2), BrokerId(3)],
            isr: isr.iter().copied().map(BrokerId).collect(),
            log_end_offset: Offset(10),
            acknowledgeable_end: Offset(10),
            high_watermark: Offset(8),
            min_insync_replicas: min,
            lag_time_max_ms: 1_000,
        },
        TimestampMs(0),
    )
    .0
}

fn log(end: i64) -> Epochs {
    Epochs {
        start: 0,
        end,
        starts: vec![(2, 0), (3, 10)],
    }
}

fn everyone(id: BrokerId) -> Option<BrokerEpoch> {
    Some(BrokerEpoch(i64::from(id.0) * 10))
}

fn nobody(_: BrokerId) -> Option<BrokerEpoch> {
    None
}

fn follow(replica: i32, id: u64, offset: i64, last_epoch: i32) -> FollowRequest {
    FollowRequest {
        replica: BrokerId(replica),
        broker_epoch: BrokerEpoch(i64::from(replica) * 10),
        follow_id: FollowId(id),
        leader_epoch: LeaderEpoch(3),
        offset: Offset(offset),
        acknowledgeable_end: Offset(offset),
        last_epoch: LeaderEpoch(last_epoch),
    }
}

fn ack(replica: i32, id: u64, end: i64) -> FollowerAck {
    FollowerAck {
        replica: BrokerId(replica),
        follow_id: FollowId(id),
        end: Offset(end),
    }
}

#[test]
fn the_high_watermark_waits_for_every_member_of_the_isr() {
    let mut state = leader(&[1, 2, 3], 2);
    let (_, effects) = state
        .on_follow(&follow(2, 1, 10, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    assert_eq!(effects.high_watermark, None, "replica 3 hasn't been heard");
    let (_, effects) = state
        .on_follow(&follow(3, 1, 9, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    assert_eq!(effects.high_watermark, Some(Offset(9)));
    assert!(!state.end_is_known());
    let effects = state.on_follower_ack(ack(3, 1, 10), &everyone, TimestampMs(2));
    assert_eq!(effects.high_watermark, Some(Offset(10)));
    assert!(state.end_is_known());
}

#[test]
fn an_ack_of_another_follow_changes_nothing() {
    let mut state = leader(&[1, 2], 1);
    let _ = state
        .on_follow(&follow(2, 7, 9, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    assert_eq!(
        state.on_follower_ack(ack(2, 6, 10), &everyone, TimestampMs(2)),
        LeaderEffects::default()
    );
    assert_eq!(
        state.on_follower_ack(ack(2, 7, 11), &everyone, TimestampMs(2)),
        LeaderEffects::default()
    );
    assert_eq!(
        state.on_follow(&follow(2, 6, 9, 2), &log(10), &everyone, TimestampMs(3)),
        Err(FollowRefusal::Superseded(BrokerId(2)))
    );
    assert_eq!(
        state
            .on_follower_ack(ack(2, 7, 10), &everyone, TimestampMs(2))
            .high_watermark,
        Some(Offset(10))
    );
}

#[test]
fn the_high_watermark_stays_while_the_isr_is_below_min_isr() {
    let mut state = leader(&[1], 2);
    let effects = state.on_local_append(Offset(12), Offset(12));
    assert_eq!(effects, LeaderEffects::default());
    let (_, effects) = state
        .on_follow(&follow(2, 1, 10, 2), &log(12), &everyone, TimestampMs(1))
        .unwrap();
    let proposal = effects.isr_proposal.unwrap();
    assert_eq!(
        proposal.new_isr,
        vec![(BrokerId(1), BrokerEpoch(10)), (BrokerId(2), BrokerEpoch(20))]
    );
    assert_eq!(effects.high_watermark, None);
    let effects = state.on_partition_change(
        PartitionEpoch(6),
        &[1, 2, 3].map(BrokerId),
        &[1, 2].map(BrokerId),
        &everyone,
        TimestampMs(2),
    );
    assert_eq!(effects.high_watermark, Some(Offset(10)));
}

#[test]
fn a_proposed_member_counts_before_the_controller_answers() {
    let mut state = leader(&[1], 1);
    assert_eq!(
        state.high_watermark(),
        Offset(10),
        "the only member of the ISR has everything"
    );
    let effects = state.on_local_append(Offset(11), Offset(11));
    assert_eq!(effects.high_watermark, Some(Offset(11)));
    let (_, effects) = state
        .on_follow(&follow(2, 1, 11, 3), &log(11), &everyone, TimestampMs(1))
        .unwrap();
    assert!(effects.isr_proposal.is_some());
    assert_eq!(
        state.on_local_append(Offset(15), Offset(15)).high_watermark,
        None,
        "replica 2 may be in the ISR"
    );
    // The refusal as the image brings it: the same members with another epoch.
    let replicas = [1, 2, 3].map(BrokerId);
    let effects = state.on_partition_change(PartitionEpoch(6), &replicas, &[BrokerId(1)], &nobody, TimestampMs(2));
    assert_eq!(effects.high_watermark, Some(Offset(15)));
}

#[test]
fn who_caught_up_while_another_was_proposed_is_proposed_with_the_answer() {
    let mut state = leader(&[1], 1);
    let (_, first) = state
        .on_follow(&follow(2, 1, 10, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    let (_, second) = state
        .on_follow(&follow(3, 1, 10, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    assert!(first.isr_proposal.is_some() && second.isr_proposal.is_none());
    let (replicas, isr) = ([1, 2, 3].map(BrokerId), [1, 2].map(BrokerId));
    let proposal = state
        .on_partition_change(PartitionEpoch(6), &replicas, &isr, &everyone, TimestampMs(2))
        .isr_proposal
        .unwrap();
    assert_eq!(
        proposal.new_isr.iter().map(|member| member.0.0).collect::<Vec<_>>(),
        vec![1, 2, 3]
    );
    assert_eq!(proposal.partition_epoch, PartitionEpoch(6));
}

#[test]
fn who_was_just_taken_out_is_not_proposed_in_the_same_breath() {
    let mut state = leader(&[1, 2, 3], 1);
    for replica in [2, 3] {
        let _ = state.on_follow(&follow(replica, 1, 10, 2), &log(10), &everyone, TimestampMs(1));
    }
    let (replicas, isr) = ([1, 2, 3].map(BrokerId), [1, 2].map(BrokerId));
    // It is frozen, its stream is open, and its fencing is the next record.
    let effects = state.on_partition_change(PartitionEpoch(6), &replicas, &isr, &everyone, TimestampMs(2));
    assert_eq!(effects.isr_proposal, None);
    let proposal = state.on_tick(&everyone, TimestampMs(3)).isr_proposal.unwrap();
    assert_eq!(proposal.new_isr.len(), 3);
}

#[test]
fn a_replica_joins_only_from_the_start_of_the_epoch() {
    let mut state = leader(&[1], 1);
    let (_, effects) = state
        .on_follow(&follow(2, 1, 9, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    assert_eq!(
        effects.isr_proposal, None,
        "it reached the high watermark, not the epoch's start"
    );
    assert!(
        state
            .on_follower_ack(ack(2, 1, 10), &everyone, TimestampMs(1))
            .isr_proposal
            .is_some()
    );
}

#[test]
fn a_stale_incarnation_or_a_fenced_broker_is_not_proposed() {
    let mut state = leader(&[1], 1);
    let fenced = |_| None;
    let (_, effects) = state
        .on_follow(&follow(2, 1, 10, 2), &log(10), &fenced, TimestampMs(1))
        .unwrap();
    assert_eq!(effects.isr_proposal, None);
    let newer = |_| Some(BrokerEpoch(99));
    assert_eq!(state.on_tick(&newer, TimestampMs(2)).isr_proposal, None);
    assert!(state.on_tick(&everyone, TimestampMs(2)).isr_proposal.is_some());
}

#[test]
fn isr_shrinks_when_a_follower_lags_past_the_limit() {
    let mut state = leader(&[1, 2, 3], 1);
    let _ = state
        .on_follow(&follow(2, 1, 10, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    let _ = state
        .on_follow(&follow(3, 1, 10, 2), &log(10), &everyone, TimestampMs(1))
        .unwrap();
    let _ = state.on_local_append(Offset(11), Offset(11));
    let _ = state.on_follower_ack(ack(2, 1, 11), &everyone, TimestampMs(500));
    assert_eq!(
        state.on_tick(&everyone, TimestampMs(1_000)).isr_proposal,
        None,
        "still within its lag period"
    );
    let proposal = state.on_tick(&everyone, TimestampMs(1_100)).isr_proposal.unwrap();
    assert_eq!(
        proposal.new_isr.iter().map(|member| member.0.0).collect::<Vec<_>>(),
        vec![1, 2]
    );
    assert_eq!(
        state.high_watermark(),
        Offset(10),
        "the old member counts until the change is committed"
    );
    let effects = state.on_partition_change(
        PartitionEpoch(6),
        &[1, 2, 3].map(BrokerId),
        &[1, 2].map(BrokerId),
        &everyone,
        TimestampMs(2),
    );
    assert_eq!(effects.high_watermark, Some(Offset(11)));
}

#[test]
fn a_follower_that_keeps_reaching_past_ends_stays_in_sync() {
    let mut state = leader(&[1, 2], 1);
    let _ = state
        .on_follow(&follow(2, 1, 10, 2), &log(10), &everyone, TimestampMs(0))
        .unwrap();
    for step in 1..100_i64 {
        let _ = state.on_local_append(Offset(10 + step), Offset(10 + step));
        let _ = state.on_follower_ack(ack(2, 1, 10 + step - 1), &everyone, TimestampMs(step * 100));
        assert_eq!(
            state.on_tick(&everyone, TimestampMs(step * 100 + 50)).isr_proposal,
            None
        );
    }
}

#[test]
fn epochs_fence_follows() {
    let mut state = leader(&[1, 2], 1);
    let older = FollowRequest {
        leader_epoch: LeaderEpoch(2),
        ..follow(2, 1, 10, 2)
    };
    let newer = FollowRequest {
        leader_epoch: LeaderEpoch(4),
        ..follow(2, 1, 10, 2)
    };
    let now = TimestampMs(1);
    assert!(matches!(
        state.on_follow(&older, &log(10), &everyone, now),
        Err(FollowRefusal::FencedEpoch { .. })
    ));
    assert!(matches!(
        state.on_follow(&newer, &log(10), &everyone, now),
        Err(FollowRefusal::UnknownEpoch { .. })
    ));
    assert!(matches!(
        state.on_follow(&follow(4, 1, 1, 2), &log(10), &everyone, now),
        Err(FollowRefusal::NotReplica(_))
    ));
}

proptest::proptest! {
    /// HW-1 to HW-3 under any order of appends, acknowledgements, ISR changes and ticks.
    #[test]
    fn the_high_watermark_keeps_its_rules(steps in proptest::collection::vec((0_u8..7, 1_i32..4, 0_i64..5), 1..80)) {
        let mut state = leader(&[1, 2, 3], 2);
        let mut end = 10_i64;
        let mut now = 0_i64;
        let mut epoch = 5;
        let mut before = state.high_watermark();
        let mut follows = 0;
        for (kind, replica, amount) in steps {
            now += amount * 200;
            let at = TimestampMs(now);
            match kind {
                0 => {
                    end += amount;
                    let _ = state.on_local_append(Offset(end), Offset(end - amount / 2));
                }
                1 if replica > 1 => {
                    follows += 1;
                    let from = (end - amount).max(10);
                    let _ = state.on_follow(&follow(replica, follows, from, 3), &log(end), &everyone, at);
                }
                2 | 3 => {
                    let _ = state.on_follower_ack(ack(replica, follows, end - amount), &everyone, at);
                }
                4 => {
                    let _ = state.on_tick(&everyone, at);
                }
                5 => {
                    let members: Vec<BrokerId> = match state.isr() {
                        Isr::Pending { proposed, .. } => proposed.clone(),
                        Isr::Committed { members } => members.clone(),
                    };
                    epoch += 1;
                    let _ = state.on_partition_change(PartitionEpoch(epoch), &[1, 2, 3].map(BrokerId), &members, &everyone, at);
                }
                _ => {
                    epoch += 1;
                    let members = state.isr().committed().to_vec();
                    let _ = state.on_partition_change(PartitionEpoch(epoch), &[1, 2, 3].map(BrokerId), &members, &everyone, at);
                }
            }
            let high = state.high_watermark();
            assert!(high >= before && high.0 <= end);
            if high > before {
                assert!(state.isr().committed().len() >= 2);
                for (id, remote) in state.remotes() {
                    assert!(!state.isr().counts(id) || remote.end >= Some(high));
                }
            }
            before = high;
        }
    }
}
