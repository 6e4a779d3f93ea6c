//! What a coordinator that takes over a partition of `__consumer_offsets` does first, by the commits in it. `cargo bench -p coordinator`.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use coordinator::record::{CommittedOffset, RecordKey};
use coordinator::{ClusterView, GroupConfig, GroupOverrides, GroupShard, TopicView};
use divan::Bencher;
use divan::counter::ItemsCount;
use types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicName};

/// Groups, and partitions that each has read: compaction is behind, so each position stands there many times.
const GROUPS: usize = 100;
const PARTITIONS: i32 = 100;

/// Groups that commit only look at no topic.
struct NoTopics;

impl ClusterView for NoTopics {
    fn version(&self) -> i64 {
        0
    }

    fn topic(&self, _name: &TopicName) -> Option<TopicView> {
        None
    }

    fn name_of(&self, _topic: TopicId) -> Option<TopicName> {
        None
    }

    fn topic_names(&self) -> Vec<TopicName> {
        Vec::new()
    }

    fn overrides(&self, _group_id: &str) -> GroupOverrides {
        GroupOverrides::default()
    }
}

fn main() {
    divan::main();
}

#[divan::bench(args = [10_000, 100_000, 1_000_000], sample_count = 5, sample_size = 1)]
fn load_commits(bencher: Bencher<'_, '_>, commits: usize) {
    let topic = TopicName::new("orders");
    let records: Vec<(Bytes, Bytes)> = (0..commits)
        .map(|at| {
            let group = format!("group-{}", at % GROUPS);
            let partition = PartitionIndex((at / GROUPS) as i32 % PARTITIONS);
            let value = CommittedOffset {
                offset: Offset(at as i64),
                leader_epoch: LeaderEpoch(1),
                metadata: String::new(),
                commit_timestamp: TimestampMs(at as i64),
                expire_timestamp: None,
                topic_id: None,
            };
            let key = RecordKey::encode_offset_commit(&group, &topic, partition);
            (key, value.encode())
        })
        .collect();
    bencher.counter(ItemsCount::new(commits)).bench_local(|| {
        let mut shard = GroupShard::new(GroupConfig::default());
        for (at, (key, value)) in records.iter().enumerate() {
            shard.replay(key, Some(value), Offset(at as i64)).unwrap();
        }
        let effects = shard.on_load_finished(TimestampMs(commits as i64), &NoTopics);
        assert!(effects.records.is_empty());
        assert_eq!(shard.offset_count(), commits.min(GROUPS * PARTITIONS as usize));
        shard
    });
}
