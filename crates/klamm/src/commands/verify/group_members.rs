//! Consumers in groups that commit what they have read, and the question for what is committed.
//!
//! Commits are made one partition at a time: librdkafka reports one that failed beside others that didn't as a success.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use history::{CommitOutcome, Event};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::consumers::{Quiet, join, note_refusal};
use super::plan::Plan;
use super::read_runs::ReadRuns;
use super::recorder::Recorder;
use crate::commands::duration::deadline_in;

/// How long to wait for a record before what was got is written down.
const POLL: Duration = Duration::from_millis(50);
/// Between two commits of a member.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// A group's first coordinator may have to be made, with its topic.
const COORDINATOR_WITHIN: Duration = Duration::from_secs(60);
/// How long a question for the committed offsets may take.
const QUESTION: Duration = Duration::from_secs(5);

/// By group and partition: the highest answered commit.
type Committed = Arc<Vec<Vec<AtomicU64>>>;

/// Running members of all groups.
#[derive(Debug)]
pub(super) struct GroupMembers {
    stop: Arc<AtomicBool>,
    stay: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
    committed: Committed,
}

impl GroupMembers {
    /// Starts the members of all groups, whose reader numbers begin at `first`, group by group.
    pub(super) fn start(plan: &Plan, recorder: &Recorder, first: u16) -> Result<Self> {
        commit_beginnings(plan)?;
        let (stop, stay) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let partitions = || (0..plan.partitions).map(|_| AtomicU64::new(0)).collect();
        let committed: Committed = Arc::new((0..plan.groups).map(|_| partitions()).collect());
        let mut threads = Vec::new();
        for at in 0..plan.groups * plan.members {
            let (reader, group) = (first + at, at / plan.members);
            let identity = Identity {
                plan: plan.clone(),
                recorder: recorder.clone(),
                reader,
                group,
            };
            let member = Consuming {
                consumer: identity.client()?,
                identity,
                committed: Arc::clone(&committed),
                stay: Arc::clone(&stay),
            };
            member.join()?;
            let turn = at % plan.members;
            let stop = Arc::clone(&stop);
            let builder = std::thread::Builder::new().name(format!("member-{reader}"));
            threads.push(builder.spawn(move || member.run(&stop, turn))?);
        }
        Ok(Self {
            stop,
            stay,
            threads,
            committed,
        })
    }

    /// From now on nobody leaves: a member that leaves before its heartbeat has brought it its partitions reads nothing.
    pub(super) fn settle(&self) {
        self.stay.store(true, Ordering::Relaxed);
    }

    /// A partition in which a group hasn't committed everything below its end yet, in words.
    pub(super) fn behind(&self, ends: &[u64]) -> Option<String> {
        self.committed.iter().enumerate().find_map(|(group, committed)| {
            let committed = committed.iter().map(|offset| offset.load(Ordering::Relaxed));
            let behind = committed.zip(ends).enumerate().find(|(_, (offset, end))| offset < *end);
            behind.map(|(partition, (offset, end))| {
                format!("group {group} has committed offset {offset} of {end} in partition {partition}")
            })
        })
    }

    /// Ends them: they leave their groups.
    pub(super) fn finish(self, recorder: &Recorder) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        join("group's member", self.threads, recorder)?.into_iter().collect()
    }
}

/// Commits offset 0 of every partition for groups that have no members yet. Members that had to ask for the first offset would
/// trip over librdkafka (2.12): an answer to that question that comes late, from a leader that was paused and has a successor,
/// sets their position back to the beginning. And like this no reset of a position is ever right: all are violations.
fn commit_beginnings(plan: &Plan) -> Result<()> {
    for group in 0..plan.groups {
        let consumer: BaseConsumer<Quiet> = plan.consumer(&plan.group(group)).create_with_context(Quiet)?;
        let mut beginnings = TopicPartitionList::new();
        for partition in 0..plan.partitions {
            beginnings.add_partition_offset(&plan.topic, i32::try_from(partition)?, Offset::Offset(0))?;
        }
        let deadline = Instant::now() + COORDINATOR_WITHIN;
        while let Err(error) = consumer.commit(&beginnings, CommitMode::Sync) {
            if Instant::now() > deadline {
                return Err(error).with_context(|| format!("group {} takes no commits", plan.group(group)));
            }
            std::thread::park_timeout(POLL);
        }
    }
    Ok(())
}

/// Asks for the committed offsets of all groups and writes them down. A coordinator that doesn't answer now is no violation.
pub(super) fn note_committed(plan: &Plan, recorder: &Recorder) -> Result<()> {
    for group in 0..plan.groups {
        let consumer: BaseConsumer<Quiet> = plan.consumer(&plan.group(group)).create_with_context(Quiet)?;
        let mut asked = TopicPartitionList::new();
        for partition in 0..plan.partitions {
            asked.add_partition(&plan.topic, i32::try_from(partition)?);
        }
        let asked_us = recorder.us();
        let Ok(answer) = consumer.committed_offsets(asked, QUESTION) else {
            continue;
        };
        for element in answer.elements() {
            if element.error().is_err() {
                continue;
            }
            let offset = match element.offset() {
                Offset::Offset(offset) => u64::try_from(offset).ok(),
                Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
            };
            recorder.record(Event::Committed {
                group,
                partition: u32::try_from(element.partition())?,
                offset,
                asked_us,
            });
        }
    }
    Ok(())
}

/// Notices what is given to a member, in order with what it reads.
struct Member {
    recorder: Recorder,
    reader: u16,
    runs: Mutex<ReadRuns>,
    /// Partitions that were given or taken since the last look.
    moved: Mutex<Vec<i32>>,
}

impl Member {
    fn runs(&self) -> MutexGuard<'_, ReadRuns> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self) -> MutexGuard<'_, Vec<i32>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Member {
    /// A position that was reset is a warning of the client only; without it nobody can tell why offsets went back.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        let text = format!("reader {}: {facility} {message}", self.reader);
        self.recorder.record(Event::Note { text });
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.runs().flush();
        let (partitions, are_given) = match rebalance {
            Rebalance::Assign(partitions) => (partitions, true),
            Rebalance::Revoke(partitions) => (partitions, false),
            Rebalance::Error(_) => return,
        };
        for element in partitions.elements() {
            self.moved().push(element.partition());
            if let Some(partition) = u32::try_from(element.partition()).ok().filter(|_| are_given) {
                self.recorder.record(Event::Assigned {
                    reader: self.reader,
                    partition,
                });
            }
        }
    }
}

/// Whose member it is, whichever client plays it.
struct Identity {
    plan: Plan,
    recorder: Recorder,
    reader: u16,
    group: u16,
}

impl Identity {
    /// A client of its own for every time: one that unsubscribes while partitions are being taken from it may come back with half a
    /// request, which a coordinator has to refuse (librdkafka 2.12, consumer protocol).
    fn client(&self) -> Result<BaseConsumer<Member>> {
        let context = Member {
            recorder: self.recorder.clone(),
            reader: self.reader,
            runs: Mutex::new(ReadRuns::new(self.recorder.clone(), self.reader, self.plan.run)),
            moved: Mutex::default(),
        };
        let config = self.plan.member(self.group);
        let client = config.create_with_context(context);
        client.context("librdkafka refuses this configuration")
    }
}

struct Consuming {
    consumer: BaseConsumer<Member>,
    identity: Identity,
    committed: Committed,
    stay: Arc<AtomicBool>,
}

impl Consuming {
    fn join(&self) -> Result<()> {
        Ok(self.consumer.subscribe(&[&self.identity.plan.topic])?)
    }

    /// `turn` is the member's place in its group: each has its own moments to leave.
    fn run(mut self, stop: &AtomicBool, turn: u16) -> Result<()> {
        let mut read: BTreeMap<i32, u64> = BTreeMap::new();
        let mut last = Instant::now();
        let churn = self.identity.plan.churn;
        let mut leaves = churn.and_then(|churn| deadline_in(churn.saturating_mul(u32::from(turn) + 2) / 2));
        while !stop.load(Ordering::Relaxed) {
            if let (Some(churn), Some(at)) = (churn, leaves)
                && Instant::now() >= at
                && !self.stay.load(Ordering::Relaxed)
            {
                self.consumer.context().runs().flush();
                read.clear();
                let next = self.identity.client()?;
                // It leaves its group while it is dropped.
                drop(std::mem::replace(&mut self.consumer, next));
                self.join()?;
                leaves = deadline_in(churn.saturating_mul(u32::from(turn) + 1));
            }
            let polled = self.consumer.poll(POLL);
            let context = self.consumer.context();
            // What was read there but not committed belongs to somebody else now, who begins before it.
            for partition in context.moved().drain(..) {
                read.remove(&partition);
            }
            match polled {
                Some(Ok(message)) => {
                    context.runs().add(&message);
                    let next = u64::try_from(message.offset()).map_or(0, |offset| offset + 1);
                    read.insert(message.partition(), next);
                }
                Some(Err(error)) => note_refusal(&self.identity.recorder, context.reader, &error),
                None => context.runs().flush(),
            }
            if last.elapsed() >= COMMIT_EVERY {
                // Before the commit, which tells that it was read.
                context.runs().flush();
                for (partition, offset) in std::mem::take(&mut read) {
                    if self.commit(partition, offset)? == CommitOutcome::NotAcked {
                        // Once more, unless the partition moves until then.
                        read.insert(partition, offset);
                    }
                }
                last = Instant::now();
            }
        }
        self.consumer.context().runs().flush();
        Ok(())
    }

    /// Commits; a refusal (a rebalance, a coordinator that moves) breaks no promise.
    fn commit(&self, partition: i32, offset: u64) -> Result<CommitOutcome> {
        let mut offsets = TopicPartitionList::new();
        let Identity {
            plan, recorder, group, ..
        } = &self.identity;
        offsets.add_partition_offset(&plan.topic, partition, Offset::Offset(i64::try_from(offset)?))?;
        let began_us = recorder.us();
        let outcome = match self.consumer.commit(&offsets, CommitMode::Sync) {
            Ok(()) => CommitOutcome::Acked,
            Err(_) => CommitOutcome::NotAcked,
        };
        let (group, partition) = (*group, u32::try_from(partition)?);
        recorder.record(Event::Commit {
            group,
            partition,
            offset,
            began_us,
            outcome,
        });
        let place = self
            .committed
            .get(usize::from(group))
            .and_then(|partitions| partitions.get(partition as usize));
        if let Some(place) = place.filter(|_| outcome == CommitOutcome::Acked) {
            place.fetch_max(offset, Ordering::Relaxed);
        }
        Ok(outcome)
    }
}
