//! Lost log directories.

use types::{BrokerId, ErrorCode, TopicIdPartition, Uuid};

use super::cluster::{Cluster, code};
use crate::proto;
use crate::proto::control_request::Request;
use crate::record::uuid_bytes;

fn lose(cluster: &mut Cluster, broker: i32, directory: u128, replicas: &[TopicIdPartition]) -> i32 {
    let request = proto::DirectoriesOfflineRequest {
        broker_id: broker,
        broker_epoch: cluster.epoch(broker),
        directory_ids: vec![uuid_bytes(Uuid::from_u128(directory))],
        replicas: replicas.iter().map(|id| (*id).into()).collect(),
    };
    cluster.ask(Request::DirectoriesOffline(request)).error_code
}

#[test]
fn replicas_of_a_lost_directory_lose_their_leaderships_and_leave_the_isrs() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let led = cluster.topic("led", &[1, 2, 3]);
    let followed = cluster.topic("followed", &[2, 1, 3]);
    let elsewhere = cluster.topic("elsewhere", &[1, 2, 3]);
    assert_eq!(lose(&mut cluster, 1, 7, &[led, followed]), 0);
    assert_eq!(cluster.state(led), (2, vec![2, 3], vec![], vec![]));
    assert_eq!(cluster.state(followed), (2, vec![2, 3], vec![], vec![]));
    assert_eq!(
        cluster.state(elsewhere).0,
        1,
        "the broker goes on with its other directories"
    );
    assert!(cluster.image.is_active(BrokerId(1)));
    let offset = cluster.image.offset();
    assert_eq!(lose(&mut cluster, 1, 7, &[led, followed]), 0);
    assert_eq!(cluster.image.offset(), offset, "told again, nothing changes");
    let refused = cluster.propose(led, &[2, 3, 1]);
    assert_eq!(code(refused.error_code), ErrorCode::IneligibleReplica);
}

#[test]
fn the_last_member_of_an_isr_stays_without_leading_until_its_disk_is_back() {
    let mut cluster = Cluster::with_brokers(2, 1);
    let alone = cluster.topic("alone", &[1]);
    let pair = cluster.topic("pair", &[2, 1]);
    assert_eq!(cluster.propose(pair, &[2]).error_code, 0);
    assert_eq!(lose(&mut cluster, 1, 7, &[alone, pair]), 0);
    assert_eq!(cluster.state(alone), (-1, vec![1], vec![], vec![]));
    cluster.fence(1);
    assert!(cluster.unfence(1));
    assert_eq!(cluster.state(alone).0, -1, "the same incarnation still can't serve it");
    cluster.fence(2);
    assert_eq!(cluster.state(pair).0, -1, "nobody else is in sync");
    let _ = cluster.register(1, false);
    assert!(cluster.unfence(1));
    assert_eq!(cluster.state(alone).0, 1);
}

#[test]
fn an_eligible_replica_of_a_lost_directory_is_not_elected() {
    let mut cluster = Cluster::with_brokers(2, 2);
    let id = cluster.topic("t", &[1, 2]);
    assert_eq!(lose(&mut cluster, 2, 7, &[id]), 0);
    assert_eq!(
        cluster.state(id),
        (1, vec![1], vec![2], vec![]),
        "it holds all that was visible"
    );
    cluster.fence(1);
    assert_eq!(cluster.state(id).0, -1);
    let _ = cluster.register(2, false);
    assert!(cluster.unfence(2));
    assert_eq!(cluster.state(id).0, 2, "with its disk back it leads");
}

#[test]
fn the_directories_that_are_left_stay_registered() {
    let mut cluster = Cluster::new(1);
    let ids = [7, 8].map(|id| uuid_bytes(Uuid::from_u128(id)));
    let registration = proto::RegisterBrokerRequest {
        directory_ids: ids.to_vec(),
        ..cluster.registration(1)
    };
    let _ = cluster.ask(Request::RegisterBroker(registration));
    assert_eq!(lose(&mut cluster, 1, 7, &[]), 0);
    let left = &cluster.image.broker(BrokerId(1)).unwrap().directories;
    assert_eq!(left.iter().map(|id| id.0.as_u128()).collect::<Vec<_>>(), [8]);
    let stale = proto::DirectoriesOfflineRequest {
        broker_id: 1,
        broker_epoch: cluster.epoch(1) - 1,
        ..proto::DirectoriesOfflineRequest::default()
    };
    let answer = cluster.ask(Request::DirectoriesOffline(stale));
    assert_eq!(code(answer.error_code), ErrorCode::StaleBrokerEpoch);
}
