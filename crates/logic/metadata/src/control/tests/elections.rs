//! Who leads when replicas go and come back.

use types::ErrorCode;

use super::cluster::Cluster;
use crate::image::LeaderRecovery;
use crate::proto::ConfigResourceType;

#[test]
fn the_last_member_stays_in_the_isr_and_leads_again() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!(cluster.state(id), (-1, vec![1], vec![], vec![]));
    cluster.start(2, false);
    assert_eq!(cluster.state(id).0, -1);
    cluster.start(1, false);
    assert_eq!(cluster.state(id), (1, vec![1], vec![], vec![]));
}

#[test]
fn an_eligible_replica_leads_when_the_isr_is_gone() {
    let mut cluster = Cluster::with_brokers(3, 2);
    let id = cluster.topic("t", &[1, 2, 3]);
    cluster.fence(3);
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!(cluster.state(id), (-1, vec![1], vec![2], vec![]));
    cluster.start(3, false);
    assert_eq!(cluster.state(id).0, -1);
    cluster.start(2, false);
    assert_eq!(cluster.state(id), (2, vec![2], vec![1], vec![]));
    assert_eq!(cluster.partition(id).recovery, LeaderRecovery::Recovered);
}

#[test]
fn replicas_lead_in_their_order_of_preference() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let id = cluster.topic("t", &[3, 1, 2]);
    cluster.fence(3);
    assert_eq!(cluster.state(id).0, 1);
    cluster.fence(1);
    assert_eq!(cluster.state(id).0, 2);
}

#[test]
fn preferred_leaders_come_back_once_in_sync() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    cluster.fence(1);
    cluster.start(1, false);
    assert_eq!(cluster.rebalance(), 0);
    assert_eq!(cluster.elect("t", false), ErrorCode::PreferredLeaderNotAvailable);
    cluster.propose(id, &[1, 2]);
    assert_eq!(cluster.rebalance(), 1);
    assert_eq!(cluster.state(id).0, 1);
    assert_eq!(cluster.elect("t", false), ErrorCode::ElectionNotNeeded);
    assert_eq!(cluster.elect("nothing", false), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn an_unclean_election_is_asked_for_and_marked() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    assert_eq!(cluster.elect("t", true), ErrorCode::ElectionNotNeeded);
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!(cluster.elect("t", true), ErrorCode::EligibleLeadersNotAvailable);
    cluster.start(2, false);
    assert_eq!(cluster.state(id).0, -1);
    assert_eq!(cluster.elect("t", true), ErrorCode::None);
    assert_eq!(cluster.state(id), (2, vec![2], vec![], vec![]));
    assert_eq!(cluster.partition(id).recovery, LeaderRecovery::Recovering);
    assert_eq!(cluster.propose(id, &[2]).error_code, 0);
    assert_eq!(cluster.partition(id).recovery, LeaderRecovery::Recovered);
}

#[test]
fn a_topic_that_allows_it_elects_uncleanly_by_itself() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    cluster.fence(2);
    cluster.fence(1);
    cluster.start(2, false);
    let key = "unclean.leader.election.enable";
    cluster.set_config(ConfigResourceType::Topic, "t", key, Some("true"));
    assert_eq!(cluster.rebalance(), 1);
    assert_eq!(cluster.state(id), (2, vec![2], vec![], vec![]));
}

#[test]
fn of_the_last_known_isr_the_farthest_leads_once_all_have_reported() {
    let mut cluster = Cluster::with_brokers(3, 2);
    let id = cluster.topic("t", &[1, 2, 3]);
    cluster.fence(3);
    cluster.fence(2);
    cluster.fence(1);
    cluster.start(2, true);
    cluster.start(3, true);
    assert!(
        !cluster.report(id, &[(2, 0, 10), (3, 0, 99)]),
        "broker 1 is clean still"
    );
    let _ = cluster.register(1, true);
    assert_eq!(cluster.state(id), (-1, vec![], vec![], vec![1, 2]));
    assert!(!cluster.report(id, &[(1, 0, 12), (2, 0, 10)]), "broker 1 is fenced");
    cluster.unfence(1);
    assert!(
        !cluster.report(id, &[(2, 0, 10), (3, 0, 99)]),
        "broker 1 hasn't reported"
    );
    assert!(cluster.report(id, &[(1, 0, 12), (2, 1, 10), (3, 9, 99)]));
    assert_eq!(cluster.state(id), (2, vec![2], vec![], vec![]));
}
