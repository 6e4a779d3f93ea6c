use types::{BrokerId, MetadataOffset, PartitionIndex, TopicId, TopicIdPartition, Uuid};

use super::*;
use crate::proto::{self, MetadataRecord};
use crate::record::{ReplayError, uuid_bytes};

fn topic(id: TopicId, name: &str) -> MetadataRecord {
    proto::Topic {
        topic_id: uuid_bytes(id.0),
        name: name.to_owned(),
    }
    .into()
}

fn partition(id: TopicIdPartition, replicas: &[i32]) -> MetadataRecord {
    PartitionRegistration::new(broker_ids(replicas), broker_ids(replicas))
        .to_record(id)
        .into()
}

#[test]
fn records_that_dont_fit_are_refused_and_change_nothing() {
    let topic_id = TopicId(Uuid::from_u128(1));
    let id = TopicIdPartition {
        topic_id,
        partition: PartitionIndex(0),
    };
    let mut image = MetadataImage::new();
    image
        .replay_all(&[topic(topic_id, "t"), partition(id, &[1, 2])])
        .expect("they fit");
    let change = |leader_epoch: i32, partition_epoch: i32, leader: Option<i32>| -> MetadataRecord {
        proto::PartitionChange {
            topic_id: uuid_bytes(topic_id.0),
            leader,
            leader_epoch,
            partition_epoch,
            ..Default::default()
        }
        .into()
    };
    let before = image.clone();
    for (record, refused_as_expected) in [
        (topic(topic_id, "other"), ReplayError::TopicExists(topic_id)),
        (partition(id, &[1]), ReplayError::PartitionOutOfOrder(id)),
        (change(1, 1, Some(9)), ReplayError::LeaderIsNoReplica(BrokerId(9))),
        (MetadataRecord { record: None }, ReplayError::UnknownRecord),
    ] {
        assert_eq!(image.replay(&record), Err(refused_as_expected));
        assert_eq!(image, before);
    }
    assert!(matches!(
        image.replay(&change(0, 2, None)),
        Err(ReplayError::PartitionEpoch { .. })
    ));
    assert!(matches!(
        image.replay(&change(0, 1, Some(2))),
        Err(ReplayError::LeaderEpoch { .. })
    ));
    assert_eq!(image.replay(&change(1, 1, Some(2))), Ok(()));
    assert_eq!(image.partitions_led_by(BrokerId(2)).collect::<Vec<_>>(), [id]);
    assert_eq!(image.offset(), MetadataOffset(3));
    assert_eq!(
        before.partition(id).and_then(|partition| partition.leader),
        Some(BrokerId(1)),
        "a clone is apart"
    );
}
