//! Fetch (1): reads for consumers, and waits until there is enough. Brokers replicate over their own transport.
//!
//! FETCH-API-1: the wait ends by a partition's wake or by its deadline; nothing is polled. Waiters are registered before
//! the read that decides, so that no append falls between. FETCH-API-2: the first partition that has anything gives at
//! least one batch, whatever the limits, so that a consumer never stands still before a large batch.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use types::{ErrorCode, Offset, PartitionIndex, TopicId, TopicIdPartition, TopicName};
use wire::messages::FetchRequest;
use wire::{FetchPartition, FetchResponse};

use super::error_codes::KafkaError;
use super::exchange::{Handled, decode, timeout, topic_name};
use super::fetch_session::{FetchTarget, NO_SESSION, SessionRequest, Wanted};
use super::list_offsets::known_epoch;
use crate::client_quotas::{Charge, QuotaKind};
use crate::context::{ApiRequest, BrokerContext};
use crate::partition::{Partition, ReadRequest, ReadResult, ReadWaiter};

/// From this version on topics are named by id (KIP-516).
const TOPIC_IDS_SINCE: i16 = 13;
/// Sessions exist from this version on.
const SESSIONS_SINCE: i16 = 7;
/// The replica's id is a tagged field from this version on.
const REPLICA_STATE_SINCE: i16 = 15;
/// Consumers may read from followers from this version on (KIP-392).
const FOLLOWERS_SINCE: i16 = 11;
const READ_COMMITTED: i8 = 1;
/// No fetch waits longer.
const WAIT_MAX: Duration = Duration::from_secs(10 * 60);

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: FetchRequest = decode(&header, request.body)?;
    let refused = |error| {
        let response = FetchResponse {
            throttle_time_ms: 0,
            error,
            session_id: NO_SESSION,
            topics: Vec::new(),
            node_endpoints: Vec::new(),
        };
        Ok(Some(response.encode(version, header.correlation_id)?))
    };
    if is_replica(&body, version) {
        return refused(ErrorCode::InvalidRequest);
    }
    let arrived = Instant::now();
    let client_id = header.client_id.as_deref().unwrap_or_default();
    let allowed = broker
        .quotas
        .most_at_once(&broker.host.image.load(), QuotaKind::Fetch, client_id);
    // More would be throttled whenever it is asked for.
    let most = allowed.unwrap_or(usize::MAX);
    let limits = Limits::new(&body, most.min(broker.config.network.fetch_max_bytes as usize));
    let read_committed = body.isolation_level == READ_COMMITTED;
    let rack = body.rack_id.clone();
    let context = match broker
        .apis
        .fetch_sessions
        .begin(session_request(body, version), arrived)
    {
        Ok(context) => context,
        Err(error) => return refused(error),
    };
    let reader = Reader {
        broker: &broker,
        limits,
        read_committed,
        from_follower: version >= FOLLOWERS_SINCE,
        rack: (broker.config.replication.rack_aware_reads && version >= FOLLOWERS_SINCE && !rack.is_empty())
            .then_some((rack.as_str(), request.client.listener.as_str())),
    };
    let mut answers = reader.read_or_wait(&context.partitions, arrived).await;
    let read: usize = answers.iter().map(|(_, answer)| answer.records_bytes()).sum();
    let image = broker.host.image.load_full();
    let now = broker.host.clock.now();
    let charge = broker.quotas.charge(&image, QuotaKind::Fetch, client_id, read, now);
    let throttle_time_ms = charge.as_ref().map_or(0, Charge::throttle_time_ms);
    if let Some(charge) = charge.filter(|charge| !charge.wait().is_zero()) {
        request.client.mute(charge.wait());
        if !charge.is_alone() {
            // It gets nothing now, and asks again when it has waited.
            broker.quotas.take_back(&charge);
            let response = FetchResponse {
                throttle_time_ms,
                error: ErrorCode::None,
                session_id: context.session_id(),
                topics: Vec::new(),
                node_endpoints: Vec::new(),
            };
            return Ok(Some(response.encode(version, header.correlation_id)?));
        }
    }
    let mut new_id = || session_id(&broker);
    let session_id = broker
        .apis
        .fetch_sessions
        .finish(context, &mut answers, &mut new_id, Instant::now());
    let bytes: usize = answers.iter().map(|(_, answer)| answer.records_bytes()).sum();
    broker.host.metrics.fetched_bytes.inc_by(bytes as u64);
    let mut response = answer::response(&image, &request.client.listener, version, session_id, answers);
    response.throttle_time_ms = throttle_time_ms;
    Ok(Some(response.encode(version, header.correlation_id)?))
}

/// A random session id: clients of another incarnation must not hit a live session.
fn session_id(broker: &BrokerContext) -> i32 {
    let [a, b, c, d, ..] = *broker.new_uuid.new_uuid().as_bytes();
    i32::from_be_bytes([a, b, c, d])
}

fn is_replica(body: &FetchRequest, version: i16) -> bool {
    let replica = if version >= REPLICA_STATE_SINCE {
        body.replica_state.replica_id
    } else {
        body.replica_id
    };
    replica.0 >= 0
}

/// What bounds the answer.
#[derive(Debug, Clone, Copy)]
struct Limits {
    min_bytes: usize,
    max_bytes: usize,
    max_wait: Duration,
}

impl Limits {
    fn new(body: &FetchRequest, fetch_max_bytes: usize) -> Self {
        let max_bytes = usize::try_from(body.max_bytes).unwrap_or(0).min(fetch_max_bytes);
        let min_bytes = usize::try_from(body.min_bytes).unwrap_or(0).min(max_bytes);
        Self {
            min_bytes,
            max_bytes,
            max_wait: timeout(body.max_wait_ms).min(WAIT_MAX),
        }
    }
}

fn session_request(body: FetchRequest, version: i16) -> SessionRequest {
    let by_ids = version >= TOPIC_IDS_SINCE;
    let target = |name: &TopicName, id: TopicId, partition: i32| FetchTarget {
        name: name.clone(),
        id,
        partition: PartitionIndex(partition),
    };
    let blank = TopicName::new("");
    let naming = |name: &wire::messages::TopicName, id: types::Uuid| {
        if by_ids {
            (blank.clone(), TopicId(id))
        } else {
            (topic_name(name), TopicId::ZERO)
        }
    };
    let mut named = Vec::new();
    for topic in &body.topics {
        let (name, id) = naming(&topic.topic, topic.topic_id);
        named.extend(topic.partitions.iter().map(|asked| {
            let wanted = Wanted {
                from: Offset(asked.fetch_offset),
                max_bytes: usize::try_from(asked.partition_max_bytes).unwrap_or(0),
                leader_epoch: known_epoch(asked.current_leader_epoch),
                last_fetched_epoch: known_epoch(asked.last_fetched_epoch),
            };
            (target(&name, id, asked.partition), wanted)
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &body.forgotten_topics_data {
        let (name, id) = naming(&topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|partition| target(&name, id, *partition)));
    }
    let (id, epoch) = if version >= SESSIONS_SINCE {
        (body.session_id, body.session_epoch)
    } else {
        (NO_SESSION, -1)
    };
    SessionRequest {
        id,
        epoch,
        by_ids,
        named,
        forgotten,
    }
}

type Answers = Vec<(FetchTarget, FetchPartition)>;

/// Reads a request's partitions.
struct Reader<'a> {
    broker: &'a BrokerContext,
    limits: Limits,
    read_committed: bool,
    from_follower: bool,
    /// The client's rack and listener, where it is to be sent to a replica near it.
    rack: Option<(&'a str, &'a str)>,
}

impl Reader<'_> {
    async fn read_or_wait(&self, partitions: &[(FetchTarget, Wanted)], arrived: Instant) -> Answers {
        let deadline = arrived + self.limits.max_wait;
        let answers = self.read(partitions).await;
        if self.is_enough(&answers) || Instant::now() >= deadline {
            return answers;
        }
        drop(answers);
        loop {
            // A new one each time: those left behind in quiet partitions are dead and get swept.
            let waiter = ReadWaiter::default();
            for (target, _) in partitions {
                if let Ok((_, partition)) = self.find(target) {
                    partition.wake_on_change(&waiter);
                }
            }
            let answers = self.read(partitions).await;
            if self.is_enough(&answers) {
                return answers;
            }
            if timeout_at(deadline, waiter.woken()).await.is_err() {
                return answers;
            }
        }
    }

    /// Kafka's rule: enough bytes, or something that the client must know at once, or nothing to wait for.
    fn is_enough(&self, answers: &Answers) -> bool {
        let urgent = |answer: &FetchPartition| {
            answer.error != ErrorCode::None
                || answer.diverging_epoch.is_some()
                || answer.preferred_read_replica.is_some()
        };
        let bytes: usize = answers.iter().map(|(_, answer)| answer.records_bytes()).sum();
        answers.is_empty() || bytes >= self.limits.min_bytes || answers.iter().any(|(_, answer)| urgent(answer))
    }

    async fn read(&self, partitions: &[(FetchTarget, Wanted)]) -> Answers {
        let mut left = self.limits.max_bytes;
        let mut min_one = true;
        let mut answers = Vec::with_capacity(partitions.len());
        for (target, wanted) in partitions {
            let request = ReadRequest {
                from: wanted.from,
                max_bytes: wanted.max_bytes.min(left),
                min_one,
                leader_epoch: wanted.leader_epoch,
                last_fetched_epoch: wanted.last_fetched_epoch,
                from_follower: self.from_follower,
            };
            let answer = match self.find(target) {
                Ok((_, partition)) => self.read_one(target.partition, &partition, &request).await,
                Err(error) => FetchPartition {
                    aborted_transactions: Some(Vec::new()),
                    ..FetchPartition::of_error(target.partition, error)
                },
            };
            let bytes = answer.records_bytes();
            min_one &= bytes == 0;
            left = left.saturating_sub(bytes);
            answers.push((target.clone(), answer));
        }
        answers
    }

    async fn read_one(&self, index: PartitionIndex, partition: &Partition, request: &ReadRequest) -> FetchPartition {
        let nearer = self
            .rack
            .and_then(|(rack, listener)| partition.preferred_replica(rack, listener, request.from));
        if nearer.is_some() {
            return FetchPartition {
                preferred_read_replica: nearer,
                ..FetchPartition::of_error(index, ErrorCode::None)
            };
        }
        let pool = self.broker.replicas.pool_of(partition.directory());
        match partition.read(request, pool).await {
            Ok(read) => self.answer(index, read),
            Err(error) => FetchPartition::of_error(index, error.code()),
        }
    }

    fn answer(&self, index: PartitionIndex, read: ReadResult) -> FetchPartition {
        let mut answer = FetchPartition::of_error(index, ErrorCode::None);
        answer.high_watermark = read.high_watermark;
        answer.last_stable_offset = read.last_stable_offset;
        answer.log_start_offset = read.log_start_offset;
        answer.aborted_transactions = self.read_committed.then(Vec::new);
        answer.diverging_epoch = read.diverging;
        answer.records = read.records;
        answer
    }

    fn find(&self, target: &FetchTarget) -> Result<(TopicIdPartition, Arc<Partition>), ErrorCode> {
        let id = answer::identify(&self.broker.host.image.load(), target)?;
        let partition = self
            .broker
            .replicas
            .partition(id)
            .ok_or_else(|| self.broker.replicas.refusal(id))?;
        Ok((id, partition))
    }
}

#[cfg(test)]
mod tests;
