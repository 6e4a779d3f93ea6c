//! What members tell each other through the coordinator: Kafka's consumer protocol, partitions dealt out in turn.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wire::messages::consumer_protocol_assignment::TopicPartition;
use wire::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
use wire::protocol::{Decodable, Encodable, StrBytes};

use super::TOPIC;

/// The protocol's name.
pub(super) const ROUND_ROBIN: &str = "roundrobin";
/// The version of both messages.
const VERSION: i16 = 0;

fn versioned<T: Encodable>(message: &T) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(VERSION);
    // A message of a few strings always encodes.
    let encoded = message.encode(&mut bytes, VERSION);
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    bytes.freeze()
}

/// What a member subscribes to.
pub(super) fn subscription() -> Bytes {
    versioned(&ConsumerProtocolSubscription::default().with_topics(vec![StrBytes::from_static_str(TOPIC)]))
}

/// The leader's decision: each member's assignment.
pub(super) fn assign(members: &[StrBytes], partitions: &[i32]) -> Vec<(StrBytes, Bytes)> {
    let mut dealt: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
    for (at, partition) in partitions.iter().enumerate() {
        dealt.entry(at % members.len().max(1)).or_default().push(*partition);
    }
    let assigned = members.iter().enumerate().map(|(at, member)| {
        let topic = TopicPartition::default()
            .with_topic(TopicName(StrBytes::from_static_str(TOPIC)))
            .with_partitions(dealt.remove(&at).unwrap_or_default());
        let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![topic]);
        (member.clone(), versioned(&assignment))
    });
    assigned.collect()
}

/// The partitions of an assignment; `None` when it is none.
pub(super) fn assigned(mut bytes: Bytes) -> Option<Vec<i32>> {
    let version = bytes.try_get_i16().ok()?;
    let assignment = ConsumerProtocolAssignment::decode(&mut bytes, version).ok()?;
    let topics = assignment.assigned_partitions.into_iter();
    Some(topics.flat_map(|topic| topic.partitions).collect())
}
