use bytes::Bytes;

use super::*;

fn target(partition: i32) -> FetchTarget {
    FetchTarget {
        name: TopicName::new("t"),
        id: TopicId::ZERO,
        partition: PartitionIndex(partition),
    }
}

fn wanted(from: i64) -> Wanted {
    Wanted {
        from: Offset(from),
        max_bytes: 100,
        leader_epoch: None,
        last_fetched_epoch: None,
    }
}

fn named(partitions: impl IntoIterator<Item = i32>) -> Vec<(FetchTarget, Wanted)> {
    partitions
        .into_iter()
        .map(|partition| (target(partition), wanted(0)))
        .collect()
}

fn answer(partition: i32, high_watermark: i64, records: &'static [u8]) -> (FetchTarget, FetchPartition) {
    let mut answer = FetchPartition::of_error(PartitionIndex(partition), ErrorCode::None);
    answer.high_watermark = Offset(high_watermark);
    answer.log_start_offset = Offset(0);
    if !records.is_empty() {
        answer.records = vec![Bytes::from_static(records)];
    }
    (target(partition), answer)
}

fn request(id: i32, epoch: i32) -> SessionRequest {
    SessionRequest {
        id,
        epoch,
        ..SessionRequest::default()
    }
}

struct Fixture {
    cache: FetchSessionCache,
    now: Instant,
    last_id: i32,
}

impl Fixture {
    fn new(slots: u32) -> Self {
        Self {
            cache: FetchSessionCache::new(slots),
            now: Instant::now(),
            last_id: 0,
        }
    }

    fn open(&mut self, partitions: i32) -> i32 {
        let full = SessionRequest {
            named: named(0..partitions),
            ..request(0, 0)
        };
        let context = self.cache.begin(full, self.now).unwrap();
        let mut answers = (0..partitions).map(|partition| answer(partition, 0, b"")).collect();
        self.finish(context, &mut answers)
    }

    fn finish(&mut self, context: FetchContext, answers: &mut Vec<(FetchTarget, FetchPartition)>) -> i32 {
        let last_id = &mut self.last_id;
        let mut new_id = || {
            *last_id += 1;
            *last_id
        };
        self.cache.finish(context, answers, &mut new_id, self.now)
    }
}

fn order(context: &FetchContext) -> Vec<i32> {
    context
        .partitions
        .iter()
        .map(|(target, _)| target.partition.0)
        .collect()
}

#[tokio::test]
async fn an_incremental_fetch_reads_everything_and_answers_what_changed() {
    let mut fixture = Fixture::new(10);
    let id = fixture.open(3);
    assert_ne!(id, NO_SESSION);
    let context = fixture.cache.begin(request(id, 1), fixture.now).unwrap();
    assert_eq!(order(&context), [0, 1, 2]);
    let mut answers = vec![answer(0, 0, b""), answer(1, 5, b"batch"), answer(2, 9, b"")];
    assert_eq!(fixture.finish(context, &mut answers), id);
    let answered: Vec<i32> = answers.iter().map(|(target, _)| target.partition.0).collect();
    assert_eq!(answered, [1, 2]);
    // The one that gave records is read last the next time.
    assert_eq!(
        order(&fixture.cache.begin(request(id, 2), fixture.now).unwrap()),
        [0, 2, 1]
    );
}

#[tokio::test]
async fn an_error_is_answered_every_time_and_the_recovery_after_it() {
    let mut fixture = Fixture::new(10);
    let id = fixture.open(1);
    for epoch in 1..3 {
        let context = fixture.cache.begin(request(id, epoch), fixture.now).unwrap();
        let mut answers = vec![(
            target(0),
            FetchPartition::of_error(PartitionIndex(0), ErrorCode::UnknownTopicId),
        )];
        fixture.finish(context, &mut answers);
        assert_eq!(answers.len(), 1);
    }
    let context = fixture.cache.begin(request(id, 3), fixture.now).unwrap();
    let mut answers = vec![answer(0, 0, b"")];
    fixture.finish(context, &mut answers);
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn partitions_are_added_changed_and_forgotten() {
    let mut fixture = Fixture::new(10);
    let id = fixture.open(2);
    let change = SessionRequest {
        named: vec![(target(1), wanted(7)), (target(2), wanted(0))],
        forgotten: vec![target(0)],
        ..request(id, 1)
    };
    let context = fixture.cache.begin(change, fixture.now).unwrap();
    assert_eq!(context.partitions, [(target(1), wanted(7)), (target(2), wanted(0))]);
    let forget_all = SessionRequest {
        forgotten: vec![target(1), target(2)],
        ..request(id, 2)
    };
    let context = fixture.cache.begin(forget_all, fixture.now).unwrap();
    assert!(context.partitions.is_empty());
    assert_eq!(fixture.finish(context, &mut Vec::new()), NO_SESSION);
    assert_eq!(fixture.cache.len(), 0);
}

#[tokio::test]
async fn unknown_ids_other_epochs_and_other_naming_are_refused() {
    let mut fixture = Fixture::new(10);
    let id = fixture.open(1);
    let refusal = |request| fixture.cache.begin(request, fixture.now).unwrap_err();
    assert_eq!(refusal(request(id + 1, 1)), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(refusal(request(id, 2)), ErrorCode::InvalidFetchSessionEpoch);
    let by_ids = SessionRequest {
        by_ids: true,
        ..request(id, 1)
    };
    assert_eq!(refusal(by_ids), ErrorCode::FetchSessionTopicIdError);
    assert!(fixture.cache.begin(request(id, 1), fixture.now).is_ok());
}

#[tokio::test]
async fn a_final_epoch_ends_the_session() {
    let mut fixture = Fixture::new(10);
    let id = fixture.open(1);
    let end = SessionRequest {
        named: named(0..1),
        ..request(id, -1)
    };
    let context = fixture.cache.begin(end, fixture.now).unwrap();
    assert_eq!(fixture.finish(context, &mut vec![answer(0, 0, b"")]), NO_SESSION);
    assert_eq!(fixture.cache.len(), 0);
}

#[tokio::test]
async fn a_full_cache_evicts_only_the_idle_and_the_smaller() {
    let mut fixture = Fixture::new(2);
    let small = fixture.open(1);
    let large = fixture.open(5);
    assert_eq!(fixture.open(1), NO_SESSION);
    let larger = fixture.open(6);
    assert_ne!(larger, NO_SESSION);
    assert_eq!(
        fixture.cache.begin(request(small, 1), fixture.now).unwrap_err(),
        ErrorCode::FetchSessionIdNotFound
    );
    fixture.now += Duration::from_secs(121);
    fixture.cache.begin(request(larger, 1), fixture.now).unwrap();
    assert_ne!(fixture.open(1), NO_SESSION);
    assert_eq!(
        fixture.cache.begin(request(large, 1), fixture.now).unwrap_err(),
        ErrorCode::FetchSessionIdNotFound
    );
    assert_eq!(fixture.cache.len(), 2);
}
