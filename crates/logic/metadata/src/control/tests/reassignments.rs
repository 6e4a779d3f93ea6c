//! Moves of partitions to other replicas.

use types::{ErrorCode, LeaderEpoch};

use super::cluster::Cluster;
use crate::image::numbers;

#[test]
fn a_move_ends_when_the_added_replicas_are_in_sync() {
    let mut cluster = Cluster::with_brokers(4, 1);
    let id = cluster.topic("t", &[1, 2]);
    assert_eq!(cluster.reassign("t", Some(&[3, 4])), ErrorCode::None);
    let partition = cluster.partition(id);
    assert_eq!(numbers(&partition.replicas), [3, 4, 1, 2]);
    assert_eq!(
        (numbers(&partition.adding), numbers(&partition.removing)),
        (vec![3, 4], vec![1, 2])
    );
    cluster.propose(id, &[1, 2, 3]);
    assert!(cluster.partition(id).is_reassigning());
    let result = cluster.propose(id, &[1, 2, 3, 4]);
    assert_eq!(result.leader, 3);
    assert_eq!(cluster.state(id), (3, vec![3, 4], vec![], vec![]));
    assert_eq!(numbers(&cluster.partition(id).replicas), [3, 4]);
    assert!(!cluster.partition(id).is_reassigning());
}

#[test]
fn a_second_move_keeps_what_the_first_has_brought_into_sync_until_it_is_done() {
    let mut cluster = Cluster::with_brokers(4, 1);
    let id = cluster.topic("t", &[1]);
    assert_eq!(cluster.reassign("t", Some(&[2, 3])), ErrorCode::None);
    cluster.propose(id, &[1, 2]);
    assert_eq!(cluster.reassign("t", Some(&[4])), ErrorCode::None);
    let partition = cluster.partition(id);
    assert_eq!(numbers(&partition.replicas), [4, 2, 1]);
    assert_eq!(
        (numbers(&partition.adding), numbers(&partition.removing)),
        (vec![4], vec![2, 1])
    );
    assert_eq!(cluster.state(id), (1, vec![1, 2], vec![], vec![]));
    cluster.propose(id, &[1, 2, 4]);
    assert_eq!(cluster.state(id), (4, vec![4], vec![], vec![]));
    assert_eq!(numbers(&cluster.partition(id).replicas), [4]);
}

#[test]
fn a_move_waits_for_who_stays_but_lags_behind() {
    let mut cluster = Cluster::with_brokers(4, 1);
    let id = cluster.topic("t", &[1, 2, 3]);
    cluster.fence(2);
    assert_eq!(cluster.state(id).1, vec![1, 3]);
    // Nobody is added; 1 and 3 would leave the records to a replica that lacks some.
    assert_eq!(cluster.reassign("t", Some(&[1, 2])), ErrorCode::None);
    assert!(cluster.partition(id).is_reassigning());
    assert_eq!(cluster.state(id).1, vec![1, 3]);
    cluster.unfence(2);
    cluster.propose(id, &[1, 3, 2]);
    assert!(!cluster.partition(id).is_reassigning());
    assert_eq!(numbers(&cluster.partition(id).replicas), [1, 2]);
}

#[test]
fn a_second_move_keeps_what_may_hold_the_newest_records() {
    let mut cluster = Cluster::with_brokers(4, 2);
    let id = cluster.topic("t", &[1]);
    assert_eq!(cluster.reassign("t", Some(&[2, 3])), ErrorCode::None);
    cluster.propose(id, &[1, 2]);
    cluster.fence(2);
    assert_eq!(cluster.state(id), (1, vec![1], vec![2], vec![]));
    assert_eq!(cluster.reassign("t", Some(&[4])), ErrorCode::None);
    assert_eq!(numbers(&cluster.partition(id).replicas), [4, 2, 1]);
    assert_eq!(cluster.state(id).2, vec![2]);
}

#[test]
fn who_is_the_only_one_in_sync_may_be_moved_away_from_again() {
    let mut cluster = Cluster::with_brokers(4, 1);
    let id = cluster.topic("t", &[1]);
    assert_eq!(cluster.reassign("t", Some(&[2, 3])), ErrorCode::None);
    cluster.propose(id, &[1, 2]);
    cluster.fence(1);
    assert_eq!(cluster.state(id).1, vec![2]);
    assert_eq!(cluster.reassign("t", Some(&[4])), ErrorCode::None);
    assert_eq!(numbers(&cluster.partition(id).replicas), [4, 2, 1]);
}

#[test]
fn a_move_to_a_dead_broker_can_be_cancelled() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let id = cluster.topic("t", &[1, 2]);
    assert_eq!(cluster.reassign("t", None), ErrorCode::NoReassignmentInProgress);
    assert_eq!(cluster.reassign("t", Some(&[3, 1])), ErrorCode::None);
    cluster.fence(3);
    assert_eq!(cluster.reassign("t", None), ErrorCode::None);
    assert_eq!(numbers(&cluster.partition(id).replicas), [1, 2]);
    assert_eq!(
        cluster.partition(id).leader_epoch,
        LeaderEpoch(1),
        "a removed replica must be fenced off"
    );
}

#[test]
fn fewer_replicas_are_had_at_once_and_strangers_are_refused() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let id = cluster.topic("t", &[1, 2, 3]);
    assert_eq!(cluster.reassign("t", Some(&[9])), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(cluster.reassign("t", Some(&[])), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(
        cluster.reassign("nothing", Some(&[1])),
        ErrorCode::UnknownTopicOrPartition
    );
    // KIP-860: only whoever allows it has more or fewer.
    assert_eq!(
        cluster.reassign_as("t", Some(&[2]), true),
        ErrorCode::InvalidReplicationFactor
    );
    assert_eq!(cluster.reassign_as("t", Some(&[3, 2, 1]), true), ErrorCode::None);
    assert_eq!(cluster.reassign("t", Some(&[2])), ErrorCode::None);
    assert_eq!(cluster.state(id), (2, vec![2], vec![], vec![]));
}

#[test]
fn a_move_doesnt_take_the_isr_below_its_minimum() {
    let mut cluster = Cluster::with_brokers(4, 2);
    let id = cluster.topic("t", &[1, 2]);
    cluster.reassign("t", Some(&[3, 4]));
    cluster.fence(4);
    cluster.propose(id, &[1, 2, 3]);
    assert!(cluster.partition(id).is_reassigning());
    assert_eq!(cluster.state(id).1, vec![1, 2, 3]);
}
