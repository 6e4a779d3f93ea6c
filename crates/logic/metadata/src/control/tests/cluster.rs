//! A cluster in one value: asks decisions, replays their records, and checks the invariants after each.

use bytes::Bytes;
use types::{BrokerEpoch, BrokerId, ErrorCode, PartitionIndex, TimestampMs, TopicIdPartition};

use crate::control::{AnyConfig, ControlContext, ControlDefaults, MutationAccount, Unmetered, decide_batch};
use crate::image::{MetadataImage, PartitionRegistration};
use crate::invariants::{check_image, check_step};
use crate::proto::control_request::Request;
use crate::proto::control_response::Response;
use crate::proto::{self, ControlRequest, ControlResponse, MetadataRecord};

pub(crate) struct Cluster {
    pub(crate) image: MetadataImage,
    pub(crate) defaults: ControlDefaults,
    pub(crate) records: Vec<MetadataRecord>,
    seed: u64,
    incarnations: u8,
}

impl Cluster {
    /// A formed cluster without brokers.
    pub(crate) fn new(min_insync_replicas: usize) -> Self {
        let defaults = ControlDefaults {
            min_insync_replicas,
            ..ControlDefaults::default()
        };
        let mut cluster = Self {
            image: MetadataImage::new(),
            defaults,
            records: Vec::new(),
            seed: 7,
            incarnations: 0,
        };
        let answer = cluster.ask(Request::Bootstrap(proto::BootstrapRequest {
            cluster_id: "castle".to_owned(),
        }));
        assert_eq!(answer.error_code, 0, "{}", answer.error_message);
        cluster
    }

    /// Brokers 1 to `brokers`, unfenced.
    pub(crate) fn with_brokers(brokers: i32, min_insync_replicas: usize) -> Self {
        let mut cluster = Self::new(min_insync_replicas);
        for id in 1..=brokers {
            cluster.start(id, false);
        }
        cluster
    }

    pub(crate) fn ask(&mut self, request: Request) -> ControlResponse {
        self.ask_all(&[ControlRequest::from(request)]).remove(0)
    }

    pub(crate) fn ask_all(&mut self, requests: &[ControlRequest]) -> Vec<ControlResponse> {
        let mut seed = self.seed;
        let mut random = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 27)
        };
        let mut context = ControlContext {
            now: TimestampMs(0),
            defaults: &self.defaults,
            random: &mut random,
            config_rules: &AnyConfig,
            mutations: &mut Unmetered,
            account: MutationAccount::default(),
        };
        let batch = decide_batch(&self.image, requests, &mut context);
        self.seed = seed;
        let before = self.image.clone();
        for record in &batch.records {
            let earlier = self.image.clone();
            self.image.replay(record).expect("a decision's record fits");
            check_image(&self.image).expect("every prefix of a decision is sound");
            check_step(&earlier, &self.image).expect("every record is a sound step");
        }
        if requests.len() == 1 {
            check_step(&before, &self.image).expect("every decision is a sound step");
        }
        assert_eq!(self.image, batch.image_after);
        self.records.extend(batch.records);
        batch.responses
    }

    pub(crate) fn register(&mut self, id: i32, unclean: bool) -> ControlResponse {
        let previous = self.image.broker(BrokerId(id)).map(|broker| broker.epoch.0);
        let request = self.registration(id);
        self.ask(Request::RegisterBroker(proto::RegisterBrokerRequest {
            unclean_shutdown: unclean,
            previous_broker_epoch: previous,
            ..request
        }))
    }

    pub(crate) fn registration(&mut self, id: i32) -> proto::RegisterBrokerRequest {
        self.incarnations = self.incarnations.wrapping_add(1);
        let listener = proto::Listener {
            name: "PLAINTEXT".to_owned(),
            host: "h".to_owned(),
            port: 9092,
            security_protocol: 0,
        };
        proto::RegisterBrokerRequest {
            broker_id: id,
            incarnation_id: Bytes::from(vec![self.incarnations; 16]),
            cluster_id: "castle".to_owned(),
            listeners: vec![listener],
            ..Default::default()
        }
    }

    /// Registers a new incarnation and unfences it.
    pub(crate) fn start(&mut self, id: i32, unclean: bool) {
        let answer = self.register(id, unclean);
        assert_eq!(answer.error_code, 0, "{}", answer.error_message);
        self.unfence(id);
    }

    pub(crate) fn unfence(&mut self, id: i32) -> bool {
        let request = proto::UnfenceBrokerRequest {
            broker_id: id,
            broker_epoch: self.epoch(id),
            metadata_offset: self.image.offset().0,
        };
        match self.ask(Request::UnfenceBroker(request)).response {
            Some(Response::UnfenceBroker(answer)) => answer.unfenced,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn fence(&mut self, id: i32) -> ControlResponse {
        let broker_epoch = self.epoch(id);
        self.ask(Request::FenceBroker(proto::FenceBrokerRequest {
            broker_id: id,
            broker_epoch,
        }))
    }

    pub(crate) fn shut_down(&mut self, id: i32) -> proto::ControlledShutdownResponse {
        let broker_epoch = self.epoch(id);
        let request = proto::ControlledShutdownRequest {
            broker_id: id,
            broker_epoch,
        };
        match self.ask(Request::ControlledShutdown(request)).response {
            Some(Response::ControlledShutdown(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn epoch(&self, id: i32) -> i64 {
        self.image
            .broker(BrokerId(id))
            .map_or(BrokerEpoch::NONE.0, |broker| broker.epoch.0)
    }

    /// A topic with one partition on these replicas.
    pub(crate) fn topic(&mut self, name: &str, replicas: &[i32]) -> TopicIdPartition {
        let item = proto::CreateTopicItem {
            name: name.to_owned(),
            partitions: -1,
            replication_factor: -1,
            assignments: vec![proto::ReplicaAssignment {
                index: 0,
                replicas: replicas.to_vec(),
            }],
            ..Default::default()
        };
        let created = self.create(item);
        assert_eq!(created.error_code, 0, "{}", created.error_message);
        let topic_id = self.image.topic(name).expect("it was created").id;
        TopicIdPartition {
            topic_id,
            partition: PartitionIndex(0),
        }
    }

    pub(crate) fn create(&mut self, item: proto::CreateTopicItem) -> proto::CreateTopicResult {
        let request = proto::CreateTopicsRequest {
            topics: vec![item],
            validate_only: false,
        };
        match self.ask(Request::CreateTopics(request)).response {
            Some(Response::CreateTopics(mut answer)) => answer.topics.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// The present leader proposes an ISR with the present epochs.
    pub(crate) fn propose(&mut self, id: TopicIdPartition, isr: &[i32]) -> proto::AlterPartitionResult {
        let item = self.proposal(id, isr);
        self.alter(id, item)
    }

    pub(crate) fn proposal(&self, id: TopicIdPartition, isr: &[i32]) -> proto::AlterPartitionItem {
        let partition = self.partition(id);
        let member = |id: &i32| proto::IsrMember {
            broker_id: *id,
            broker_epoch: self.epoch(*id),
        };
        proto::AlterPartitionItem {
            partition: Some(id.into()),
            leader_epoch: partition.leader_epoch.0,
            partition_epoch: partition.partition_epoch.0,
            new_isr: isr.iter().map(member).collect(),
            recovering: false,
        }
    }

    pub(crate) fn alter(
        &mut self,
        id: TopicIdPartition,
        item: proto::AlterPartitionItem,
    ) -> proto::AlterPartitionResult {
        let leader = self.partition(id).leader.map_or(-1, |leader| leader.0);
        let request = proto::AlterPartitionRequest {
            broker_id: leader,
            broker_epoch: self.epoch(leader),
            partitions: vec![item],
        };
        match self.ask(Request::AlterPartition(request)).response {
            Some(Response::AlterPartition(mut answer)) => answer.partitions.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn elect(&mut self, name: &str, unclean: bool) -> ErrorCode {
        let topics = vec![proto::TopicPartitions {
            name: name.to_owned(),
            partitions: vec![0],
        }];
        let request = proto::ElectLeadersRequest {
            unclean,
            all: false,
            topics,
        };
        match self.ask(Request::ElectLeaders(request)).response {
            Some(Response::ElectLeaders(answer)) => code(answer.partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn set_config(
        &mut self,
        resource_type: proto::ConfigResourceType,
        name: &str,
        key: &str,
        value: Option<&str>,
    ) -> ErrorCode {
        let operation = if value.is_some() {
            proto::ConfigOperation::Set
        } else {
            proto::ConfigOperation::Delete
        };
        let alteration = proto::ConfigAlteration {
            key: key.to_owned(),
            operation: operation.into(),
            value: value.map(str::to_owned),
        };
        let item = proto::AlterConfigsItem {
            resource_type: resource_type.into(),
            resource_name: name.to_owned(),
            alterations: vec![alteration],
            replace_all: false,
        };
        let request = proto::AlterConfigsRequest {
            resources: vec![item],
            validate_only: false,
        };
        match self.ask(Request::AlterConfigs(request)).response {
            Some(Response::AlterConfigs(answer)) => code(answer.resources[0].error_code),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn reassign(&mut self, name: &str, replicas: Option<&[i32]>) -> ErrorCode {
        self.reassign_as(name, replicas, false)
    }

    pub(crate) fn reassign_as(
        &mut self,
        name: &str,
        replicas: Option<&[i32]>,
        keep_replication_factor: bool,
    ) -> ErrorCode {
        let replicas = replicas.map(|ids| proto::BrokerIds { ids: ids.to_vec() });
        let item = proto::ReassignmentItem {
            name: name.to_owned(),
            partition: 0,
            replicas,
        };
        let request = proto::AlterPartitionReassignmentsRequest {
            partitions: vec![item],
            keep_replication_factor,
        };
        match self.ask(Request::AlterPartitionReassignments(request)).response {
            Some(Response::AlterPartitionReassignments(answer)) => code(answer.partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn rebalance(&mut self) -> u32 {
        let request = proto::RebalanceLeadersRequest { max_moves: 100 };
        match self.ask(Request::RebalanceLeaders(request)).response {
            Some(Response::RebalanceLeaders(answer)) => answer.moved,
            other => panic!("{other:?}"),
        }
    }

    /// Reports of (broker, last epoch, log end), each with its present broker epoch.
    pub(crate) fn report(&mut self, id: TopicIdPartition, reports: &[(i32, i32, i64)]) -> bool {
        let report = |(broker, last_epoch, log_end_offset): &(i32, i32, i64)| proto::LogEndReport {
            broker_id: *broker,
            broker_epoch: self.epoch(*broker),
            last_epoch: *last_epoch,
            log_end_offset: *log_end_offset,
        };
        let item = proto::LastKnownItem {
            partition: Some(id.into()),
            reports: reports.iter().map(report).collect(),
        };
        let request = proto::ElectLastKnownRequest { partitions: vec![item] };
        match self.ask(Request::ElectLastKnown(request)).response {
            Some(Response::ElectLastKnown(answer)) => !answer.elected.is_empty(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn partition(&self, id: TopicIdPartition) -> &PartitionRegistration {
        self.image.partition(id).expect("the partition exists")
    }

    /// Leader, ISR, ELR and last known ELR in numbers.
    pub(crate) fn state(&self, id: TopicIdPartition) -> (i32, Vec<i32>, Vec<i32>, Vec<i32>) {
        let partition = self.partition(id);
        let numbers = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        (
            partition.leader.map_or(-1, |leader| leader.0),
            numbers(&partition.isr),
            numbers(&partition.elr),
            numbers(&partition.last_known_elr),
        )
    }
}

pub(crate) fn code(number: i32) -> ErrorCode {
    ErrorCode::from_code(i16::try_from(number).expect("Kafka's codes are short"))
}
