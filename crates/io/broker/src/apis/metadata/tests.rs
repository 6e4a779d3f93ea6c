use ::metadata::proto::BrokerChange;

use super::super::fixture::{LoneBroker, image, topic_id_of};
use super::*;

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(wire::messages::TopicName(text(name))))
}

fn by_id(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(topic_id_of(name).0)
}

fn request(topics: Option<Vec<MetadataRequestTopic>>) -> MetadataRequest {
    MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(false)
}

fn codes(topic: &MetadataResponseTopic) -> Vec<i16> {
    topic.partitions.iter().map(|partition| partition.error_code).collect()
}

const CREATION_IS_ASKED_SINCE: i16 = 4;

#[tokio::test]
async fn every_version_answers_brokers_and_topics() {
    let lone = LoneBroker::with_topics(&["a", "b"]).await;
    for version in 0..=13 {
        let allow = version < CREATION_IS_ASKED_SINCE;
        let all = request((version == 0).then(Vec::new)).with_allow_auto_topic_creation(allow);
        let response = lone.ask(version, &all).await;
        assert_eq!(response.brokers.len(), 2, "v{version}");
        assert_eq!(response.topics.len(), 2, "v{version}");
        let topic = &response.topics[0];
        assert_eq!(topic.partitions[0].leader_id.0, 1);
        // Nobody leads the third one.
        assert_eq!(codes(topic), [0, 0, ErrorCode::LeaderNotAvailable.code()]);
        if version >= 1 {
            assert_eq!(response.controller_id.0, 1);
        }
        if version >= 2 {
            assert_eq!(response.cluster_id.as_ref().unwrap().as_str(), "cluster");
        }
        if version >= 10 {
            assert_eq!(topic.topic_id, topic_id_of("a").0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_all_brokers_are_fenced_clients_still_hear_of_them() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let fenced = |broker_id: i32, fenced| -> ::metadata::proto::MetadataRecord {
        BrokerChange {
            broker_id,
            broker_epoch: i64::from(broker_id),
            fenced: Some(fenced),
            ..BrokerChange::default()
        }
        .into()
    };
    let mut image = image(&["a"]);
    image.replay_all(&[fenced(2, true)]).unwrap();
    lone.context().publisher.publish_snapshot(image.clone()).await;
    assert_eq!(lone.ask(9, &request(None)).await.brokers.len(), 2, "fenced just now");
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(lone.ask(9, &request(None)).await.brokers.len(), 1);
    image.replay_all(&[fenced(1, true)]).unwrap();
    lone.context().publisher.publish_snapshot(image).await;
    assert_eq!(lone.ask(9, &request(None)).await.brokers.len(), 2);
}

#[tokio::test]
async fn no_topics_is_not_all_topics() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    assert!(lone.ask(9, &request(Some(Vec::new()))).await.topics.is_empty());
}

#[tokio::test]
async fn a_leader_without_the_clients_listener_is_said_so() {
    let mut lone = LoneBroker::with_topics(&["a"]).await;
    lone.through("OTHER");
    let response = lone.ask(9, &request(None)).await;
    assert_eq!(response.brokers.len(), 1);
    assert_eq!(response.brokers[0].port, 9192);
    let listener = ErrorCode::ListenerNotFound.code();
    assert_eq!(codes(&response.topics[0])[1], listener);
    assert_eq!(
        response.topics[0].partitions[1].offline_replicas,
        [wire::messages::BrokerId(2)]
    );
    assert_eq!(
        codes(&lone.ask(5, &request(None)).await.topics[0])[1],
        ErrorCode::LeaderNotAvailable.code()
    );
}

#[tokio::test]
async fn unknown_and_invalid_topics_are_told_apart() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let response = lone
        .ask(
            12,
            &request(Some(vec![named("z"), named("no good"), by_id("a"), by_id("z")])),
        )
        .await;
    let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
    let expected = [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::InvalidTopicException,
        ErrorCode::None,
        ErrorCode::UnknownTopicId,
    ];
    assert_eq!(codes, expected.map(ErrorCode::code));
    assert_eq!(response.topics[2].name.as_ref().unwrap().0.as_str(), "a");
    assert_eq!(response.topics[3].name, None);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_lost_is_not_named_until_it_is_reached() {
    let lone = LoneBroker::with_topics(&["a"]).await;
    let peers = &lone.context().host.peers;
    peers.on_lost(BrokerId(2));
    let response = lone.ask(12, &request(None)).await;
    assert_eq!(codes(&response.topics[0])[1], ErrorCode::LeaderNotAvailable.code());
    assert_eq!(response.topics[0].partitions[1].leader_id.0, -1);
    assert_eq!(response.brokers.len(), 2);
    peers.on_reached(BrokerId(2));
    assert_eq!(codes(&lone.ask(12, &request(None)).await.topics[0])[1], 0);
}
