//! Decisions through a real quorum of one, on a disk in memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use metadata::MetadataImage;
use metadata::control::{AnyConfig, ControlDefaults};
use metadata::proto::control_request::Request;
use metadata::proto::{
    BootstrapRequest, CreateTopicItem, CreateTopicsRequest, FenceBrokerRequest, Listener, RegisterBrokerRequest,
    UnfenceBrokerRequest,
};
use storage::testing::MemoryFileSystem;
use types::BrokerId;

use super::*;
use crate::active::WallClock;
use crate::raft::{DialOutcome, LogIo, QuorumConfig, RaftThreads, RaftTransport, TransportError, VoterAddress};

#[derive(Debug)]
struct NoClock;

impl WallClock for NoClock {
    fn now_ms(&self) -> i64 {
        0
    }
}

#[derive(Debug)]
struct Alone;

#[async_trait]
impl RaftTransport for Alone {
    async fn call(&self, _: &VoterAddress, _: Bytes, _: Duration) -> Result<Bytes, TransportError> {
        Err(TransportError::Unreachable("nobody else is there".to_owned()))
    }

    async fn dial(&self, _: &VoterAddress) -> DialOutcome {
        DialOutcome::Refused
    }
}

async fn quorum(disk: &MemoryFileSystem) -> MetadataQuorum {
    let mut config = QuorumConfig::new(BrokerId(1), "test", 9001, PathBuf::from("/metadata"));
    config.log_io = LogIo::Inline;
    config.threads = RaftThreads::Current;
    config.image_cache = None;
    config.seed = Some(1);
    let quorum = MetadataQuorum::start(config, Arc::new(disk.clone()), Arc::new(Alone))
        .await
        .unwrap();
    let active = async |quorum: &MetadataQuorum| {
        quorum
            .leadership()
            .wait_for(|leadership| leadership.active)
            .await
            .is_ok()
    };
    assert!(active(&quorum).await);
    quorum
}

fn start_writer(quorum: &MetadataQuorum) -> WriterHandle {
    let config = ControllerConfig {
        session_timeout: Duration::from_secs(2),
        heartbeat_interval: Duration::from_millis(250),
        inter_broker_listener: "PLAINTEXT".to_owned(),
        defaults: ControlDefaults {
            max_replicas_per_broker: 1_000_000,
            min_insync_replicas: 2,
            ..ControlDefaults::default()
        },
        config_rules: Arc::new(AnyConfig),
        rebalance_interval: None,
        mutation_windows: config::QuotaConfig {
            windows: 11,
            window: Duration::from_secs(1),
        },
        clock: Arc::new(NoClock),
        seed: 1,
    };
    let (writer, requests) = WriterHandle::channel();
    tokio::spawn(Writer::new(quorum.clone(), Arc::new(config)).run(requests));
    writer
}

fn image(quorum: &MetadataQuorum) -> Arc<MetadataImage> {
    Arc::clone(&quorum.images().borrow().image)
}

async fn ask(writer: &WriterHandle, request: Request) -> Answer {
    let answer = writer.submit(ControlRequest::from(request)).await;
    if let Ok(response) = &answer {
        assert_eq!(response.error_code, 0, "{}", response.error_message);
    }
    answer
}

/// Three brokers, and 100,000 partitions on each.
async fn crowd(quorum: &MetadataQuorum, writer: &WriterHandle) {
    let bootstrap = BootstrapRequest {
        cluster_id: "castle".to_owned(),
    };
    ask(writer, Request::Bootstrap(bootstrap)).await.unwrap();
    for id in 1..=3_u8 {
        let register = RegisterBrokerRequest {
            broker_id: i32::from(id),
            incarnation_id: Bytes::from(vec![id; 16]),
            cluster_id: "castle".to_owned(),
            listeners: vec![Listener {
                name: "PLAINTEXT".to_owned(),
                host: "h".to_owned(),
                port: 9092,
                security_protocol: 0,
            }],
            ..RegisterBrokerRequest::default()
        };
        ask(writer, Request::RegisterBroker(register)).await.unwrap();
        let unfence = UnfenceBrokerRequest {
            broker_id: i32::from(id),
            broker_epoch: epoch(quorum, i32::from(id)),
            metadata_offset: image(quorum).offset().0,
        };
        ask(writer, Request::UnfenceBroker(unfence)).await.unwrap();
    }
    for number in 0..10 {
        let item = CreateTopicItem {
            name: format!("t{number}"),
            partitions: 10_000,
            replication_factor: 3,
            ..CreateTopicItem::default()
        };
        let create = CreateTopicsRequest {
            topics: vec![item],
            validate_only: false,
        };
        ask(writer, Request::CreateTopics(create)).await.unwrap();
    }
    assert_eq!(image(quorum).partition_count(), 100_000);
}

fn epoch(quorum: &MetadataQuorum, id: i32) -> i64 {
    image(quorum).broker(BrokerId(id)).unwrap().epoch.0
}

fn fence(quorum: &MetadataQuorum) -> Request {
    Request::FenceBroker(FenceBrokerRequest {
        broker_id: 1,
        broker_epoch: epoch(quorum, 1),
    })
}

fn led(quorum: &MetadataQuorum) -> usize {
    image(quorum).partitions_led_by(BrokerId(1)).count()
}

#[tokio::test]
async fn a_broker_of_100_000_partitions_is_fenced_though_its_records_are_more_than_an_entry() {
    let quorum = quorum(&MemoryFileSystem::new()).await;
    let writer = start_writer(&quorum);
    crowd(&quorum, &writer).await;
    assert!(led(&quorum) > 30_000);
    let index = quorum.images().borrow().index;
    let start = Instant::now();
    ask(&writer, fence(&quorum)).await.unwrap();
    let entries = quorum.images().borrow().index - index;
    println!("fenced by {entries} entries in {:?}", start.elapsed());
    assert!(entries > 1, "{entries} entries");
    assert_eq!(led(&quorum), 0);
    assert!(!image(&quorum).is_active(BrokerId(1)));
    quorum.shutdown().await;
}

#[tokio::test]
async fn a_controller_that_dies_between_two_entries_says_so_and_its_successor_goes_on() {
    let disk = MemoryFileSystem::new();
    let first = quorum(&disk).await;
    let writer = start_writer(&first);
    crowd(&first, &writer).await;
    let before = led(&first);
    // Far enough for an entry, too short for all.
    disk.stop_after(6);
    assert_eq!(ask(&writer, fence(&first)).await.err(), Some(WriteFailure::Unknown));
    disk.power_cut(1);
    first.kill().await;

    let second = quorum(&disk).await;
    let left = led(&second);
    assert!(0 < left && left < before, "{left} of {before}");
    assert!(image(&second).is_active(BrokerId(1)));
    ask(&start_writer(&second), fence(&second)).await.unwrap();
    assert_eq!(led(&second), 0);
    assert!(!image(&second).is_active(BrokerId(1)));
    second.shutdown().await;
}
