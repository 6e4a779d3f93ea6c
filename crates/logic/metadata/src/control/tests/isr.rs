//! What a leader may propose, and what becomes of ELR and configuration then.

use types::ErrorCode;

use super::cluster::{Cluster, code};
use crate::proto::control_request::Request;
use crate::proto::{self, AlterPartitionItem, ConfigResourceType};

#[test]
fn an_isr_change_counts_on_the_epochs_it_was_made_for() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let id = cluster.topic("t", &[1, 2, 3]);
    let stale = cluster.proposal(id, &[1, 3]);
    let result = cluster.propose(id, &[1, 2]);
    assert_eq!(
        (result.error_code, result.partition_epoch, result.isr),
        (0, 1, vec![1, 2])
    );
    let result = cluster.alter(id, stale);
    assert_eq!(code(result.error_code), ErrorCode::InvalidUpdateVersion);
    assert_eq!((result.leader, result.partition_epoch, result.isr), (1, 1, vec![1, 2]));

    let with = |change: fn(&mut AlterPartitionItem)| {
        let mut item = cluster.proposal(id, &[1, 2, 3]);
        change(&mut item);
        item
    };
    let newer = with(|item| item.partition_epoch += 1);
    let newer_leader = with(|item| item.leader_epoch += 1);
    let older_leader = with(|item| item.leader_epoch -= 1);
    let twice = with(|item| item.new_isr[2].broker_id = 2);
    let stranger = with(|item| item.new_isr[2].broker_id = 9);
    let without_leader = with(|item| item.new_isr.retain(|member| member.broker_id != 1));
    let recovering = with(|item| item.recovering = true);
    let unknown = with(|item| {
        item.partition = Some(proto::PartitionId {
            index: 7,
            ..item.partition.clone().unwrap()
        })
    });
    for (item, expected) in [
        (newer, ErrorCode::NotController),
        (newer_leader, ErrorCode::NotController),
        (older_leader, ErrorCode::FencedLeaderEpoch),
        (twice, ErrorCode::InvalidRequest),
        (stranger, ErrorCode::InvalidRequest),
        (without_leader, ErrorCode::InvalidRequest),
        (recovering, ErrorCode::InvalidRequest),
        (unknown, ErrorCode::UnknownTopicOrPartition),
        (AlterPartitionItem::default(), ErrorCode::UnknownTopicId),
    ] {
        assert_eq!(code(cluster.alter(id, item).error_code), expected);
    }
}

#[test]
fn fenced_stopping_and_restarted_replicas_arent_eligible() {
    let mut cluster = Cluster::with_brokers(4, 1);
    let id = cluster.topic("t", &[1, 2, 3, 4]);
    cluster.propose(id, &[1]);
    let before_restart = cluster.proposal(id, &[1, 4]);
    cluster.fence(2);
    cluster.shut_down(3);
    cluster.start(4, false);
    assert_eq!(
        code(cluster.alter(id, before_restart).error_code),
        ErrorCode::IneligibleReplica
    );
    for isr in [[1, 2], [1, 3]] {
        assert_eq!(code(cluster.propose(id, &isr).error_code), ErrorCode::IneligibleReplica);
    }
    assert_eq!(cluster.propose(id, &[1, 4]).error_code, 0);
}

/// Found by crates/testing/model: the leader had committed without the member by then.
#[test]
fn a_copy_of_a_refused_proposal_is_not_taken_when_its_member_has_become_eligible() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    cluster.propose(id, &[1]);
    let late = cluster.proposal(id, &[1, 2]);
    cluster.fence(2);
    let refused = cluster.alter(id, late.clone());
    assert_eq!(code(refused.error_code), ErrorCode::IneligibleReplica);
    assert_eq!(
        (refused.isr, refused.partition_epoch),
        (vec![1], late.partition_epoch + 1)
    );
    assert!(cluster.unfence(2));
    assert_eq!(
        code(cluster.alter(id, late).error_code),
        ErrorCode::InvalidUpdateVersion
    );
    assert_eq!(cluster.propose(id, &[1, 2]).error_code, 0);
}

#[test]
fn only_the_registered_incarnation_of_the_leader_proposes() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    let item = cluster.proposal(id, &[1, 2]);
    let ask = |broker_id: i32, broker_epoch: i64| {
        Request::AlterPartition(proto::AlterPartitionRequest {
            broker_id,
            broker_epoch,
            partitions: vec![item.clone()],
        })
    };
    let stale = ask(1, cluster.epoch(1) - 1);
    assert_eq!(code(cluster.ask(stale).error_code), ErrorCode::StaleBrokerEpoch);
    let follower = ask(2, cluster.epoch(2));
    let answer = cluster.ask(follower);
    let Some(proto::control_response::Response::AlterPartition(answer)) = answer.response else {
        panic!()
    };
    assert_eq!(code(answer.partitions[0].error_code), ErrorCode::InvalidRequest);
}

#[test]
fn who_leaves_the_isr_below_the_minimum_stays_eligible_until_it_is_reached_again() {
    let mut cluster = Cluster::with_brokers(3, 2);
    let id = cluster.topic("t", &[1, 2, 3]);
    cluster.propose(id, &[1, 2]);
    assert_eq!(cluster.state(id), (1, vec![1, 2], vec![], vec![]));
    cluster.propose(id, &[1]);
    assert_eq!(cluster.state(id), (1, vec![1], vec![2], vec![]));
    cluster.propose(id, &[1, 3]);
    assert_eq!(cluster.state(id), (1, vec![1, 3], vec![], vec![]));
}

#[test]
fn a_lower_minimum_takes_the_eligible_replicas_away_before_it_holds() {
    let mut cluster = Cluster::with_brokers(2, 2);
    let own = cluster.topic("own", &[1, 2]);
    let inherits = cluster.topic("inherits", &[1, 2]);
    cluster.propose(own, &[1]);
    cluster.propose(inherits, &[1]);
    let key = "min.insync.replicas";
    assert_eq!(
        cluster.set_config(ConfigResourceType::Topic, "own", key, Some("1")),
        ErrorCode::None
    );
    assert_eq!(cluster.state(own).2, Vec::<i32>::new());
    assert_eq!(cluster.state(inherits).2, vec![2]);
    assert_eq!(
        cluster.set_config(ConfigResourceType::Broker, "", key, Some("1")),
        ErrorCode::None
    );
    assert_eq!(cluster.state(inherits).2, Vec::<i32>::new());
    let last = cluster.records.len() - 1;
    assert!(matches!(
        cluster.records[last].record,
        Some(proto::metadata_record::Record::Config(_))
    ));
}
