//! The active controller: the real decisions on the real image.
//!
//! Every record of a decision makes a view of its own, for a broker may learn of a prefix first, and a controller that dies may
//! leave no more than that.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use metadata::control::{AnyConfig, ControlContext, ControlDefaults, MutationAccount, Unmetered, decide_batch};
use metadata::invariants::{check_image, check_step};
use metadata::proto::control_request::Request;
use metadata::proto::{
    BootstrapRequest, ControlRequest, ControlResponse, CreateTopicItem, CreateTopicsRequest, Listener,
    RegisterBrokerRequest, ReplicaAssignment, UnfenceBrokerRequest,
};
use metadata::{MetadataImage, PartitionRegistration};
use types::{BrokerEpoch, BrokerId, PartitionIndex, TimestampMs, TopicIdPartition};

use crate::checks::Violation;
use crate::fingerprint::Fingerprint;

const TOPIC: &str = "t";

/// The metadata after a record.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) image: MetadataImage,
    pub(crate) id: Option<TopicIdPartition>,
    /// Of what the rules can tell apart.
    pub(crate) hash: u64,
}

impl View {
    fn new(image: MetadataImage) -> Self {
        let id = image.topic(TOPIC).map(|topic| TopicIdPartition {
            topic_id: topic.id,
            partition: PartitionIndex(0),
        });
        let mut hasher = Fingerprint::default();
        id.and_then(|id| image.partition(id)).hash(&mut hasher);
        for broker in image.brokers() {
            (broker.id, broker.epoch, broker.fenced, broker.in_controlled_shutdown).hash(&mut hasher);
        }
        let hash = hasher.finish();
        Self { image, id, hash }
    }

    pub(crate) fn partition(&self) -> Option<&Arc<PartitionRegistration>> {
        self.id.and_then(|id| self.image.partition(id))
    }

    /// As the broker's shell answers it, of its own image.
    pub(crate) fn eligible(&self, broker: BrokerId) -> Option<BrokerEpoch> {
        self.image
            .broker(broker)
            .filter(|registration| registration.is_active())
            .map(|registration| registration.epoch)
    }
}

/// What a decision makes: views, one a record, and the answer.
pub(crate) type Decided = (Vec<Arc<View>>, ControlResponse);

/// Decides, replays, and checks the image after every record.
pub(crate) fn decide(view: &View, request: Request, min_isr: usize) -> Result<Decided, Violation> {
    let defaults = ControlDefaults {
        min_insync_replicas: min_isr,
        ..ControlDefaults::default()
    };
    let mut drawn = 0_u64;
    let mut random = || {
        drawn += 1;
        drawn
    };
    let mut context = ControlContext {
        now: TimestampMs(0),
        defaults: &defaults,
        random: &mut random,
        config_rules: &AnyConfig,
        mutations: &mut Unmetered,
        account: MutationAccount::default(),
    };
    let request = ControlRequest::from(request);
    let mut decided = decide_batch(&view.image, &[request], &mut context);
    let response = decided.responses.pop().unwrap_or_default();
    let broken = |why: String| Violation { id: "META", why };
    let mut views = Vec::new();
    let mut before = view.image.clone();
    for record in &decided.records {
        let mut after = before.clone();
        after.replay(record).map_err(|error| broken(error.to_string()))?;
        check_image(&after).map_err(|violation| broken(violation.to_string()))?;
        check_step(&before, &after).map_err(|violation| broken(violation.to_string()))?;
        views.push(Arc::new(View::new(after.clone())));
        before = after;
    }
    Ok((views, response))
}

/// A formed cluster of three brokers, with one partition on them.
pub(crate) fn form(min_isr: usize) -> Result<Arc<View>, Violation> {
    let ask = |view: Arc<View>, request: Request| -> Result<Arc<View>, Violation> {
        let (views, response) = decide(&view, request, min_isr)?;
        if response.error_code != 0 {
            return Err(Violation::new("MODEL", response.error_message));
        }
        Ok(views.into_iter().next_back().unwrap_or(view))
    };
    let bootstrap = BootstrapRequest {
        cluster_id: "castle".to_owned(),
    };
    let mut view = ask(Arc::new(View::new(MetadataImage::new())), Request::Bootstrap(bootstrap))?;
    for id in (1..=3).map(BrokerId) {
        view = ask(view, Request::RegisterBroker(registration(id, 1, None, false)))?;
        let broker_epoch = view.image.broker(id).map_or(-1, |broker| broker.epoch.0);
        let unfence = UnfenceBrokerRequest {
            broker_id: id.0,
            broker_epoch,
            metadata_offset: view.image.offset().0,
        };
        view = ask(view, Request::UnfenceBroker(unfence))?;
    }
    let item = CreateTopicItem {
        name: TOPIC.to_owned(),
        partitions: -1,
        replication_factor: -1,
        assignments: vec![ReplicaAssignment {
            index: 0,
            replicas: vec![1, 2, 3],
        }],
        ..CreateTopicItem::default()
    };
    let create = CreateTopicsRequest {
        topics: vec![item],
        validate_only: false,
    };
    view = ask(view, Request::CreateTopics(create))?;
    if view.partition().is_none() {
        return Err(Violation::new("MODEL", "the topic wasn't created"));
    }
    Ok(view)
}

/// A process that starts.
pub(crate) fn registration(
    id: BrokerId,
    life: u8,
    previous: Option<BrokerEpoch>,
    unclean: bool,
) -> RegisterBrokerRequest {
    RegisterBrokerRequest {
        broker_id: id.0,
        incarnation_id: Bytes::from(vec![life; 16]),
        cluster_id: "castle".to_owned(),
        listeners: vec![Listener {
            name: "PLAINTEXT".to_owned(),
            host: "h".to_owned(),
            port: 9092,
            security_protocol: 0,
        }],
        unclean_shutdown: unclean,
        previous_broker_epoch: previous.map(|epoch| epoch.0),
        ..RegisterBrokerRequest::default()
    }
}
