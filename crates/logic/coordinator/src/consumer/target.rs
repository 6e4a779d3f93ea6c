//! The target assignment: what each member is to have, made anew when the group's epoch grows.

use std::collections::{BTreeMap, BTreeSet};

use regex::RegexBuilder;
use types::{ErrorCode, TimestampMs, TopicId, TopicName};

use super::assignor::{AssignorKind, Subscriber};
use super::{ClusterView, ConsumerGroup};
use crate::record::{Assignment, ResolvedPattern};

/// Bytes of a compiled pattern: a client must not fill the coordinator's memory with one.
const PATTERN_BYTES: usize = 1 << 20;

/// What tells whether the topics of a group have changed: names, ids and numbers of partitions (FNV-1a). Never 0, which stands for
/// "not known".
pub(crate) fn metadata_hash<'a>(topics: impl IntoIterator<Item = &'a TopicName>, cluster: &dyn ClusterView) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for name in topics {
        if let Some(topic) = cluster.topic(name) {
            feed(name.as_str().as_bytes());
            feed(topic.id.0.as_bytes());
            feed(&topic.partitions.to_be_bytes());
        }
    }
    match hash.cast_signed() {
        0 => 1,
        hash => hash,
    }
}

/// The topics that a pattern stands for: those it matches as a whole, as RE2 does.
///
/// # Errors
/// INVALID_REGULAR_EXPRESSION.
pub(crate) fn resolve_pattern(
    pattern: &str,
    cluster: &dyn ClusterView,
    now: TimestampMs,
) -> Result<ResolvedPattern, ErrorCode> {
    let compile = |pattern: &str| {
        let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
        built.map_err(|_| ErrorCode::InvalidRegularExpression)
    };
    // By itself, or a stray parenthesis would find its match in ours.
    compile(pattern)?;
    let whole = compile(&format!("^(?:{pattern})$"))?;
    let matching = |name: &TopicName| whole.is_match(name.as_str());
    Ok(ResolvedPattern {
        topics: cluster.topic_names().into_iter().filter(matching).collect(),
        version: cluster.version(),
        resolved_at: now,
    })
}

/// What each member is to have, with as little moved as the assignor's kind allows.
pub(crate) fn new_targets(
    group: &ConsumerGroup,
    assignor: AssignorKind,
    cluster: &dyn ClusterView,
) -> BTreeMap<String, Assignment> {
    let mut partitions: BTreeMap<TopicId, i32> = BTreeMap::new();
    let mut views = BTreeMap::new();
    for name in group.subscribed_topics() {
        if let Some(topic) = cluster.topic(name) {
            partitions.insert(topic.id, topic.partitions);
            views.insert(name, topic.id);
        }
    }
    let subscribers = group.members.iter().map(|(member_id, member)| {
        let topics: BTreeSet<TopicId> = group
            .topics_of(member)
            .into_iter()
            .filter_map(|name| views.get(name).copied())
            .collect();
        Subscriber {
            member_id,
            instance_id: member.subscription.instance_id.as_deref(),
            topics,
            has: group.targets.get(member_id),
        }
    });
    assignor.assign(&subscribers.collect::<Vec<_>>(), &partitions)
}
