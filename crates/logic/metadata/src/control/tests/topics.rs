//! Creating, growing and deleting topics; placement; batches.

use std::collections::BTreeMap;

use types::{BrokerId, ErrorCode, TimestampMs};

use super::cluster::{Cluster, code};
use crate::MetadataImage;
use crate::control::{
    AnyConfig, BatchDecision, ControlContext, MutationAccount, MutationMeter, PlacementError, QuotaUsedUp, Unmetered,
    decide_batch, place,
};
use crate::proto::control_request::Request;
use crate::proto::control_response::Response;
use crate::proto::{self, ControlRequest, CreateTopicItem, MutationClient};
use crate::record::encoded_len;

fn item(name: &str, partitions: i32, replication_factor: i32) -> CreateTopicItem {
    CreateTopicItem {
        name: name.to_owned(),
        partitions,
        replication_factor,
        ..Default::default()
    }
}

#[test]
fn a_topic_gets_an_id_partitions_and_configs() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let configs = vec![proto::ConfigEntry {
        key: "retention.ms".to_owned(),
        value: Some("5".to_owned()),
    }];
    let created = cluster.create(CreateTopicItem {
        configs,
        ..item("t", 4, 3)
    });
    assert_eq!(
        (created.error_code, created.partitions, created.replication_factor),
        (0, 4, 3)
    );
    let topic = cluster.image.topic("t").expect("created");
    assert_eq!(topic.id.0.as_bytes().as_slice(), &created.topic_id[..]);
    assert_eq!(topic.partition_count(), 4);
    assert_eq!(
        cluster
            .image
            .topic_config(&"t".into())
            .get("retention.ms")
            .map(String::as_str),
        Some("5")
    );
}

#[test]
fn creations_are_refused_with_kafkas_codes() {
    let mut cluster = Cluster::with_brokers(2, 1);
    cluster.topic("a.b", &[1]);
    let assigned = |indexes: &[i32], replicas: &[i32]| CreateTopicItem {
        assignments: indexes
            .iter()
            .map(|index| proto::ReplicaAssignment {
                index: *index,
                replicas: replicas.to_vec(),
            })
            .collect(),
        ..item("t", -1, -1)
    };
    let null_config = vec![proto::ConfigEntry {
        key: "k".to_owned(),
        value: None,
    }];
    for (item, expected) in [
        (item("a.b", 1, 1), ErrorCode::TopicAlreadyExists),
        (item("a_b", 1, 1), ErrorCode::InvalidTopicException),
        (item("a b", 1, 1), ErrorCode::InvalidTopicException),
        (item("t", 0, 1), ErrorCode::InvalidPartitions),
        (item("t", 1, 0), ErrorCode::InvalidReplicationFactor),
        (item("t", 1, 3), ErrorCode::InvalidReplicationFactor),
        (item("t", i32::MAX, 1), ErrorCode::PolicyViolation),
        (
            CreateTopicItem {
                wait_for_replication: true,
                ..item("t", 1, 3)
            },
            ErrorCode::LeaderNotAvailable,
        ),
        (
            CreateTopicItem {
                configs: null_config,
                ..item("t", 1, 1)
            },
            ErrorCode::InvalidConfig,
        ),
        (assigned(&[1], &[1]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[0, 0], &[1]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[0], &[1, 1]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[0], &[9]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[0], &[]), ErrorCode::InvalidReplicaAssignment),
        (
            CreateTopicItem {
                partitions: 1,
                ..assigned(&[0], &[1])
            },
            ErrorCode::InvalidRequest,
        ),
    ] {
        assert_eq!(code(cluster.create(item.clone()).error_code), expected, "{item:?}");
    }
    cluster.defaults.max_replicas_per_broker = 5;
    let refused = cluster.create(item("big", 5, 2));
    assert_eq!(code(refused.error_code), ErrorCode::PolicyViolation);
    assert!(
        refused.error_message.contains("may hold 10"),
        "{}",
        refused.error_message
    );
}

#[test]
fn too_many_partitions_are_refused_before_any_topic_is_made() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let mut create = |counts: &[i32]| {
        let topics = counts.iter().enumerate();
        let topics = topics.map(|(number, count)| item(&format!("t{number}"), *count, 1));
        let request = proto::CreateTopicsRequest {
            topics: topics.collect(),
            validate_only: true,
        };
        match cluster.ask(Request::CreateTopics(request)).response {
            Some(Response::CreateTopics(answer)) => {
                let codes = answer.topics.iter().map(|topic| code(topic.error_code));
                codes.collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let refused = ErrorCode::PolicyViolation;
    assert_eq!(create(&[1, 9_999]), [ErrorCode::None, ErrorCode::None]);
    assert_eq!(create(&[1, 10_000]), [refused, refused]);
    assert_eq!(create(&[i32::MAX, i32::MAX, 1]), [refused, refused, refused]);
    assert_eq!(create(&[-5, 10_000]), [ErrorCode::InvalidPartitions, ErrorCode::None]);
}

#[test]
fn a_topic_that_is_named_by_name_and_by_id_stays() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let id = cluster.topic("t", &[1]).topic_id;
    cluster.topic("other", &[1]);
    let named = |name: &str| proto::DeleteTopicItem {
        name: name.to_owned(),
        ..Default::default()
    };
    let by_id = proto::DeleteTopicItem {
        topic_id: id.0.as_bytes().to_vec().into(),
        ..Default::default()
    };
    let request = proto::DeleteTopicsRequest {
        topics: vec![by_id, named("other"), named("t")],
    };
    let Some(Response::DeleteTopics(answer)) = cluster.ask(Request::DeleteTopics(request)).response else {
        panic!()
    };
    let codes = answer.topics.iter().map(|topic| code(topic.error_code));
    let invalid = ErrorCode::InvalidRequest;
    assert_eq!(codes.collect::<Vec<_>>(), [invalid, ErrorCode::None, invalid]);
    assert!(cluster.image.topic("t").is_some() && cluster.image.topic("other").is_none());
}

#[test]
fn validating_only_answers_the_same_and_changes_nothing() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let offset = cluster.image.offset();
    let request = proto::CreateTopicsRequest {
        topics: vec![item("t", 2, 1)],
        validate_only: true,
    };
    let Some(Response::CreateTopics(answer)) = cluster.ask(Request::CreateTopics(request)).response else {
        panic!()
    };
    assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions), (0, 2));
    assert_eq!(cluster.image.offset(), offset);
}

#[test]
fn topics_grow_and_never_shrink() {
    let mut cluster = Cluster::with_brokers(2, 1);
    cluster.create(item("t", 2, 2));
    let mut grow = |count: i32, assignments: Vec<Vec<i32>>| {
        let assignments = assignments.into_iter().map(|ids| proto::BrokerIds { ids }).collect();
        let item = proto::CreatePartitionsItem {
            name: "t".to_owned(),
            count,
            assignments,
        };
        let request = proto::CreatePartitionsRequest {
            topics: vec![item],
            validate_only: false,
        };
        match cluster.ask(Request::CreatePartitions(request)).response {
            Some(Response::CreatePartitions(answer)) => code(answer.topics[0].error_code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(grow(2, vec![]), ErrorCode::InvalidPartitions);
    assert_eq!(grow(1, vec![]), ErrorCode::InvalidPartitions);
    assert_eq!(grow(4, vec![vec![1, 2]]), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(grow(3, vec![vec![1]]), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(grow(3, vec![vec![2, 1]]), ErrorCode::None);
    assert_eq!(grow(5, vec![]), ErrorCode::None);
    assert_eq!(cluster.image.topic("t").map(|topic| topic.partition_count()), Some(5));
}

#[test]
fn a_topic_made_anew_under_its_name_is_another() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let old = cluster.topic("t.x", &[1]);
    let by_id = proto::DeleteTopicItem {
        topic_id: proto::PartitionId::from(old).topic_id,
        ..Default::default()
    };
    let both = proto::DeleteTopicItem {
        name: "t.x".to_owned(),
        ..by_id.clone()
    };
    let topics = vec![both, by_id, proto::DeleteTopicItem::default()];
    let answer = cluster.ask(Request::DeleteTopics(proto::DeleteTopicsRequest { topics }));
    let Some(Response::DeleteTopics(answer)) = answer.response else {
        panic!()
    };
    let codes: Vec<_> = answer.topics.iter().map(|topic| code(topic.error_code)).collect();
    let invalid = ErrorCode::InvalidRequest;
    assert_eq!(codes, [invalid, ErrorCode::None, invalid]);
    assert_eq!(answer.topics[1].name, "t.x");
    let new = cluster.topic("t.x", &[1]);
    assert_ne!(old.topic_id, new.topic_id);
    assert!(cluster.image.partition(old).is_none());
}

#[test]
fn placement_is_even_and_uses_every_rack() {
    let mut cluster = Cluster::new(1);
    for id in 1..=6 {
        let rack = Some(["a", "b", "c"][(id % 3) as usize].to_owned());
        let request = proto::RegisterBrokerRequest {
            rack,
            ..cluster.registration(id)
        };
        let _ = cluster.ask(Request::RegisterBroker(request));
        cluster.unfence(id);
    }
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 11
    };
    let placed = place(&cluster.image, 12, 3, &mut random).expect("there are enough brokers");
    let mut leads: BTreeMap<BrokerId, usize> = BTreeMap::new();
    for replicas in &placed {
        *leads.entry(replicas[0]).or_default() += 1;
        let racks: std::collections::BTreeSet<_> = replicas.iter().map(|id| id.0 % 3).collect();
        assert_eq!(racks.len(), 3, "{replicas:?}");
    }
    assert!(leads.len() == 6 && leads.values().all(|count| *count == 2), "{leads:?}");
    cluster.fence(4);
    let placed = place(&cluster.image, 1, 6, &mut random).expect("the fenced one counts");
    assert_eq!(placed[0][5], BrokerId(4));
    let refused = place(&cluster.image, 1, 7, &mut random);
    assert_eq!(
        refused,
        Err(PlacementError::TooFewBrokers {
            wanted: 7,
            registered: 6
        })
    );
}

#[test]
fn a_batch_decides_on_what_was_decided_before_and_stops_when_it_is_full() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let create = |name: &str, partitions: i32| {
        let topics = vec![item(name, partitions, 1)];
        let request = proto::CreateTopicsRequest {
            topics,
            validate_only: false,
        };
        ControlRequest::from(Request::CreateTopics(request))
    };
    let answers = cluster.ask_all(&[create("t", 1), create("t", 1)]);
    let codes: Vec<_> = answers
        .iter()
        .map(|answer| match &answer.response {
            Some(Response::CreateTopics(answer)) => code(answer.topics[0].error_code),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::TopicAlreadyExists]);
    assert_eq!(answers[0].metadata_offset, answers[1].metadata_offset);

    cluster.records.clear();
    let big: Vec<_> = (0..6).map(|n| create(&format!("big{n}"), 3_000)).collect();
    cluster.defaults.max_replicas_per_broker = 100_000;
    // Decisions are checked record by record elsewhere; here only the bound matters.
    let answers = decide_unchecked(&cluster, &big);
    let bytes: usize = answers.records.iter().map(encoded_len).sum();
    assert!(bytes <= crate::record::MAX_BATCH_BYTES);
    assert!(!answers.responses.is_empty());
}

/// Has so many partitions for its client.
struct Purse(usize);

impl MutationMeter for Purse {
    fn charge(
        &mut self,
        _: &MetadataImage,
        client: &MutationClient,
        partitions: usize,
        _: TimestampMs,
    ) -> Result<i64, QuotaUsedUp> {
        match self.0.checked_sub(partitions) {
            Some(left) => self.0 = left,
            None if client.strict => return Err(QuotaUsedUp { wait_ms: 700 }),
            None => return Ok(900),
        }
        Ok(0)
    }

    fn take_back(&mut self, _: &MetadataImage, _: &MutationClient, partitions: usize) {
        self.0 += partitions;
    }
}

#[test]
fn created_and_deleted_partitions_are_charged_to_the_client() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let create = |names: &[(&str, i32)]| {
        Request::CreateTopics(proto::CreateTopicsRequest {
            topics: names
                .iter()
                .map(|(name, partitions)| item(name, *partitions, 1))
                .collect(),
            validate_only: false,
        })
    };
    cluster.ask(create(&[("old", 3)]));
    let grow = Request::CreatePartitions(proto::CreatePartitionsRequest {
        topics: vec![proto::CreatePartitionsItem {
            name: "old".to_owned(),
            count: 5,
            assignments: Vec::new(),
        }],
        validate_only: false,
    });
    let delete = Request::DeleteTopics(proto::DeleteTopicsRequest {
        topics: vec![proto::DeleteTopicItem {
            name: "old".to_owned(),
            ..Default::default()
        }],
    });
    let mut purse = Purse(6);
    let mut ask = |request: &Request, strict| {
        let client = proto::MutationClient {
            strict,
            ..Default::default()
        };
        let request = ControlRequest {
            request: Some(request.clone()),
            client: Some(client),
        };
        let mut batch = decide_metered(&cluster, &[request], &mut purse);
        let answer = batch.responses.remove(0);
        let codes: Vec<ErrorCode> = match answer.response.unwrap() {
            Response::CreateTopics(answer) => answer.topics.iter().map(|topic| code(topic.error_code)).collect(),
            Response::CreatePartitions(answer) => answer.topics.iter().map(|topic| code(topic.error_code)).collect(),
            Response::DeleteTopics(answer) => answer.topics.iter().map(|topic| code(topic.error_code)).collect(),
            other => panic!("{other:?}"),
        };
        (codes, answer.throttle_time_ms, batch.records.len())
    };
    let (done, refused) = (ErrorCode::None, ErrorCode::ThrottlingQuotaExceeded);
    // What is refused for another reason costs nothing; each topic pays for itself.
    let (codes, wait, _) = ask(&create(&[("old", 3), ("a", 2), ("b", 5), ("c", 1)]), true);
    assert_eq!(codes, [ErrorCode::TopicAlreadyExists, done, refused, done]);
    assert_eq!(wait, 700);
    assert_eq!(ask(&grow, true), (vec![done], 0, 2));
    assert_eq!(ask(&grow, true), (vec![refused], 700, 0));
    assert_eq!(ask(&delete, true), (vec![refused], 700, 0));
    assert_eq!(ask(&delete, false), (vec![done], 900, 1));
    // On nobody's account.
    let answers = decide_metered(&cluster, &[delete.into()], &mut Purse(0)).responses;
    assert_eq!(answers[0].throttle_time_ms, 0);
}

#[test]
fn what_waits_for_the_next_batch_is_not_charged_yet() {
    let mut cluster = Cluster::with_brokers(1, 1);
    cluster.defaults.max_replicas_per_broker = 100_000;
    let create = |number: usize| ControlRequest {
        request: Some(Request::CreateTopics(proto::CreateTopicsRequest {
            topics: vec![item(&format!("big{number}"), 3_000, 1)],
            validate_only: false,
        })),
        client: Some(proto::MutationClient::default()),
    };
    let requests: Vec<ControlRequest> = (0..12).map(create).collect();
    let mut purse = Purse(100_000);
    let decided = decide_metered(&cluster, &requests, &mut purse).responses.len();
    assert!((1..12).contains(&decided), "{decided}");
    assert_eq!(purse.0, 100_000 - 3_000 * decided);
}

fn decide_unchecked(cluster: &Cluster, requests: &[ControlRequest]) -> BatchDecision {
    decide_metered(cluster, requests, &mut Unmetered)
}

fn decide_metered(cluster: &Cluster, requests: &[ControlRequest], mutations: &mut dyn MutationMeter) -> BatchDecision {
    let mut next = 0;
    let mut random = || {
        next += 1;
        next
    };
    let mut context = ControlContext {
        now: TimestampMs(0),
        defaults: &cluster.defaults,
        random: &mut random,
        config_rules: &AnyConfig,
        mutations,
        account: MutationAccount::default(),
    };
    decide_batch(&cluster.image, requests, &mut context)
}
