use bytes::Bytes;
use proptest::prelude::*;
use types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicName, Uuid};

use super::*;

fn member() -> PersistedMember {
    PersistedMember {
        member_id: "m".into(),
        group_instance_id: Some("i".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout_ms: 5,
        session_timeout_ms: 6,
        subscription: Bytes::from_static(&[7]),
        assignment: Bytes::from_static(&[8, 9]),
    }
}

fn group() -> GroupMetadata {
    GroupMetadata {
        protocol_type: "consumer".into(),
        generation: 3,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        current_state_timestamp: Some(TimestampMs(258)),
        members: vec![member()],
    }
}

fn commit() -> CommittedOffset {
    CommittedOffset {
        offset: Offset(42),
        leader_epoch: LeaderEpoch(7),
        metadata: "x".into(),
        commit_timestamp: TimestampMs(258),
        expire_timestamp: None,
        topic_id: None,
    }
}

#[test]
fn keys_have_kafkas_bytes() {
    let key = RecordKey::encode_offset_commit("g", &TopicName::new("t"), PartitionIndex(1));
    assert_eq!(&key[..], b"\0\x01\0\x01g\0\x01t\0\0\0\x01");
    let same = RecordKey::OffsetCommit {
        group_id: "g".into(),
        topic: "t".into(),
        partition: PartitionIndex(1),
    };
    assert_eq!(RecordKey::decode(&key), Ok(same.clone()));
    assert_eq!(RecordKey::decode(b"\0\0\0\x01g\0\x01t\0\0\0\x01"), Ok(same));
    let key = RecordKey::encode_group_metadata("g");
    assert_eq!(&key[..], b"\0\x02\0\x01g");
    assert_eq!(
        RecordKey::decode(&key),
        Ok(RecordKey::GroupMetadata { group_id: "g".into() })
    );
    assert_eq!(RecordKey::decode(b"\0\x09\xff"), Ok(RecordKey::Unknown { version: 9 }));
    assert_eq!(RecordKey::decode(b"\0\x02\0\x05g"), Err(RecordError::Truncated));
}

#[test]
fn an_offset_commit_has_kafkas_bytes() {
    assert_eq!(
        &commit().encode()[..],
        b"\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x07\0\x01x\0\0\0\0\0\0\x01\x02"
    );
    let expiring = CommittedOffset {
        expire_timestamp: Some(TimestampMs(3)),
        leader_epoch: LeaderEpoch::NONE,
        ..commit()
    };
    let bytes = expiring.encode();
    assert_eq!(
        &bytes[..],
        b"\0\x01\0\0\0\0\0\0\0\x2a\0\x01x\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03"
    );
    assert_eq!(CommittedOffset::decode(&bytes), Ok(expiring));
}

#[test]
fn an_offset_commit_of_every_version_is_read() {
    let old = CommittedOffset {
        leader_epoch: LeaderEpoch::NONE,
        ..commit()
    };
    assert_eq!(
        CommittedOffset::decode(b"\0\0\0\0\0\0\0\0\0\x2a\0\x01x\0\0\0\0\0\0\x01\x02"),
        Ok(old.clone())
    );
    assert_eq!(
        CommittedOffset::decode(b"\0\x02\0\0\0\0\0\0\0\x2a\0\x01x\0\0\0\0\0\0\x01\x02"),
        Ok(old)
    );
    assert_eq!(
        CommittedOffset::decode(b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x07\x02x\0\0\0\0\0\0\x01\x02\0"),
        Ok(commit())
    );
    let mut tagged = b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x07\x02x\0\0\0\0\0\0\x01\x02\x01\0\x10".to_vec();
    tagged.extend([5; 16]);
    let id = Some(TopicId(Uuid::from_bytes([5; 16])));
    assert_eq!(
        CommittedOffset::decode(&tagged),
        Ok(CommittedOffset {
            topic_id: id,
            ..commit()
        })
    );
    assert_eq!(CommittedOffset::decode(b"\0\x05"), Err(RecordError::UnknownVersion(5)));
}

#[test]
fn group_metadata_has_kafkas_bytes() {
    let bytes = group().encode();
    let expected = b"\0\x03\0\x08consumer\0\0\0\x03\0\x05range\0\x01m\0\0\0\0\0\0\x01\x02\0\0\0\x01\
        \0\x01m\0\x01i\0\x01c\0\x02/h\0\0\0\x05\0\0\0\x06\0\0\0\x01\x07\0\0\0\x02\x08\x09";
    assert_eq!(&bytes[..], &expected[..]);
    assert_eq!(GroupMetadata::decode(&bytes), Ok(group()));
    let empty = GroupMetadata {
        protocol: None,
        leader: None,
        members: vec![],
        current_state_timestamp: None,
        ..group()
    };
    let bytes = empty.encode();
    assert_eq!(
        &bytes[..],
        b"\0\x03\0\x08consumer\0\0\0\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"
    );
    assert_eq!(GroupMetadata::decode(&bytes), Ok(empty));
}

#[test]
fn group_metadata_of_the_flexible_and_the_first_version_is_read() {
    let flexible = b"\0\x04\x09consumer\0\0\0\x03\x06range\x02m\0\0\0\0\0\0\x01\x02\x02\
        \x02m\x02i\x02c\x03/h\0\0\0\x05\0\0\0\x06\x02\x07\x03\x08\x09\0\0";
    assert_eq!(GroupMetadata::decode(flexible), Ok(group()));
    let first = b"\0\0\0\x08consumer\0\0\0\x03\0\x05range\0\x01m\0\0\0\x01\
        \0\x01m\0\x01c\0\x02/h\0\0\0\x06\0\0\0\x01\x07\0\0\0\x02\x08\x09";
    let read = GroupMetadata::decode(first).unwrap();
    assert_eq!(read.current_state_timestamp, None);
    assert_eq!(read.members[0].rebalance_timeout_ms, 6);
}

#[test]
fn a_declared_count_beyond_the_bytes_is_refused() {
    let mut bytes = GroupMetadata {
        members: vec![],
        ..group()
    }
    .encode()
    .to_vec();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(GroupMetadata::decode(&bytes), Err(RecordError::BadLength));
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(version in 0_u8..6, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = vec![0, version];
        framed.extend(&bytes);
        for input in [&bytes, &framed] {
            let _ = RecordKey::decode(input);
            let _ = CommittedOffset::decode(input);
            let _ = GroupMetadata::decode(input);
        }
    }

    #[test]
    fn a_damaged_group_never_panics(at in 0_usize..80, byte: u8, cut in 0_usize..90) {
        let mut bytes = group().encode().to_vec();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(cut);
        let _ = GroupMetadata::decode(&bytes);
    }

    #[test]
    fn commits_survive_the_log(offset: i64, epoch in -1_i32.., metadata in ".{0,40}", at in 0_i64.., expires in proptest::option::of(0_i64..)) {
        let commit = CommittedOffset {
            offset: Offset(offset),
            leader_epoch: if expires.is_some() { LeaderEpoch::NONE } else { LeaderEpoch(epoch) },
            metadata,
            commit_timestamp: TimestampMs(at),
            expire_timestamp: expires.map(TimestampMs),
            topic_id: None,
        };
        prop_assert_eq!(CommittedOffset::decode(&commit.encode()), Ok(commit));
    }
}
