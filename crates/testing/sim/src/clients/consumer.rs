//! Reading a partition from its leader: alone from the start, or as a group's member from where the group stands.

use std::time::Duration;

use rand::Rng;
use types::{ErrorCode, Offset};
use wire::messages::fetch_request::{FetchPartition, FetchTopic};
use wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use wire::messages::{FetchRequest, ListOffsetsRequest, TopicName};
use wire::protocol::StrBytes;

use super::client::{Client, Leader};
use super::{Clients, FETCH_WAIT_MS, TOPIC, values_of};
use crate::fabric::NodeId;
use crate::history::{Claim, Consumed};

/// How long a consumer waits for an answer.
const ANSWER: Duration = Duration::from_millis(FETCH_WAIT_MS.unsigned_abs() as u64 + 1_500);
/// Bytes of one read.
const READ_BYTES: i32 = 4 << 10;
/// The newest version whose topics have names, and the first whose topics have ids alone, by which newer clients fetch.
const FETCH_VERSIONS: [i16; 2] = [12, 16];
const TOPIC_IDS_SINCE: i16 = 13;
const LIST_VERSION: i16 = 7;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// A reading of one partition.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Names the consumer in the history.
    pub(crate) consumer: i64,
    pub(crate) partition: i32,
    pub(crate) position: Offset,
    version: i16,
    /// The fetch session at a broker: its id and the next epoch (KIP-227).
    session: Option<Session>,
    sessions: bool,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    node: NodeId,
    id: i32,
    epoch: i32,
    /// What the session was told last.
    position: Offset,
    leader_epoch: i32,
}

impl Cursor {
    /// Begins at `position`; the dice decide what kind of client it is.
    pub(crate) fn new(client: &mut Client, consumer: i64, partition: i32, position: Offset) -> Self {
        Self {
            consumer,
            partition,
            position,
            version: FETCH_VERSIONS[usize::from(client.dice.random_bool(0.5))],
            session: None,
            sessions: client.dice.random_bool(0.5),
        }
    }

    /// One fetch. What went wrong costs a pause and a look at the metadata.
    pub(crate) async fn poll(&mut self, client: &mut Client) {
        let Some(leader) = client.find_leader(self.partition).await else {
            client.back_off().await;
            return;
        };
        let Some(request) = self.request(client, leader) else {
            return;
        };
        match client.call(leader.node, self.version, &request, ANSWER).await {
            Ok(answer) => match ErrorCode::from_code(answer.error_code) {
                ErrorCode::None => {
                    self.session = (self.sessions && answer.session_id != 0).then(|| Session {
                        node: leader.node,
                        id: answer.session_id,
                        epoch: request.session_epoch.max(0) + 1,
                        position: self.position,
                        leader_epoch: leader.epoch,
                    });
                    let parts = answer.responses.iter().flat_map(|topic| &topic.partitions);
                    let partition = self.partition;
                    for part in parts.filter(|part| part.partition_index == partition) {
                        let code = ErrorCode::from_code(part.error_code);
                        if code == ErrorCode::None {
                            client.clients.history.claimed(Claim {
                                node: leader.node,
                                partition: self.partition,
                                end: Offset(part.high_watermark),
                            });
                            self.take(client, part.records.as_ref());
                        } else {
                            self.failed(client, leader, code).await;
                        }
                    }
                }
                ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch => self.session = None,
                other => self.failed(client, leader, other).await,
            },
            Err(_) => {
                self.session = None;
                client.refresh().await;
                client.back_off().await;
            }
        }
    }

    fn request(&mut self, client: &Client, leader: Leader) -> Option<FetchRequest> {
        let mut topic = FetchTopic::default();
        if self.version >= TOPIC_IDS_SINCE {
            topic.topic_id = client.topic_id()?;
        } else {
            topic.topic = TopicName(StrBytes::from_static_str(TOPIC));
        }
        topic.partitions = vec![
            FetchPartition::default()
                .with_partition(self.partition)
                .with_current_leader_epoch(leader.epoch)
                .with_fetch_offset(self.position.0)
                .with_partition_max_bytes(READ_BYTES),
        ];
        let session = self.session.filter(|session| session.node == leader.node);
        let (id, epoch, topics) = match session {
            // Nothing new to say: the session knows.
            Some(known) if known.position == self.position && known.leader_epoch == leader.epoch => {
                (known.id, known.epoch, Vec::new())
            }
            Some(known) => (known.id, known.epoch, vec![topic]),
            None => (0, if self.sessions { 0 } else { -1 }, vec![topic]),
        };
        Some(
            FetchRequest::default()
                .with_replica_id((-1).into())
                .with_max_wait_ms(FETCH_WAIT_MS)
                .with_min_bytes(1)
                .with_max_bytes(READ_BYTES)
                .with_session_id(id)
                .with_session_epoch(epoch)
                .with_topics(topics),
        )
    }

    fn take(&mut self, client: &Client, records: Option<&bytes::Bytes>) {
        let history = &client.clients.history;
        for (offset, value) in records.map(values_of).unwrap_or_default() {
            // A batch begins before the position that lies in it.
            if offset < self.position {
                continue;
            }
            if offset > self.position {
                history.odd(
                    "ACK",
                    format!(
                        "consumer {} of partition {} wanted {} and got {offset}",
                        self.consumer, self.partition, self.position
                    ),
                );
            }
            self.position = offset.next();
            history.consumed(Consumed {
                consumer: self.consumer,
                partition: self.partition,
                offset,
                value,
            });
        }
    }

    async fn failed(&mut self, client: &mut Client, leader: Leader, code: ErrorCode) {
        self.session = None;
        match code {
            ErrorCode::NotLeaderOrFollower
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
            | ErrorCode::OffsetNotAvailable
            | ErrorCode::KafkaStorageError => {}
            other => client.clients.history.odd(
                "VIS",
                format!(
                    "node {} answered a fetch of partition {} at {} with {other}",
                    leader.node, self.partition, self.position
                ),
            ),
        }
        client.refresh().await;
        client.back_off().await;
    }
}

impl Clients {
    /// Reads one partition from its start, in order, for ever.
    pub(crate) async fn read(self, consumer: i64, partition: i32, seed: u64) {
        let mut client = Client::new(self, seed);
        let earliest = loop {
            if let Some(earliest) = list_offset(&mut client, partition, EARLIEST).await {
                break earliest;
            }
            client.back_off().await;
        };
        let mut cursor = Cursor::new(&mut client, consumer, partition, earliest);
        loop {
            cursor.poll(&mut client).await;
            if client.dice.random_ratio(1, 20) {
                list_offset(&mut client, partition, LATEST).await;
            }
            client.rest(1..150).await;
        }
    }
}

/// Asks for the first or the next offset.
async fn list_offset(client: &mut Client, partition: i32, timestamp: i64) -> Option<Offset> {
    let leader = client.find_leader(partition).await?;
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(leader.epoch)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic]);
    let answer = client.call(leader.node, LIST_VERSION, &request, ANSWER).await.ok()?;
    let part = answer.topics.first()?.partitions.first()?;
    match ErrorCode::from_code(part.error_code) {
        ErrorCode::None => {
            let end = Offset(part.offset);
            client.clients.history.claimed(Claim {
                node: leader.node,
                partition,
                end,
            });
            return Some(end);
        }
        ErrorCode::NotLeaderOrFollower
        | ErrorCode::FencedLeaderEpoch
        | ErrorCode::UnknownLeaderEpoch
        | ErrorCode::LeaderNotAvailable
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::OffsetNotAvailable
        | ErrorCode::KafkaStorageError => {}
        other => client
            .clients
            .history
            .odd("VIS", format!("node {} answered ListOffsets with {other}", leader.node)),
    }
    client.refresh().await;
    None
}
