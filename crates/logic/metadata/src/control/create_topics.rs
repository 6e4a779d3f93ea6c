//! Topics are created: by clients, by being used, and for Klamm's own use.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use types::{BrokerId, ErrorCode, TopicName};

use super::assignment::{AssignmentError, check_replicas, partition_records};
use super::placement::{PlacementError, place};
use super::topic_rules::{Budget, BudgetError};
use super::{ControlContext, Decision, QuotaUsedUp, Refusal};
use crate::image::{ConfigMap, ConfigResource, MetadataImage, broker_ids, config_record};
use crate::proto::{
    CreateTopicItem, CreateTopicResult, CreateTopicsRequest, CreateTopicsResponse, MetadataRecord, Topic,
};
use crate::record::uuid_bytes;

/// Why a topic isn't created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateTopicError {
    /// The name breaks Kafka's rules, or collides with another.
    #[error("{0}")]
    InvalidName(String),
    /// A topic of that name exists.
    #[error("topic '{0}' already exists")]
    Exists(String),
    /// The request contradicts itself.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// Neither a number of partitions nor assignments.
    #[error("number of partitions was set to an invalid non-positive value")]
    InvalidPartitions,
    /// Neither a replication factor nor assignments, or one above what there can be.
    #[error("replication factor was set to an invalid non-positive value")]
    InvalidReplicationFactor,
    /// Manual assignments that can't be.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// Manual assignments whose partitions aren't 0, 1, 2 and so on.
    #[error("partitions should be a consecutive 0-based integer sequence")]
    NotConsecutive,
    /// Not enough brokers.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Not enough brokers yet, for a topic that can wait.
    #[error(
        "{wanted} replica(s) are wanted, {registered} broker(s) are registered and none or few are active; try again"
    )]
    WaitForBrokers {
        /// The replication factor.
        wanted: usize,
        /// Registered brokers.
        registered: usize,
    },
    /// Too many partitions.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The client's quota is used up.
    #[error(transparent)]
    QuotaUsedUp(#[from] QuotaUsedUp),
    /// A configuration that doesn't exist or can't have the value.
    #[error("{0}")]
    InvalidConfig(String),
}

impl CreateTopicError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidName(_) => ErrorCode::InvalidTopicException,
            Self::Exists(_) => ErrorCode::TopicAlreadyExists,
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::InvalidPartitions => ErrorCode::InvalidPartitions,
            Self::InvalidReplicationFactor => ErrorCode::InvalidReplicationFactor,
            Self::Assignment(error) => Refusal::from(*error).code,
            Self::NotConsecutive => ErrorCode::InvalidReplicaAssignment,
            Self::Placement(error) => Refusal::from(*error).code,
            Self::WaitForBrokers { .. } => ErrorCode::LeaderNotAvailable,
            Self::Budget(error) => Refusal::from(*error).code,
            Self::QuotaUsedUp(_) => ErrorCode::ThrottlingQuotaExceeded,
            Self::InvalidConfig(_) => ErrorCode::InvalidConfig,
        }
    }
}

/// Decides on new topics, each for itself. With `validate_only` the answer is the same, without records and ids.
pub fn create_topics(
    image: &MetadataImage,
    request: &CreateTopicsRequest,
    context: &mut ControlContext<'_>,
) -> Decision<CreateTopicsResponse> {
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for item in &request.topics {
        *named.entry(&item.name).or_default() += 1;
    }
    let named_once = |item: &&CreateTopicItem| named.get(item.name.as_str()) == Some(&1);
    // Before any of them is made, as in Kafka: who asks again for half of them each wouldn't find some that exist already.
    let asked = request.topics.iter().filter(named_once);
    let asked = asked.fold(0, |sum: usize, item| {
        sum.saturating_add(partitions_asked_for(item, context))
    });
    let too_many = Budget::default().check_partitions(asked).err();
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut so_far = SoFar::default();
    for item in &request.topics {
        let created = match too_many {
            _ if !named_once(&item) => Err(CreateTopicError::InvalidRequest("duplicate topic name")),
            Some(error) => Err(error.into()),
            None => create(image, item, &mut so_far, context),
        };
        topics.push(match created {
            Ok(created) => {
                let mut result = created.result;
                if request.validate_only {
                    result.topic_id = bytes::Bytes::new();
                } else {
                    records.extend(created.records);
                }
                result
            }
            Err(error) => CreateTopicResult {
                name: item.name.clone(),
                error_code: error.code().code().into(),
                error_message: error.to_string(),
                partitions: -1,
                replication_factor: -1,
                ..CreateTopicResult::default()
            },
        });
    }
    Decision {
        records,
        response: CreateTopicsResponse { topics },
    }
}

/// None where the number is none.
fn partitions_asked_for(item: &CreateTopicItem, context: &ControlContext<'_>) -> usize {
    match item.partitions {
        _ if !item.assignments.is_empty() => item.assignments.len(),
        -1 => usize::try_from(context.defaults.num_partitions).unwrap_or(0),
        count => usize::try_from(count).unwrap_or(0),
    }
}

/// What the topics of the same request have taken.
#[derive(Debug, Default)]
struct SoFar {
    budget: Budget,
    /// Names as the metrics see them: a dot is an underscore.
    collision_names: BTreeSet<String>,
}

struct Created {
    records: Vec<MetadataRecord>,
    result: CreateTopicResult,
}

fn create(
    image: &MetadataImage,
    item: &CreateTopicItem,
    so_far: &mut SoFar,
    context: &mut ControlContext<'_>,
) -> Result<Created, CreateTopicError> {
    let name = TopicName::new(&item.name);
    check_name(image, &name, so_far)?;
    let configs = topic_configs(&name, item, context)?;
    let assignments = if item.assignments.is_empty() {
        automatic(image, item, so_far, context)?
    } else {
        manual(image, item, so_far)?
    };
    let replication_factor = assignments.first().map_or(0, Vec::len);
    let replicas = assignments.iter().map(Vec::len).sum();
    let partitions = i32::try_from(assignments.len()).unwrap_or(i32::MAX);
    so_far
        .budget
        .take(image, assignments.len(), replicas, context.defaults)?;
    context.charge(image, assignments.len())?;

    let topic_id = context.new_topic_id(image);
    let mut records = vec![
        Topic {
            topic_id: uuid_bytes(topic_id.0),
            name: item.name.clone(),
        }
        .into(),
    ];
    // Configurations before partitions: a broker never opens a log with the wrong ones.
    let resource = ConfigResource::Topic(name);
    records.extend(
        configs
            .iter()
            .map(|(key, value)| config_record(&resource, key, Some(value))),
    );
    records.extend(partition_records(image, topic_id, 0, assignments)?);
    so_far.collision_names.insert(item.name.replace('.', "_"));
    let result = CreateTopicResult {
        name: item.name.clone(),
        topic_id: uuid_bytes(topic_id.0),
        partitions,
        replication_factor: i32::try_from(replication_factor).unwrap_or(i32::MAX),
        ..CreateTopicResult::default()
    };
    Ok(Created { records, result })
}

fn check_name(image: &MetadataImage, name: &TopicName, so_far: &SoFar) -> Result<(), CreateTopicError> {
    name.validate()
        .map_err(|error| CreateTopicError::InvalidName(error.to_string()))?;
    if image.topic(name.as_str()).is_some() {
        return Err(CreateTopicError::Exists(name.as_str().to_owned()));
    }
    let colliding = image.colliding_topic(name).map(|topic| topic.name.as_str().to_owned());
    let in_request = so_far.collision_names.get(&name.as_str().replace('.', "_")).cloned();
    match colliding.or(in_request) {
        Some(other) => Err(CreateTopicError::InvalidName(format!(
            "topic '{name}' collides with existing topic '{other}'"
        ))),
        None => Ok(()),
    }
}

fn topic_configs(
    name: &TopicName,
    item: &CreateTopicItem,
    context: &ControlContext<'_>,
) -> Result<ConfigMap, CreateTopicError> {
    let mut configs = ConfigMap::new();
    for entry in &item.configs {
        let Some(value) = &entry.value else {
            let key = &entry.key;
            return Err(CreateTopicError::InvalidConfig(format!(
                "null value not supported for topic configs: {key}"
            )));
        };
        configs.insert(entry.key.clone(), value.clone());
    }
    let resource = ConfigResource::Topic(name.clone());
    context
        .config_rules
        .validate(&resource, &configs)
        .map_err(|error| CreateTopicError::InvalidConfig(error.to_string()))?;
    Ok(configs)
}

fn automatic(
    image: &MetadataImage,
    item: &CreateTopicItem,
    so_far: &SoFar,
    context: &mut ControlContext<'_>,
) -> Result<Vec<Vec<BrokerId>>, CreateTopicError> {
    let partitions = if item.partitions == -1 {
        context.defaults.num_partitions
    } else {
        item.partitions
    };
    let factor = if item.replication_factor == -1 {
        i32::from(context.defaults.default_replication_factor)
    } else {
        item.replication_factor
    };
    let partitions = usize::try_from(partitions).ok().filter(|count| *count > 0);
    let partitions = partitions.ok_or(CreateTopicError::InvalidPartitions)?;
    let factor = usize::try_from(factor)
        .ok()
        .filter(|count| *count > 0 && *count <= 32_767);
    let factor = factor.ok_or(CreateTopicError::InvalidReplicationFactor)?;
    so_far.budget.check_partitions(partitions)?;
    if item.wait_for_replication {
        let registered = image.brokers().count();
        if registered < factor || !image.brokers().any(|broker| broker.is_active()) {
            return Err(CreateTopicError::WaitForBrokers {
                wanted: factor,
                registered,
            });
        }
    }
    Ok(place(image, partitions, factor, context.random)?)
}

fn manual(
    image: &MetadataImage,
    item: &CreateTopicItem,
    so_far: &SoFar,
) -> Result<Vec<Vec<BrokerId>>, CreateTopicError> {
    if item.replication_factor != -1 {
        return Err(CreateTopicError::InvalidRequest(
            "a manual partition assignment was specified, but replication factor was not set to -1",
        ));
    }
    if item.partitions != -1 {
        return Err(CreateTopicError::InvalidRequest(
            "a manual partition assignment was specified, but numPartitions was not set to -1",
        ));
    }
    so_far.budget.check_partitions(item.assignments.len())?;
    let mut by_index = BTreeMap::new();
    let mut expected = None;
    for assignment in &item.assignments {
        let replicas = broker_ids(&assignment.replicas);
        check_replicas(image, &replicas, expected)?;
        expected = Some(replicas.len());
        if by_index.insert(assignment.index, replicas).is_some() {
            return Err(CreateTopicError::NotConsecutive);
        }
    }
    if !(0..).zip(by_index.keys()).all(|(expected, index)| expected == *index) {
        return Err(CreateTopicError::NotConsecutive);
    }
    Ok(by_index.into_values().collect())
}
