//! Consumers of one group that commit what they have read.
//!
//! * GRP-1: a committed offset that the group reports is never below one whose commit was answered before the question.
//! * GRP-2: every record is read by some member at least once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};

use crate::deadline::wait_until;
use crate::members::Cluster;

/// Records between two commits of a member.
const COMMIT_EVERY: usize = 200;

/// Running members of a group.
#[derive(Debug)]
pub struct Group {
    name: String,
    topic: String,
    partitions: i32,
    progress: Arc<Mutex<Progress>>,
    stop: Vec<SyncSender<()>>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Highest answered commit of each partition.
    committed: BTreeMap<i32, i64>,
    /// Everything read by anybody.
    read: BTreeSet<(i32, i64)>,
    /// Answered commits.
    commits: usize,
}

impl Group {
    /// Starts `members` consumers of `topic` from its beginning.
    ///
    /// # Errors
    /// librdkafka refused a setting.
    pub fn start(cluster: &Cluster, name: &str, topic: &str, partitions: i32, members: usize) -> anyhow::Result<Self> {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let (mut stop, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..members {
            let consumer: BaseConsumer<Member> = member_config(cluster, name).create_with_context(Member::default())?;
            consumer.subscribe(&[topic])?;
            let (sender, receiver) = sync_channel(1);
            let progress = Arc::clone(&progress);
            threads.push(std::thread::spawn(move || consume(&consumer, &progress, &receiver)));
            stop.push(sender);
        }
        Ok(Self {
            name: name.to_owned(),
            topic: topic.to_owned(),
            partitions,
            progress,
            stop,
            threads,
        })
    }

    /// How many different records the members have read.
    pub fn read(&self) -> usize {
        self.lock().read.len()
    }

    /// Waits for `more` further answered commits: the coordinator serves, again or still.
    ///
    /// # Errors
    /// They didn't come within `seconds`.
    pub fn wait_for_commits(&self, more: usize, seconds: u64) -> anyhow::Result<()> {
        let goal = self.lock().commits + more;
        wait_until(&format!("{more} more commits of {}", self.name), seconds, || {
            Ok((self.lock().commits >= goal).then_some(()))
        })
    }

    /// Waits until every one of `records` (partition, offset) has been read (GRP-2).
    ///
    /// # Errors
    /// Some weren't within `seconds`.
    pub fn wait_for_records(&self, records: &BTreeSet<(i32, i64)>, seconds: u64) -> anyhow::Result<()> {
        wait_until(
            &format!("GRP-2: {} records read by {}", records.len(), self.name),
            seconds,
            || {
                let progress = self.lock();
                let missing: Vec<_> = records.difference(&progress.read).take(5).collect();
                ensure!(missing.is_empty(), "not read: {missing:?}, …");
                Ok(Some(()))
            },
        )
    }

    /// Asks the coordinator for the committed offsets and checks GRP-1.
    ///
    /// # Errors
    /// No answer within 30 s, or an offset has gone back.
    pub fn check_committed(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let answered = self.lock().committed.clone();
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.topic, 0, self.partitions - 1);
        let committed = wait_until("the committed offsets", 30, || {
            let observer: BaseConsumer = member_config(cluster, &self.name).create()?;
            Ok(Some(observer.committed_offsets(asked.clone(), Duration::from_secs(5))?))
        })?;
        for (partition, least) in answered {
            let found = committed
                .find_partition(&self.topic, partition)
                .map(|element| element.offset());
            let ok = matches!(found, Some(Offset::Offset(offset)) if offset >= least);
            ensure!(
                ok,
                "GRP-1: commit of {least} in partition {partition} was answered, now committed: {found:?}"
            );
        }
        Ok(())
    }

    /// Ends the members: they leave the group.
    ///
    /// # Errors
    /// A member had seen an offset go back, or its thread panicked.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.stop.clear();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a member's thread panicked"))??;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notices rebalances: what a member has read but not committed then belongs to somebody else.
#[derive(Debug, Default)]
struct Member {
    rebalanced: AtomicBool,
}

impl ClientContext for Member {}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, _rebalance: &Rebalance<'_>) {
        self.rebalanced.store(true, Ordering::Relaxed);
    }
}

fn member_config(cluster: &Cluster, group: &str) -> ClientConfig {
    let mut config = cluster.client();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    config
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "1000");
    config
}

fn consume(consumer: &BaseConsumer<Member>, progress: &Mutex<Progress>, stop: &Receiver<()>) -> anyhow::Result<()> {
    let mut uncommitted: BTreeMap<i32, (String, i64)> = BTreeMap::new();
    let mut count = 0;
    while matches!(stop.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout)) {
        // An error is a broker that is gone: librdkafka finds the next one itself.
        let polled = consumer.poll(Duration::from_millis(100));
        if consumer.context().rebalanced.swap(false, Ordering::Relaxed) {
            uncommitted.clear();
        }
        if let Some(Ok(message)) = polled {
            let (partition, offset) = (message.partition(), message.offset());
            progress
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .read
                .insert((partition, offset));
            uncommitted.insert(partition, (message.topic().to_owned(), offset + 1));
            count += 1;
            if count < COMMIT_EVERY {
                continue;
            }
        }
        count = 0;
        if !uncommitted.is_empty() {
            commit(consumer, &uncommitted, progress)?;
            uncommitted.clear();
        }
    }
    Ok(())
}

/// Commits; a refusal (a rebalance, a coordinator that moves) only means that somebody reads the records again.
fn commit(
    consumer: &BaseConsumer<Member>,
    ends: &BTreeMap<i32, (String, i64)>,
    progress: &Mutex<Progress>,
) -> anyhow::Result<()> {
    let mut offsets = TopicPartitionList::new();
    for (partition, (topic, end)) in ends {
        offsets.add_partition_offset(topic, *partition, Offset::Offset(*end))?;
    }
    if consumer.commit(&offsets, CommitMode::Sync).is_err() {
        return Ok(());
    }
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    progress.commits += 1;
    for (partition, (_, end)) in ends {
        // The latest answered commit, not the highest: after a rebalance a member starts from what was committed,
        // so a lower one would itself be the violation.
        let before = progress.committed.insert(*partition, *end);
        ensure!(
            before.is_none_or(|before| before <= *end),
            "GRP-1: committed {end} in {partition} after {before:?}"
        );
    }
    Ok(())
}
