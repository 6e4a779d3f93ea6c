//! Dynamic configuration changes, incremental (KIP-339) or as a whole, each resource for itself.

use std::collections::BTreeSet;

use thiserror::Error;
use types::{BrokerId, ErrorCode, TopicNameError};

use super::{ConfigRules, ControlContext, Decision, min_isr_change};
use crate::image::{ConfigMap, ConfigResource, MIN_INSYNC_REPLICAS, MetadataImage, config_record};
use crate::proto::{
    AlterConfigsItem, AlterConfigsRequest, AlterConfigsResponse, AlterConfigsResult, ConfigAlteration, ConfigOperation,
    MetadataRecord,
};

/// The longest value, in bytes, as in Kafka's records.
const MAX_VALUE_BYTES: usize = 32_767;

/// Why a resource's configuration isn't changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlterConfigsError {
    /// A type that has no dynamic configuration, or a name that can't be.
    #[error("unexpected resource type or name")]
    UnknownResource,
    /// The topic doesn't exist.
    #[error("the topic '{0}' does not exist")]
    UnknownTopic(String),
    /// No topic can have the name.
    #[error(transparent)]
    InvalidTopic(#[from] TopicNameError),
    /// The broker isn't registered.
    #[error("broker {0} isn't registered")]
    UnknownBroker(BrokerId),
    /// A key twice, a value missing, an operation that doesn't exist.
    #[error("{0}")]
    Invalid(String),
    /// A key or value that isn't allowed.
    #[error("{0}")]
    InvalidConfig(String),
}

impl AlterConfigsError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownResource | Self::UnknownBroker(_) | Self::Invalid(_) => ErrorCode::InvalidRequest,
            Self::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
            Self::InvalidTopic(_) => ErrorCode::InvalidTopicException,
            Self::InvalidConfig(_) => ErrorCode::InvalidConfig,
        }
    }
}

/// Decides on changes of configuration. With `validate_only` the answer is the same, without records.
pub fn alter_configs(
    image: &MetadataImage,
    request: &AlterConfigsRequest,
    context: &ControlContext<'_>,
) -> Decision<AlterConfigsResponse> {
    let mut records = Vec::new();
    let mut resources = Vec::with_capacity(request.resources.len());
    // Two resources of a request may touch the same partitions' ELR, so each is decided on what is before it.
    let mut so_far = image.clone();
    let mut seen = BTreeSet::new();
    for item in &request.resources {
        let decided = if seen.insert((item.resource_type, item.resource_name.clone())) {
            alter(&so_far, item, context)
        } else {
            Err(AlterConfigsError::Invalid("the resource is named twice".to_owned()))
        };
        let error = decided.as_ref().err();
        resources.push(AlterConfigsResult {
            resource_type: item.resource_type,
            resource_name: item.resource_name.clone(),
            error_code: error.map_or(0, |error| error.code().code().into()),
            error_message: error.map(ToString::to_string).unwrap_or_default(),
        });
        if let Ok(decided) = decided {
            // Records of our own making fit; were it otherwise, the batch's replay would refuse them as a whole.
            let _fits = so_far.replay_all(&decided);
            records.extend(decided);
        }
    }
    if request.validate_only {
        records.clear();
    }
    Decision {
        records,
        response: AlterConfigsResponse { resources },
    }
}

fn alter(
    image: &MetadataImage,
    item: &AlterConfigsItem,
    context: &ControlContext<'_>,
) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
    let resource = resource_of(image, item)?;
    let before = image.config(&resource);
    let mut after = if item.replace_all {
        ConfigMap::new()
    } else {
        before.clone()
    };
    let mut keys = BTreeSet::new();
    for alteration in &item.alterations {
        if !keys.insert(alteration.key.as_str()) {
            return Err(AlterConfigsError::Invalid(format!(
                "duplicate config key '{}'",
                alteration.key
            )));
        }
        apply(&mut after, &resource, alteration, context.config_rules)?;
    }
    check_min_isr(&resource, before, &mut after, item.replace_all)?;
    context.config_rules.validate(&resource, &after)?;

    let mut records = min_isr_change::partition_changes(image, &resource, &after, context.defaults);
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    records.extend(removed.map(|key| config_record(&resource, key, None)));
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    records.extend(set.map(|(key, value)| config_record(&resource, key, Some(value))));
    Ok(records)
}

fn resource_of(image: &MetadataImage, item: &AlterConfigsItem) -> Result<ConfigResource, AlterConfigsError> {
    let resource = ConfigResource::from_wire(item.resource_type(), &item.resource_name)
        .ok_or(AlterConfigsError::UnknownResource)?;
    match &resource {
        ConfigResource::Topic(name) if name.as_str().is_empty() => Err(AlterConfigsError::UnknownResource),
        ConfigResource::Topic(name) if image.topic(name.as_str()).is_none() => Err(match name.validate() {
            Ok(()) => AlterConfigsError::UnknownTopic(name.as_str().to_owned()),
            Err(error) => AlterConfigsError::InvalidTopic(error),
        }),
        ConfigResource::Broker(id) if image.broker(*id).is_none() => Err(AlterConfigsError::UnknownBroker(*id)),
        ConfigResource::Group(name) | ConfigResource::ClientMetrics(name) if name.is_empty() => {
            Err(AlterConfigsError::UnknownResource)
        }
        ConfigResource::Topic(_)
        | ConfigResource::Broker(_)
        | ConfigResource::DefaultBroker
        | ConfigResource::Group(_)
        | ConfigResource::ClientMetrics(_) => Ok(resource),
    }
}

fn apply(
    configs: &mut ConfigMap,
    resource: &ConfigResource,
    alteration: &ConfigAlteration,
    rules: &dyn ConfigRules,
) -> Result<(), AlterConfigsError> {
    let key = &alteration.key;
    let operation = ConfigOperation::try_from(alteration.operation)
        .map_err(|_| AlterConfigsError::Invalid(format!("unknown operation on '{key}'")))?;
    if operation == ConfigOperation::Delete {
        configs.remove(key);
        return Ok(());
    }
    let value = alteration.value.as_ref();
    let value = value.ok_or_else(|| AlterConfigsError::Invalid(format!("null value not supported for '{key}'")))?;
    let value = match operation {
        ConfigOperation::Append | ConfigOperation::Subtract => {
            if !rules.is_list(resource, key) {
                return Err(AlterConfigsError::InvalidConfig(format!(
                    "can't change '{key}' in parts: it is no list"
                )));
            }
            let present = configs
                .get(key)
                .cloned()
                .or_else(|| rules.default_value(resource, key))
                .unwrap_or_default();
            merge(&present, value, operation == ConfigOperation::Append)
        }
        ConfigOperation::Set | ConfigOperation::Delete => value.clone(),
    };
    if value.len() > MAX_VALUE_BYTES {
        return Err(AlterConfigsError::InvalidConfig(format!(
            "the value of '{key}' is longer than {MAX_VALUE_BYTES}"
        )));
    }
    configs.insert(key.clone(), value);
    Ok(())
}

fn merge(present: &str, change: &str, append: bool) -> String {
    let split = |text: &str| -> Vec<String> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut parts = split(present);
    let change = split(change);
    if append {
        for part in change {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    } else {
        parts.retain(|part| !change.contains(part));
    }
    parts.join(",")
}

/// The ELR needs one `min.insync.replicas` that leader and controller agree on (as in Kafka with KIP-966): never a
/// broker's own, and the cluster's stays set.
fn check_min_isr(
    resource: &ConfigResource,
    before: &ConfigMap,
    after: &mut ConfigMap,
    replace_all: bool,
) -> Result<(), AlterConfigsError> {
    let refuse = |why: &str| Err(AlterConfigsError::InvalidConfig(why.to_owned()));
    match (
        resource,
        before.get(MIN_INSYNC_REPLICAS),
        after.get(MIN_INSYNC_REPLICAS),
    ) {
        (ConfigResource::Broker(_), _, Some(_)) => {
            refuse("broker-level min.insync.replicas cannot be altered while ELR is enabled")
        }
        (ConfigResource::DefaultBroker, Some(value), None) if replace_all => {
            after.insert(MIN_INSYNC_REPLICAS.to_owned(), value.clone());
            Ok(())
        }
        (ConfigResource::DefaultBroker, Some(_), None) => {
            refuse("cluster-level min.insync.replicas cannot be removed while ELR is enabled")
        }
        (ConfigResource::DefaultBroker, _, Some(value))
            if !value.trim().parse::<u16>().is_ok_and(|value| value > 0) =>
        {
            refuse("min.insync.replicas must be a number above 0")
        }
        _ => Ok(()),
    }
}
