use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coordinator::{
    Answer, GroupConfig, HeartbeatRequest, OffsetCommitRequest, OffsetFetchRequest, OffsetToCommit, TopicPartitions,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use metadata::MetadataImage;
use parking_lot::Mutex;
use records::Batch;
use tokio::sync::{Notify, mpsc, oneshot};
use types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicName};

use super::GroupRequest;
use super::group_log::{GroupLog, LogPlace, ReadChunk};
use super::image_view::ImageSource;
use super::shard_clock::ShardClock;
use super::shard_task::{Operation, Phase, ShardSettings, ShardState, ShardTask};
use crate::apis::fixture;
use crate::clock::Clock;
use crate::metrics::BrokerMetrics;

/// A log in memory, whose high watermark moves when the test says so.
#[derive(Debug, Default)]
struct FakeLog {
    inner: Mutex<Inner>,
    changed: Notify,
    metrics: Arc<BrokerMetrics>,
}

#[derive(Debug, Default)]
struct Inner {
    batches: Vec<Batch>,
    high_watermark: i64,
    end: i64,
    deposed: bool,
    refuse: Option<ErrorCode>,
}

impl FakeLog {
    fn commit_to(&self, high_watermark: i64) {
        self.inner.lock().high_watermark = high_watermark;
        self.changed.notify_one();
    }

    fn commit_all(&self) {
        let end = self.inner.lock().end;
        self.commit_to(end);
    }

    fn depose(&self) {
        self.inner.lock().deposed = true;
        self.changed.notify_one();
    }

    fn end(&self) -> i64 {
        self.inner.lock().end
    }
}

impl GroupLog for FakeLog {
    fn place(&self) -> Option<LogPlace> {
        let inner = self.inner.lock();
        (!inner.deposed).then_some(LogPlace {
            high_watermark: Offset(inner.high_watermark),
            log_end_offset: Offset(inner.end),
            log_start_offset: Offset::ZERO,
        })
    }

    fn append(&self, batch: &Batch) -> Result<Offset, ErrorCode> {
        let mut inner = self.inner.lock();
        if let Some(error) = inner.refuse {
            return Err(error);
        }
        let at = Offset(inner.end);
        let stamped = batch.clone().into_stamped(at, LeaderEpoch(0)).unwrap();
        inner.end = stamped.header.next_offset().0;
        inner.batches.push(stamped);
        Ok(at)
    }

    /// One batch a time, so that loading takes several reads.
    fn read(&self, from: Offset) -> BoxFuture<'_, Result<ReadChunk, String>> {
        let inner = self.inner.lock();
        let found = inner.batches.iter().find(|batch| {
            let next = batch.header.next_offset();
            next > from && next.0 <= inner.high_watermark
        });
        let chunk = found.map_or(
            ReadChunk {
                records: Bytes::new(),
                next: from,
            },
            |batch| ReadChunk {
                records: BytesMut::from(batch.bytes.as_ref()).freeze(),
                next: batch.header.next_offset(),
            },
        );
        async move { Ok(chunk) }.boxed()
    }

    fn arm(&self) {}

    fn woken(&self) -> BoxFuture<'_, ()> {
        self.changed.notified().boxed()
    }
}

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_000_000)
    }
}

/// A cluster with these topics.
#[derive(Debug)]
struct Topics(&'static [&'static str]);

impl ImageSource for Topics {
    fn image(&self) -> Arc<MetadataImage> {
        Arc::new(fixture::image(self.0))
    }
}

struct Shard {
    log: Arc<FakeLog>,
    operations: mpsc::Sender<Operation>,
    state: Arc<ShardState>,
    task: tokio::task::JoinHandle<()>,
}

impl Shard {
    fn start(log: &Arc<FakeLog>) -> Self {
        Self::start_with(log, &["t"])
    }

    fn start_with(log: &Arc<FakeLog>, topics: &'static [&'static str]) -> Self {
        let (operations, queued) = mpsc::channel(16);
        let state = Arc::new(ShardState::default());
        let settings = ShardSettings {
            group: GroupConfig::default(),
            commit_timeout: Duration::from_secs(5),
            metrics: Arc::clone(&log.metrics),
        };
        let log = Arc::clone(log);
        let task = ShardTask::new(
            "shard".to_owned(),
            Arc::clone(&log) as Arc<dyn GroupLog>,
            Arc::new(Topics(topics)),
            ShardClock::new(&FixedClock),
            settings,
            queued,
            Arc::clone(&state),
        );
        Self {
            log,
            operations,
            state,
            task: tokio::spawn(task.run()),
        }
    }

    async fn active(&self) {
        while self.state.phase() != Phase::Active {
            tokio::task::yield_now().await;
        }
    }

    async fn send(&self, request: GroupRequest) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        self.operations.send(Operation { request, answer }).await.unwrap();
        answered
    }

    async fn commit(&self, offset: i64) -> oneshot::Receiver<Answer> {
        let before = self.log.end();
        let answered = self.send(commit(offset)).await;
        while self.log.end() == before {
            tokio::task::yield_now().await;
        }
        answered
    }

    async fn committed_offset(&self) -> Offset {
        let request = OffsetFetchRequest {
            group_id: "g".to_owned(),
            topics: Some(vec![TopicPartitions {
                topic: TopicName::new("t"),
                partitions: vec![PartitionIndex(0)],
            }]),
            member: None,
        };
        match self.send(GroupRequest::OffsetFetch(request)).await.await.unwrap() {
            Answer::OffsetFetch(answer) => answer.offsets[0].offset,
            other => panic!("{other:?}"),
        }
    }
}

fn commit(offset: i64) -> GroupRequest {
    GroupRequest::OffsetCommit(OffsetCommitRequest {
        api_version: 9,
        group_id: "g".to_owned(),
        generation_id: -1,
        member_id: String::new(),
        group_instance_id: None,
        retention_time_ms: -1,
        offsets: vec![OffsetToCommit {
            topic: TopicName::new("t"),
            partition: PartitionIndex(0),
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: None,
        }],
    })
}

fn error_of(answer: Answer) -> ErrorCode {
    match answer {
        Answer::OffsetCommit(answer) => answer.partitions[0].error,
        Answer::Heartbeat(answer) => answer.error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_of_groups_and_of_how_they_were_loaded() {
    let log: Arc<FakeLog> = Arc::default();
    let metrics = Arc::clone(&log.metrics);
    let seen = || {
        (
            metrics.group_shards_loading.get(),
            metrics.group_count.get(),
            metrics.group_loaded_records.get(),
        )
    };
    let first = Shard::start(&log);
    assert_eq!(seen(), (1, 0, 0));
    first.active().await;
    assert_eq!(seen(), (0, 0, 0));
    let answered = first.commit(7).await;
    log.commit_all();
    answered.await.unwrap();
    // The step is over when another one is.
    assert_eq!(first.committed_offset().await, Offset(7));
    assert_eq!(seen(), (0, 1, 0));
    log.depose();
    first.task.await.unwrap();
    assert_eq!(seen(), (0, 0, 0));
    log.inner.lock().deposed = false;
    let second = Shard::start(&log);
    second.active().await;
    assert_eq!(second.committed_offset().await, Offset(7));
    assert_eq!(seen(), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_answered_when_it_is_committed_and_holds_nothing_up() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    let mut answered = shard.commit(7).await;
    let heartbeat = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: 1,
        member_id: "nobody".to_owned(),
        group_instance_id: None,
    };
    let heartbeat = shard.send(GroupRequest::Heartbeat(heartbeat)).await.await.unwrap();
    assert_eq!(error_of(heartbeat), ErrorCode::UnknownMemberId);
    assert!(answered.try_recv().is_err(), "it is not committed yet");
    shard.log.commit_all();
    assert_eq!(error_of(answered.await.unwrap()), ErrorCode::None);
    assert_eq!(shard.committed_offset().await, Offset(7));
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_what_it_saw() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    let _first = shard.commit(7).await;
    let read = shard.committed_offset();
    tokio::pin!(read);
    assert!(futures::poll!(&mut read).is_pending());
    shard.log.commit_all();
    assert_eq!(read.await, Offset(7));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_replicas_do_not_cover_in_time_is_retriable() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    let answered = shard.commit(7).await;
    assert_eq!(error_of(answered.await.unwrap()), ErrorCode::CoordinatorNotAvailable);
}

#[tokio::test(start_paused = true)]
async fn a_lost_leadership_answers_everyone_and_ends_the_task() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    let answered = shard.commit(7).await;
    shard.log.depose();
    assert_eq!(error_of(answered.await.unwrap()), ErrorCode::NotCoordinator);
    shard.task.await.unwrap();
    assert_eq!(shard.state.phase(), Phase::Over);
}

#[tokio::test(start_paused = true)]
async fn a_refused_append_is_the_clients_to_try_again() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    shard.log.inner.lock().refuse = Some(ErrorCode::NotEnoughReplicas);
    let answer = shard.send(commit(7)).await.await.unwrap();
    assert_eq!(error_of(answer), ErrorCode::CoordinatorNotAvailable);
    shard.log.inner.lock().refuse = None;
    assert_eq!(shard.committed_offset().await, Offset(-1));
}

#[tokio::test(start_paused = true)]
async fn the_next_leader_knows_every_commit_and_serves_only_when_all_are_committed() {
    let log = Arc::<FakeLog>::default();
    {
        let shard = Shard::start(&log);
        shard.active().await;
        for offset in [7, 8, 9] {
            drop(shard.commit(offset).await);
        }
        log.depose();
        shard.task.await.unwrap();
    }
    log.inner.lock().deposed = false;
    log.commit_to(2);
    let shard = Shard::start(&log);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shard.state.phase(), Phase::Loading);
    log.commit_all();
    shard.active().await;
    assert_eq!(shard.committed_offset().await, Offset(9));
}

#[tokio::test(start_paused = true)]
async fn offsets_of_deleted_topics_are_forgotten() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    let answered = shard.commit(7).await;
    shard.log.commit_all();
    assert_eq!(error_of(answered.await.unwrap()), ErrorCode::None);
    let before = shard.log.end();
    shard.state.on_topics_deleted(&[TopicName::new("t")]);
    while shard.log.end() == before {
        tokio::task::yield_now().await;
    }
    shard.log.commit_all();
    assert_eq!(shard.committed_offset().await, Offset(-1));
}

#[tokio::test(start_paused = true)]
async fn offsets_of_deleted_topics_are_forgotten_when_the_log_takes_records_again_and_later_ones_are_not() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    for commits_again in [false, true] {
        let _answered = shard.commit(7).await;
        shard.log.commit_all();
        shard.log.inner.lock().refuse = Some(ErrorCode::NotEnoughReplicas);
        shard.state.on_topics_deleted(&[TopicName::new("t")]);
        // Refused for longer than the pause between two tries.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(shard.committed_offset().await, Offset(7));
        shard.log.inner.lock().refuse = None;
        if commits_again {
            let _answered = shard.commit(3).await;
            shard.log.commit_all();
            assert_eq!(shard.committed_offset().await, Offset(3));
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        shard.log.commit_all();
        let left = if commits_again { 3 } else { -1 };
        assert_eq!(shard.committed_offset().await, Offset(left));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_coordinator_forgets_what_was_committed_for_topics_that_are_gone() {
    let log = Arc::<FakeLog>::default();
    let shard = Shard::start(&log);
    shard.active().await;
    let _answered = shard.commit(7).await;
    log.commit_all();
    log.depose();
    shard.task.await.unwrap();
    log.inner.lock().deposed = false;
    let shard = Shard::start_with(&log, &["u"]);
    shard.active().await;
    log.commit_all();
    assert_eq!(shard.committed_offset().await, Offset(-1));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_coordinator_ends_its_shards() {
    let shard = Shard::start(&Arc::default());
    shard.active().await;
    drop(shard.operations);
    shard.task.await.unwrap();
}
