//! What the world looks like at one moment: the replicas and images of every running node.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use controller::raft::{AppliedImage, MetadataQuorum};
use metadata::MetadataImage;
use types::{BrokerEpoch, LeaderEpoch, Offset, TopicIdPartition};

use crate::clients::TOPIC;
use crate::fabric::NodeId;
use crate::node::Node;

/// One replica.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaView {
    pub(crate) node: NodeId,
    /// Counts the node's processes.
    pub(crate) life: u64,
    pub(crate) id: TopicIdPartition,
    pub(crate) is_leader: bool,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) high_watermark: Offset,
    pub(crate) log_end: Offset,
}

/// One running node.
#[derive(Debug)]
pub(crate) struct NodeView {
    pub(crate) node: NodeId,
    pub(crate) life: u64,
    pub(crate) quorum: Option<MetadataQuorum>,
    pub(crate) applied: Option<Arc<AppliedImage>>,
    /// The broker's incarnation.
    pub(crate) broker_epoch: Option<BrokerEpoch>,
    /// The broker's image.
    pub(crate) image: Option<Arc<MetadataImage>>,
    pub(crate) replicas: BTreeMap<TopicIdPartition, ReplicaView>,
}

impl NodeView {
    /// Looks at a node; to be called inside its runtime's time.
    pub(crate) fn of(node: NodeId, life: u64, running: &Node) -> Self {
        let parts = running.parts.lock();
        let quorum = parts.quorum.clone();
        let applied = quorum.as_ref().map(|quorum| Arc::clone(&quorum.images().borrow()));
        let mut replicas = BTreeMap::new();
        let mut image = None;
        let broker_epoch = parts.context.as_ref().map(|context| context.host.broker_epoch());
        if let Some(context) = &parts.context {
            image = Some(context.host.image.load_full());
            for partition in context.replicas.partitions() {
                let status = partition.status();
                let replica = ReplicaView {
                    node,
                    life,
                    id: partition.id(),
                    is_leader: status.is_leader,
                    leader_epoch: status.leader_epoch,
                    high_watermark: status.high_watermark,
                    log_end: status.log_end_offset,
                };
                replicas.insert(partition.id(), replica);
            }
        }
        Self {
            node,
            life,
            quorum,
            applied,
            broker_epoch,
            image,
            replicas,
        }
    }
}

/// A replica's committed batches from an offset on, and the offset after them.
pub(crate) fn committed_after(running: &Node, id: TopicIdPartition, from: Offset) -> Option<(Bytes, Offset)> {
    let context = running.parts.lock().context.clone()?;
    let partition = context.replicas.partition(id)?;
    let (bytes, next, _) = partition.read_committed(from, 1 << 20).ok()?;
    Some((bytes, next))
}

/// The newest image that any controller has applied.
pub(crate) fn newest_image(views: &[NodeView]) -> Option<Arc<MetadataImage>> {
    views
        .iter()
        .filter_map(|view| view.applied.as_ref())
        .max_by_key(|applied| applied.offset)
        .map(|applied| Arc::clone(&applied.image))
}

/// The partitions of the topic that is written to.
pub(crate) fn event_partitions(image: &MetadataImage) -> Vec<TopicIdPartition> {
    let Some(topic) = image.topic(TOPIC) else {
        return Vec::new();
    };
    topic
        .partitions()
        .map(|(partition, _)| TopicIdPartition {
            topic_id: topic.id,
            partition,
        })
        .collect()
}
