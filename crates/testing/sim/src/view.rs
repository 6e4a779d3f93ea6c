//! What the world looks like at one moment: the replicas and images of every running node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use controller::raft::{AppliedImage, MetadataQuorum};
use metadata::MetadataImage;
use types::{BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, Offset, TopicIdPartition};

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

/// The partitions whose promises are kept: those that are written to, and the groups'.
pub(crate) fn watched_partitions(image: &MetadataImage) -> Vec<TopicIdPartition> {
    let mut partitions = event_partitions(image);
    partitions.extend(partitions_of(image, "__consumer_offsets"));
    partitions
}

/// The nodes whose present directory votes in the quorum for good, as its leader sees it: while a membership isn't committed,
/// the one before it counts, too, with directories that may be gone.
pub(crate) fn voters(views: &[NodeView]) -> BTreeSet<NodeId> {
    let statuses: Vec<_> = views
        .iter()
        .filter_map(|view| Some((view.node, view.quorum.as_ref()?.status())))
        .collect();
    let leader = statuses
        .iter()
        .max_by_key(|(node, status)| (status.leader == Some(BrokerId(*node)), status.term));
    let Some((_, seen)) = leader else {
        return BTreeSet::new();
    };
    let votes = |node: NodeId, directory: DirectoryId| {
        let mut of_node = seen.voters.iter().filter(|voter| voter.node_id == BrokerId(node));
        let voter = of_node.next();
        voter.is_some_and(|voter| voter.directory_id == directory) && of_node.next().is_none()
    };
    if seen.commit_index < seen.last_index {
        return BTreeSet::new();
    }
    statuses
        .iter()
        .filter(|(node, status)| votes(*node, status.directory_id))
        .map(|(node, _)| *node)
        .collect()
}

/// A node that has two votes, as somebody sees it: its old directory's beside its new one's. Right only while the
/// membership changes.
pub(crate) fn two_votes(views: &[NodeView]) -> Option<String> {
    views.iter().find_map(|view| {
        let status = view.quorum.as_ref()?.status();
        let nodes: BTreeSet<BrokerId> = status.voters.iter().map(|voter| voter.node_id).collect();
        (nodes.len() < status.voters.len()).then(|| format!("as node {} has it: {:?}", view.node, status.voters))
    })
}

/// The partitions of the topic that is written to.
pub(crate) fn event_partitions(image: &MetadataImage) -> Vec<TopicIdPartition> {
    partitions_of(image, TOPIC)
}

fn partitions_of(image: &MetadataImage, name: &str) -> Vec<TopicIdPartition> {
    let Some(topic) = image.topic(name) else {
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
