//! rskafka, a client in Rust that shares no code with librdkafka or Kafka. Prints 'ok' and 'FAIL' lines. `compat-rust BOOTSTRAP [LOG_DIR..]`.

mod cluster;

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use rskafka::BackoffConfig;
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::consumer::{StartOffset, StreamConsumerBuilder};
use rskafka::client::controller::ControllerClient;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::producer::{BatchProducerBuilder, aggregator::RecordAggregator};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};

use cluster::Cluster;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const COUNT: usize = 500;
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_MS: i32 = 30_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments
        .next()
        .unwrap_or_default()
        .split(',')
        .map(str::to_owned)
        .collect();
    let cluster = Cluster {
        bootstrap,
        log_dirs: arguments.collect(),
    };
    let mut failures = 0;
    let mut done = |ok: bool| failures += usize::from(!ok);
    done(
        check(
            "create and list a topic; every partition has a leader",
            topics(cluster.clone()),
        )
        .await,
    );
    for (name, codec) in [
        ("none", Compression::NoCompression),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ] {
        done(
            check(
                &format!("produce and read back with {name}"),
                round_trip(cluster.clone(), name, codec),
            )
            .await,
        );
    }
    done(check("what waits longer goes into one batch", batch_producer(cluster.clone())).await);
    done(check("offsets at both ends and by time", offsets(cluster.clone())).await);
    done(check("delete records", delete_records(cluster.clone())).await);
    done(
        check(
            "a request held open is answered when records come",
            long_poll(cluster.clone()),
        )
        .await,
    );
    done(
        check(
            "a client follows its partition's leader to another broker",
            moved_leader(cluster.clone()),
        )
        .await,
    );
    done(check("refusals have Kafka's errors", refusals(cluster.clone())).await);
    done(check("delete a topic", delete_topic(cluster)).await);
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn topics(cluster: Cluster) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create("topics", 6).await?;
    let listed = at.client.list_topics().await?;
    let found = listed.iter().find(|listed| listed.name == topic).ok_or("not listed")?;
    assert_eq!(found.partitions, (0..6).collect());
    for partition in 0..6 {
        assert_eq!(
            at.partition(&topic, partition)
                .await?
                .get_offset(OffsetAt::Latest)
                .await?,
            0
        );
    }
    Ok(())
}

async fn round_trip(cluster: Cluster, name: &str, codec: Compression) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create(name, 3).await?;
    for partition in 0..3 {
        let client = at.partition(&topic, partition).await?;
        let mut sent = Vec::new();
        // Several batches, so that the codec's state doesn't outlive one.
        for chunk in records(COUNT).chunks(COUNT / 4) {
            let acknowledged = client.produce(chunk.to_vec(), codec).await?;
            sent.extend(
                chunk
                    .iter()
                    .cloned()
                    .zip(acknowledged)
                    .map(|(record, offset)| RecordAndOffset { record, offset }),
            );
        }
        let offsets: Vec<i64> = sent.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (0..COUNT as i64).collect::<Vec<_>>());
        let read = read(client, COUNT).await?;
        assert!(read == sent, "partition {partition}: read {read:?}");
    }
    // A client that sent something else than it was told would prove nothing.
    if let Some(found) = cluster.codec_on_disk(&topic)? {
        assert_eq!(found, name);
    }
    Ok(())
}

async fn batch_producer(cluster: Cluster) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create("lingers", 1).await?;
    let client = at.partition(&topic, 0).await?;
    let producer = BatchProducerBuilder::new(Arc::clone(&client))
        .with_linger(Duration::from_millis(50))
        .with_compression(Compression::Lz4)
        .build(RecordAggregator::new(1 << 20));
    let sent = records(COUNT);
    let offsets = futures::future::try_join_all(sent.iter().map(|record| producer.produce(record.clone()))).await?;
    let read = read(client, COUNT).await?;
    for (record, offset) in sent.into_iter().zip(offsets) {
        let found = read.get(usize::try_from(offset)?).ok_or("an offset that wasn't read")?;
        assert_eq!(*found, RecordAndOffset { record, offset });
    }
    Ok(())
}

async fn offsets(cluster: Cluster) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create("offsets", 1).await?;
    let client = at.partition(&topic, 0).await?;
    let start = now();
    let mut sent = records(3);
    for (record, second) in sent.iter_mut().zip(0..) {
        record.timestamp = start + Duration::from_secs(second);
    }
    client.produce(sent, Compression::Zstd).await?;
    assert_eq!(client.get_offset(OffsetAt::Earliest).await?, 0);
    assert_eq!(client.get_offset(OffsetAt::Latest).await?, 3);
    for (after_ms, expected) in [(0, 0), (1, 1), (1000, 1), (1500, 2), (2000, 2), (2001, -1)] {
        let time = OffsetAt::Timestamp(start + Duration::from_millis(after_ms));
        assert_eq!(
            client.get_offset(time).await?,
            expected,
            "{after_ms} ms after the first record"
        );
    }
    Ok(())
}

async fn delete_records(cluster: Cluster) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create("delete-records", 1).await?;
    let client = at.partition(&topic, 0).await?;
    for record in records(50) {
        client.produce(vec![record], Compression::NoCompression).await?;
    }
    client.delete_records(20, PATIENCE_MS).await?;
    assert_eq!(client.get_offset(OffsetAt::Earliest).await?, 20);
    refused(
        ProtocolError::OffsetOutOfRange,
        client.fetch_records(19, 1..1_000_000, 100).await,
    )?;
    let (rest, high_watermark) = client.fetch_records(20, 1..1_000_000, 100).await?;
    assert_eq!((rest.len(), rest[0].offset, high_watermark), (30, 20, 50));
    refused(
        ProtocolError::OffsetOutOfRange,
        client.delete_records(51, PATIENCE_MS).await,
    )
}

/// The reader asks for more than is there, so only what is written while it waits can answer it.
async fn long_poll(cluster: Cluster) -> Outcome {
    const ENOUGH: i32 = 5_000;
    let at = Connection::open(&cluster).await?;
    let topic = at.create("long-poll", 1).await?;
    let (reader, writer) = (at.partition(&topic, 0).await?, at.partition(&topic, 0).await?);
    let mut written = 0;
    let mut read = std::pin::pin!(reader.fetch_records(0, ENOUGH..1_000_000, PATIENCE_MS));
    let start = Instant::now();
    let (answer, _) = loop {
        tokio::select! {
            answer = &mut read => break answer?,
            offsets = writer.produce(records(10), Compression::NoCompression) => written += offsets?.len(),
        }
    };
    // A record is smaller than 200 bytes, with its batch's header.
    assert!(
        answer.len() >= 25 && answer.len() <= written + 10,
        "{} of {written} read",
        answer.len()
    );
    assert!(start.elapsed() < PATIENCE / 2, "answered after {:?}", start.elapsed());
    Ok(())
}

/// The client still asks the old leader, is told that it isn't any more, and must find the new one.
async fn moved_leader(cluster: Cluster) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create("moves", 1).await?;
    // An unknown topic would be an error: a broker that knows the topic but isn't its replica says NOT_LEADER_OR_FOLLOWER.
    let client = at
        .client
        .partition_client(&topic, 0, UnknownTopicHandling::Error)
        .await?;
    client.produce(records(10), Compression::Snappy).await?;
    let old = cluster.partitions(&topic)?[0].leader;
    let others: Vec<i32> = (1..=3).filter(|id| *id != old).collect();
    cluster.reassign(&topic, &others)?;
    until("the leader has moved", || {
        let partition = &cluster.partitions(&topic)?[0];
        Ok(partition.leader != old && partition.in_sync == 2)
    })
    .await?;
    assert_eq!(client.produce(records(1), Compression::Snappy).await?, [10]);
    assert_eq!(client.fetch_records(0, 1..1_000_000, 100).await?.0.len(), 11);
    Ok(())
}

async fn refusals(cluster: Cluster) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create("refusals", 1).await?;
    let create = |name: String, partitions, replicas| {
        let controller = &at.controller;
        async move { controller.create_topic(name, partitions, replicas, PATIENCE_MS).await }
    };
    refused(ProtocolError::TopicAlreadyExists, create(topic.clone(), 1, 3).await)?;
    refused(
        ProtocolError::InvalidReplicationFactor,
        create(name_of("four"), 1, 4).await,
    )?;
    refused(
        ProtocolError::InvalidPartitions,
        create(name_of("no-partitions"), 0, 3).await,
    )?;
    refused(
        ProtocolError::InvalidTopicException,
        create("not a name".to_owned(), 1, 3).await,
    )?;
    refused(
        ProtocolError::UnknownTopicOrPartition,
        at.controller.delete_topic(name_of("never"), PATIENCE_MS).await,
    )?;

    let client = at.partition(&topic, 0).await?;
    refused(
        ProtocolError::OffsetOutOfRange,
        client.fetch_records(1, 1..1_000_000, 100).await,
    )?;
    let mut large = records(1);
    large[0].value = Some(vec![b'x'; 2 << 20]);
    refused(
        ProtocolError::MessageTooLarge,
        client.produce(large, Compression::NoCompression).await,
    )?;
    assert_eq!(client.get_offset(OffsetAt::Latest).await?, 0);
    // The refused ones left the connection in order.
    assert_eq!(client.produce(records(1), Compression::NoCompression).await?, [0]);
    Ok(())
}

async fn delete_topic(cluster: Cluster) -> Outcome {
    let at = Connection::open(&cluster).await?;
    let topic = at.create("deleted", 2).await?;
    at.controller.delete_topic(&topic, PATIENCE_MS).await?;
    let deadline = Instant::now() + PATIENCE;
    while at.client.list_topics().await?.iter().any(|listed| listed.name == topic) {
        assert!(Instant::now() < deadline, "still listed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    refused(
        ProtocolError::UnknownTopicOrPartition,
        at.controller.delete_topic(&topic, PATIENCE_MS).await,
    )
}

// What the checks are made of.

async fn check(name: &str, run: impl Future<Output = Outcome>) -> bool {
    // A panic says where it was on the way out, and a check must not keep the others from running.
    let outcome = std::panic::AssertUnwindSafe(tokio::time::timeout(2 * PATIENCE, run));
    let failure = match futures::FutureExt::catch_unwind(outcome).await {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(error))) => Some(error.to_string()),
        Ok(Err(_)) => Some(format!("not done after {:?}", 2 * PATIENCE)),
        Err(_) => Some("see above".to_owned()),
    };
    match &failure {
        None => println!("ok rskafka: {name}"),
        Some(failure) => println!("FAIL rskafka: {name}: {failure}"),
    }
    failure.is_none()
}

struct Connection {
    cluster: Cluster,
    client: Client,
    controller: ControllerClient,
}

impl Connection {
    async fn open(cluster: &Cluster) -> Outcome<Self> {
        // By itself it tries for ever.
        let backoff = BackoffConfig {
            deadline: Some(PATIENCE),
            ..BackoffConfig::default()
        };
        let client = ClientBuilder::new(cluster.bootstrap.clone())
            .backoff_config(backoff)
            .build()
            .await?;
        let controller = client.controller_client()?;
        Ok(Self {
            cluster: cluster.clone(),
            client,
            controller,
        })
    }

    async fn create(&self, name: &str, partitions: usize) -> Outcome<String> {
        let topic = name_of(name);
        self.controller
            .create_topic(&topic, i32::try_from(partitions)?, 3, PATIENCE_MS)
            .await?;
        until("the topic has its ISR", || {
            let found = self.cluster.partitions(&topic)?;
            Ok(found.len() == partitions
                && found
                    .iter()
                    .all(|partition| partition.leader > 0 && partition.in_sync == 3))
        })
        .await?;
        Ok(topic)
    }

    async fn partition(&self, topic: &str, partition: i32) -> Outcome<Arc<PartitionClient>> {
        Ok(Arc::new(
            self.client
                .partition_client(topic, partition, UnknownTopicHandling::Retry)
                .await?,
        ))
    }
}

async fn read(client: Arc<PartitionClient>, count: usize) -> Outcome<Vec<RecordAndOffset>> {
    let stream = StreamConsumerBuilder::new(client, StartOffset::Earliest)
        .with_max_wait_ms(100)
        .build();
    let records: Vec<_> = tokio::time::timeout(PATIENCE, stream.take(count).collect()).await?;
    Ok(records
        .into_iter()
        .map(|record| record.map(|(record, _)| record))
        .collect::<Result<_, _>>()?)
}

async fn until(what: &str, condition: impl Fn() -> Outcome<bool>) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        if Instant::now() > deadline {
            return Err(format!("waited {PATIENCE:?}: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn records(count: usize) -> Vec<Record> {
    let timestamp = now();
    (0..count)
        .map(|n| Record {
            key: (n % 7 != 0).then(|| format!("key {n}").into_bytes()),
            value: (n % 11 != 0).then(|| format!("value {n} {}", "x".repeat(n % 97)).into_bytes()),
            headers: BTreeMap::from([
                ("n".to_owned(), n.to_be_bytes().to_vec()),
                ("empty".to_owned(), Vec::new()),
            ]),
            timestamp,
        })
        .collect()
}

/// As Kafka counts: in milliseconds.
fn now() -> DateTime<Utc> {
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    DateTime::from_timestamp_millis(i64::try_from(millis).unwrap_or_default()).unwrap_or_default()
}

fn name_of(name: &str) -> String {
    format!("rust-{}-{name}", std::process::id())
}

fn refused<T>(expected: ProtocolError, found: Result<T, Error>) -> Outcome {
    match found {
        Err(Error::ServerError { protocol_error, .. }) if protocol_error == expected => Ok(()),
        Err(error) => Err(format!("expected {expected:?}, found {error}").into()),
        Ok(_) => Err(format!("not refused with {expected:?}").into()),
    }
}
