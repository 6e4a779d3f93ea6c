//! Registration, fencing, unfencing, controlled shutdown, producer ids.

use bytes::Bytes;
use types::{BrokerId, ErrorCode, LeaderEpoch};

use super::cluster::{Cluster, code};
use crate::proto;
use crate::proto::control_request::Request;
use crate::proto::control_response::Response;

#[test]
fn a_new_broker_is_fenced_until_it_has_applied_its_registration() {
    let mut cluster = Cluster::new(1);
    let answer = cluster.register(1, false);
    let Some(Response::RegisterBroker(registered)) = answer.response else {
        panic!("{answer:?}")
    };
    assert_eq!(registered.cluster_id, "castle");
    assert_eq!(registered.broker_epoch + 1, cluster.image.offset().0);
    let too_early = proto::UnfenceBrokerRequest {
        broker_id: 1,
        broker_epoch: registered.broker_epoch,
        metadata_offset: registered.broker_epoch,
    };
    let answer = cluster.ask(Request::UnfenceBroker(too_early));
    assert_eq!(
        answer.response,
        Some(Response::UnfenceBroker(proto::UnfenceBrokerResponse {
            unfenced: false
        }))
    );
    assert!(!cluster.image.is_active(BrokerId(1)));
    assert!(cluster.unfence(1));
    assert!(cluster.image.is_active(BrokerId(1)));
}

#[test]
fn the_same_incarnation_keeps_its_epoch_and_writes_nothing() {
    let mut cluster = Cluster::new(1);
    let request = cluster.registration(1);
    let first = cluster.ask(Request::RegisterBroker(request.clone()));
    let offset = cluster.image.offset();
    let second = cluster.ask(Request::RegisterBroker(request));
    assert_eq!(first.response, second.response);
    assert_eq!(cluster.image.offset(), offset);
}

#[test]
fn a_broker_of_another_cluster_or_with_a_live_namesake_is_refused() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let stranger = proto::RegisterBrokerRequest {
        cluster_id: "palace".to_owned(),
        ..cluster.registration(2)
    };
    assert_eq!(
        code(cluster.ask(Request::RegisterBroker(stranger)).error_code),
        ErrorCode::InconsistentClusterId
    );
    let namesake = proto::RegisterBrokerRequest {
        previous_incarnation_lives: true,
        ..cluster.registration(1)
    };
    let answer = cluster.ask(Request::RegisterBroker(namesake));
    assert_eq!(code(answer.error_code), ErrorCode::DuplicateBrokerRegistration);
    let malformed = proto::RegisterBrokerRequest {
        incarnation_id: Bytes::from_static(b"x"),
        ..cluster.registration(3)
    };
    assert_eq!(
        code(cluster.ask(Request::RegisterBroker(malformed)).error_code),
        ErrorCode::InvalidRegistration
    );
}

#[test]
fn a_new_incarnation_loses_its_leaderships_though_nobody_had_fenced_it() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let led = cluster.topic("led", &[1, 2, 3]);
    let alone = cluster.topic("alone", &[1]);
    let _ = cluster.register(1, false);
    assert_eq!(cluster.state(led), (2, vec![2, 3], vec![], vec![]));
    assert_eq!(cluster.state(alone), (-1, vec![1], vec![], vec![]));
    assert_eq!(cluster.partition(alone).leader_epoch, LeaderEpoch(1));
    assert!(cluster.unfence(1));
    assert_eq!(cluster.state(alone).0, 1);
    assert_eq!(cluster.partition(alone).leader_epoch, LeaderEpoch(2));
}

#[test]
fn an_unclean_shutdown_leaves_isr_and_elr_and_is_remembered() {
    let mut cluster = Cluster::with_brokers(2, 2);
    let id = cluster.topic("t", &[1, 2]);
    cluster.fence(2);
    assert_eq!(cluster.state(id), (1, vec![1], vec![2], vec![]));
    let _ = cluster.register(2, true);
    assert_eq!(cluster.state(id), (1, vec![1], vec![], vec![2]));
    let _ = cluster.register(1, true);
    assert_eq!(cluster.state(id), (-1, vec![], vec![], vec![1, 2]));
    cluster.unfence(1);
    assert_eq!(cluster.state(id).0, -1);
}

#[test]
fn only_the_partitions_named_unclean_suffer() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let lost = cluster.topic("lost", &[1]);
    let kept = cluster.topic("kept", &[1]);
    let epoch = cluster.epoch(1);
    let request = proto::RegisterBrokerRequest {
        unclean_partitions: vec![lost.into()],
        previous_broker_epoch: Some(epoch),
        ..cluster.registration(1)
    };
    assert_eq!(cluster.ask(Request::RegisterBroker(request)).error_code, 0);
    assert_eq!(cluster.state(lost), (-1, vec![], vec![], vec![1]));
    assert_eq!(cluster.state(kept), (-1, vec![1], vec![], vec![]));
}

/// Or of none: wiped ones.
#[test]
fn directories_of_another_epoch_are_unclean() {
    for previous_broker_epoch in [Some(0), None] {
        let mut cluster = Cluster::with_brokers(1, 1);
        let id = cluster.topic("t", &[1]);
        let request = proto::RegisterBrokerRequest {
            previous_broker_epoch,
            ..cluster.registration(1)
        };
        let _ = cluster.ask(Request::RegisterBroker(request));
        assert_eq!(cluster.state(id), (-1, vec![], vec![], vec![1]));
    }
}

#[test]
fn fencing_moves_leaderships_and_spares_a_newer_incarnation() {
    let mut cluster = Cluster::with_brokers(3, 2);
    let id = cluster.topic("t", &[1, 2, 3]);
    let old_epoch = cluster.epoch(1);
    cluster.fence(1);
    assert_eq!(cluster.state(id), (2, vec![2, 3], vec![], vec![]));
    cluster.start(1, false);
    let late = proto::FenceBrokerRequest {
        broker_id: 1,
        broker_epoch: old_epoch,
    };
    assert_eq!(
        code(cluster.ask(Request::FenceBroker(late)).error_code),
        ErrorCode::StaleBrokerEpoch
    );
    assert!(cluster.image.is_active(BrokerId(1)));
}

#[test]
fn a_controlled_shutdown_hands_over_and_keeps_what_nobody_can_take() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let shared = cluster.topic("shared", &[1, 2]);
    let alone = cluster.topic("alone", &[1]);
    let answer = cluster.shut_down(1);
    assert_eq!(
        (
            answer.moved_leaderships,
            answer.remaining_leaderships,
            answer.ready_to_stop
        ),
        (1, 1, true)
    );
    assert_eq!(cluster.state(shared), (2, vec![2], vec![], vec![]));
    assert_eq!(cluster.state(alone), (1, vec![1], vec![], vec![]));
    assert!(!cluster.image.is_active(BrokerId(1)));
}

#[test]
fn a_follower_that_catches_up_takes_over_from_a_leader_that_waits_to_stop() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    cluster.propose(id, &[1]);
    let answer = cluster.shut_down(1);
    assert_eq!((answer.remaining_leaderships, answer.ready_to_stop), (1, false));
    let result = cluster.propose(id, &[1, 2]);
    assert_eq!(code(result.error_code), ErrorCode::NewLeaderElected);
    assert_eq!(result.leader, 2);
    assert!(cluster.shut_down(1).ready_to_stop);
    assert_eq!(cluster.state(id), (2, vec![2], vec![], vec![]));
}

#[test]
fn producer_ids_are_given_once() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let mut next = |broker_id: i32| {
        let broker_epoch = cluster.epoch(broker_id);
        let request = proto::AllocateProducerIdsRequest {
            broker_id,
            broker_epoch,
        };
        match cluster.ask(Request::AllocateProducerIds(request)).response {
            Some(Response::AllocateProducerIds(block)) => (block.first_producer_id, block.count),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([next(1), next(2), next(1)], [(0, 1000), (1000, 1000), (2000, 1000)]);
}

#[test]
fn an_unregistered_broker_leads_nothing() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let id = cluster.topic("t", &[1, 2]);
    let answer = cluster.ask(Request::UnregisterBroker(proto::UnregisterBrokerRequest {
        broker_id: 1,
    }));
    assert_eq!(answer.error_code, 0);
    assert_eq!(cluster.state(id).0, 2);
    let again = cluster.ask(Request::UnregisterBroker(proto::UnregisterBrokerRequest {
        broker_id: 1,
    }));
    assert_eq!(code(again.error_code), ErrorCode::BrokerIdNotRegistered);
}
