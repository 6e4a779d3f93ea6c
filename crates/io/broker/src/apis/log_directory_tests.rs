//! What clients see of a data directory that is full, and of one that failed.

use std::sync::Arc;
use std::time::Duration;

use ::metadata::proto::{MetadataRecord, Partition, RemoveTopic, Topic};
use bytes::Bytes;
use records::{BatchBuilder, NewRecord};
use types::{ErrorCode, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicIdPartition};
use wire::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::messages::{AlterReplicaLogDirsRequest, DescribeLogDirsRequest, ProduceRequest};

use super::exchange::text;
use super::fixture::{LoneBroker, image, topic_id_of};
use crate::SystemClock;
use crate::clock::Clock;

fn produce() -> ProduceRequest {
    let mut batch = BatchBuilder::new();
    batch.append(NewRecord::new(SystemClock.now(), Bytes::new(), Bytes::from("v")));
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch.finish().unwrap()));
    let topic = TopicProduceData::default()
        .with_name(wire::messages::TopicName(text("a")))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

async fn produced(broker: &LoneBroker) -> (ErrorCode, i64) {
    let answer = broker.ask(9, &produce()).await;
    let partition = &answer.responses[0].partition_responses[0];
    (ErrorCode::from_code(partition.error_code), partition.base_offset)
}

#[tokio::test]
async fn a_full_directory_refuses_records_until_there_is_room() {
    let broker = LoneBroker::with_topics(&["a"]).await;
    assert_eq!(produced(&broker).await, (ErrorCode::None, 0));
    let replicas = &broker.context().replicas;
    replicas.logs().health(0).note_full();
    assert_eq!(produced(&broker).await, (ErrorCode::KafkaStorageError, -1));
    let partition = replicas
        .partitions()
        .into_iter()
        .find(|partition| partition.status().is_leader);
    assert_eq!(
        partition.unwrap().log_end().1.0,
        1,
        "nothing of the refused batch stays"
    );
    assert!(replicas.make_room(0), "the disk has room");
    assert_eq!(produced(&broker).await, (ErrorCode::None, 1));
}

#[tokio::test]
async fn an_offline_directory_is_shown_as_such_and_a_healthy_one_with_its_bytes() {
    let broker = LoneBroker::with_topics(&["a"]).await;
    let request = DescribeLogDirsRequest::default().with_topics(None);
    let healthy = broker.ask(4, &request).await.results.remove(0);
    assert_eq!(ErrorCode::from_code(healthy.error_code), ErrorCode::None);
    assert!(healthy.total_bytes >= healthy.usable_bytes && healthy.usable_bytes > 0);
    assert_eq!(healthy.topics.len(), 1);
    let replicas = &broker.context().replicas;
    replicas.logs().health(0).fail("the disk burns");
    replicas.take_offline(0);
    let offline = broker.ask(4, &request).await.results.remove(0);
    assert_eq!(ErrorCode::from_code(offline.error_code), ErrorCode::KafkaStorageError);
    assert_eq!(
        (offline.total_bytes, offline.usable_bytes, offline.topics.len()),
        (-1, -1, 0)
    );
    assert_eq!(produced(&broker).await, (ErrorCode::KafkaStorageError, -1));
    assert!(!replicas.offline_to_report().is_empty(), "the controller is told");
    assert!(
        broker.context().replicas.logs().check_usable().is_err(),
        "it was the only one"
    );
}

/// Else a power cut, before the checkpoints are next written, would have the new log begin where the old one ended.
#[tokio::test]
async fn a_topic_made_again_takes_nothing_from_the_checkpoints_of_the_old_one() {
    let broker = LoneBroker::with_topics(&["a"]).await;
    assert_eq!(produced(&broker).await, (ErrorCode::None, 0));
    let context = broker.context();
    context.replicas.write_checkpoints(0).unwrap();
    let file = context.replicas.logs().path(0).join("replication-offset-checkpoint");
    let tells_of_the_record = || std::fs::read_to_string(&file).unwrap().contains("a 0 1\n");
    assert!(tells_of_the_record());
    let publish = async |records: &[MetadataRecord]| {
        let base = context.host.image.load().offset();
        context.publisher.publish(base, records).await.unwrap();
    };
    let topic_id = Bytes::copy_from_slice(topic_id_of("a").0.as_bytes());
    publish(&[RemoveTopic { topic_id }.into()]).await;
    let topic_id = Bytes::from_static(&[9; 16]);
    let topic = Topic {
        topic_id: topic_id.clone(),
        name: "a".to_owned(),
    };
    let partition = Partition {
        topic_id,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        ..Partition::default()
    };
    publish(&[topic.into(), partition.into()]).await;
    assert!(!tells_of_the_record());
    assert_eq!(produced(&broker).await, (ErrorCode::None, 0));
}

const DEADLINE: Duration = Duration::from_secs(60);

/// Where the broker's directories say that partition 0 of "a" lies, and comes to: (directory, future).
async fn places(broker: &LoneBroker) -> Vec<(usize, bool)> {
    let request = DescribeLogDirsRequest::default().with_topics(None);
    let directories = broker.ask(4, &request).await.results;
    let mut places = Vec::new();
    for (at, directory) in directories.iter().enumerate() {
        let partitions = directory.topics.iter().flat_map(|topic| &topic.partitions);
        let partitions = partitions.filter(|partition| partition.partition_index == 0);
        places.extend(partitions.map(|partition| (at, partition.is_future_key)));
    }
    places
}

async fn moved(broker: &LoneBroker, path: &str, topic: &str, partition: i32) -> ErrorCode {
    let topics = AlterReplicaLogDirTopic::default()
        .with_name(wire::messages::TopicName(text(topic)))
        .with_partitions(vec![partition]);
    let directory = AlterReplicaLogDir::default()
        .with_path(text(path))
        .with_topics(vec![topics]);
    let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]);
    let answer = broker.ask(2, &request).await;
    ErrorCode::from_code(answer.results[0].partitions[0].error_code)
}

#[tokio::test]
async fn a_replica_moves_to_another_directory_while_records_come() {
    let broker = LoneBroker::with_directories(&["a"], 2).await;
    assert_eq!(produced(&broker).await, (ErrorCode::None, 0));
    let replicas = Arc::clone(&broker.context().replicas);
    let mut partitions = replicas.partitions();
    partitions.retain(|partition| partition.id().partition == PartitionIndex(0));
    let leader = partitions.remove(0);
    let from = leader.directory();
    assert_eq!(places(&broker).await, [(from, false)]);
    let path = |at: usize| replicas.logs().path(at).display().to_string();

    assert_eq!(moved(&broker, "/nowhere", "a", 0).await, ErrorCode::LogDirNotFound);
    assert_eq!(
        moved(&broker, &path(0), "b", 0).await,
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(moved(&broker, &path(from), "a", 0).await, ErrorCode::None);
    assert_eq!(places(&broker).await, [(from, false)]);

    let mut offset = 1;
    for to in [1 - from, from, 1 - from] {
        assert_eq!(moved(&broker, &path(to), "a", 0).await, ErrorCode::None);
        let moves = async {
            while leader.directory() != to {
                assert_eq!(produced(&broker).await, (ErrorCode::None, offset));
                offset += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, moves).await.expect("it never moves");
        assert_eq!(produced(&broker).await, (ErrorCode::None, offset));
        offset += 1;
        let settles = async {
            while places(&broker).await != [(to, false)] {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, settles)
            .await
            .expect("it stays on its way");
        assert_eq!(leader.health().path(), replicas.logs().path(to));
        let status = leader.status();
        assert!(status.is_leader);
        assert_eq!((status.log_start_offset.0, status.log_end_offset.0), (0, offset));
        let (_, next, _) = leader.read_committed(Offset(0), 1 << 20).unwrap();
        assert_eq!(next, Offset(offset));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_for_ten_seconds_takes_its_directory_offline() {
    let broker = LoneBroker::with_topics(&["a"]).await;
    let logs = broker.context().replicas.logs();
    let health = logs.health(0);
    let hangs = health.begin();
    logs.watch_pending(tokio::time::Instant::now());
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    let age = logs.watch_pending(tokio::time::Instant::now());
    assert!(age.as_secs() >= 9 && !health.is_offline());
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    logs.watch_pending(tokio::time::Instant::now());
    assert!(health.is_offline());
    drop(hangs);
}

/// The background's round comes after five seconds; nobody shall wait for it.
#[tokio::test(start_paused = true)]
async fn what_was_written_before_is_synced_at_once_when_acknowledgements_begin_to_wait_for_it() {
    let broker = LoneBroker::with_topics(&["a"]).await;
    let began = tokio::time::Instant::now();
    let synced = async |partition: &crate::partition::Partition| {
        while partition.has_unsynced() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(
                began.elapsed() < Duration::from_secs(4),
                "only the background has synced it"
            );
        }
    };
    assert_eq!(produced(&broker).await, (ErrorCode::None, 0));
    let id = TopicIdPartition {
        topic_id: topic_id_of("a"),
        partition: PartitionIndex(0),
    };
    let partition = broker.context().replicas.partition(id).unwrap();
    assert!(partition.has_unsynced());
    // The topic is given `flush.messages`.
    let mut settings = (*partition.settings()).clone();
    settings.log.flush_messages = Some(100);
    partition.apply_settings(settings);
    synced(&partition).await;
    // A new leadership finds what an earlier one has written.
    assert_eq!(produced(&broker).await, (ErrorCode::None, 1));
    assert!(partition.has_unsynced(), "a hundred records haven't come");
    let mut registration = (**image(&["a"]).partition(id).unwrap()).clone();
    registration.partition_epoch = PartitionEpoch(7);
    registration.leader_epoch = LeaderEpoch(7);
    partition.apply_registration(&registration);
    synced(&partition).await;
}
