//! DescribeConfigs (32): every key of a topic or broker with its value, source, synonyms, type and documentation.

use std::collections::HashSet;
use std::sync::Arc;

use config::client_metrics::DEFAULT_INTERVAL_MS;
use config::describe::{describe_broker, describe_cluster_default, describe_group, describe_topic};
use config::{BrokerDefaults, ConfigEntry, ConfigSource, ConfigType};
use metadata::proto::ConfigResourceType;
use metadata::{ConfigMap, ConfigResource, MetadataImage};
use types::{BrokerId, ErrorCode, TopicName};
use wire::messages::describe_configs_request::DescribeConfigsResource;
use wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::controller_call::Refused;
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

/// DescribeConfigs' number for what only the metadata sets (KIP-714's subscriptions).
const CLIENT_METRICS_SOURCE: i8 = 7;

/// What of an entry was asked for.
#[derive(Debug, Clone, Copy)]
struct Detail {
    synonyms: bool,
    documentation: bool,
}

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DescribeConfigsRequest = decode(&header, request.body)?;
    let detail = Detail {
        synonyms: body.include_synonyms,
        documentation: body.include_documentation,
    };
    let results = body.resources.iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match describe(&broker, resource, detail) {
            Ok(mut configs) => {
                let wanted: Option<HashSet<&str>> = resource
                    .configuration_keys
                    .as_ref()
                    .map(|keys| keys.iter().map(|key| key.as_str()).collect());
                if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
                    configs.retain(|config| wanted.contains(config.name.as_str()));
                }
                result.with_configs(configs)
            }
            Err(refused) => result
                .with_error_code(refused.code.code())
                .with_error_message(Some(refused.text().unwrap_or_default())),
        }
    });
    respond(
        &header,
        &DescribeConfigsResponse::default().with_results(results.collect()),
    )
}

/// The values of this broker, as its file and the metadata give them.
pub(super) fn broker_defaults(broker: &BrokerContext) -> BrokerDefaults {
    defaults_in(broker, &broker.host.image.load())
}

fn defaults_in(broker: &BrokerContext, image: &MetadataImage) -> BrokerDefaults {
    let own = image.broker_config(Some(broker.host.local));
    broker.replicas.defaults().with_dynamic(image.broker_config(None), own)
}

fn describe(
    broker: &BrokerContext,
    resource: &DescribeConfigsResource,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let image = broker.host.image.load();
    let name = resource.resource_name.as_str();
    let kind = ConfigResourceType::try_from(i32::from(resource.resource_type)).ok();
    let wanted = kind
        .and_then(|kind| ConfigResource::from_wire(kind, name))
        .ok_or_else(|| {
            let kind = resource.resource_type;
            Refused::new(
                ErrorCode::InvalidRequest,
                format!("Unsupported resource type {kind} or resource name '{name}'."),
            )
        })?;
    let entries = match &wanted {
        ConfigResource::Topic(topic) => {
            check_topic(&image, topic)?;
            describe_topic(image.topic_config(topic), &defaults_in(broker, &image))
        }
        ConfigResource::DefaultBroker => describe_cluster_default(&defaults_in(broker, &image)),
        ConfigResource::Broker(id) => {
            check_broker(broker.host.local, *id)?;
            describe_broker(&defaults_in(broker, &image))
        }
        ConfigResource::Group(group) if group.is_empty() => {
            return Err(Refused::new(ErrorCode::InvalidRequest, "Group name must not be empty"));
        }
        ConfigResource::Group(_) => {
            let own = image.config(&wanted);
            describe_group(|key| own.get(key).map(String::as_str), &defaults_in(broker, &image))
        }
        ConfigResource::ClientMetrics(name) if name.is_empty() => {
            let message = "Client metrics subscription name must not be empty";
            return Err(Refused::new(ErrorCode::InvalidRequest, message));
        }
        ConfigResource::ClientMetrics(_) => return Ok(subscription_entries(image.config(&wanted), detail)),
    };
    Ok(entries.iter().map(|entry| shown(entry, detail)).collect())
}

fn check_topic(image: &MetadataImage, topic: &TopicName) -> Result<(), Refused> {
    topic
        .validate()
        .map_err(|error| Refused::new(ErrorCode::InvalidTopicException, error.to_string()))?;
    match image.topic(topic.as_str()) {
        Some(_) => Ok(()),
        None => Err(Refused::new(ErrorCode::UnknownTopicOrPartition, "")),
    }
}

/// A broker tells of itself only; clients ask the one that they mean.
fn check_broker(local: BrokerId, asked: BrokerId) -> Result<(), Refused> {
    if local == asked {
        return Ok(());
    }
    let message = format!("Unexpected broker id, expected {local} or empty string, but received {asked}");
    Err(Refused::new(ErrorCode::InvalidRequest, message))
}

fn shown(entry: &ConfigEntry, detail: Detail) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.iter().filter(|_| detail.synonyms).map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(text(&synonym.name))
            .with_value(synonym.value.as_deref().map(text))
            .with_source(synonym.source.wire_code())
    });
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.name))
        .with_value(entry.value.as_deref().map(text))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.wire_code())
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms.collect())
        .with_config_type(entry.kind.wire_code())
        .with_documentation(detail.documentation.then(|| text(entry.documentation)))
}

/// A subscription's keys, with their defaults where there is no such subscription.
fn subscription_entries(own: &ConfigMap, detail: Detail) -> Vec<DescribeConfigsResourceResult> {
    let defaults = [
        ("interval.ms", DEFAULT_INTERVAL_MS.to_string(), ConfigType::Int),
        ("match", String::new(), ConfigType::List),
        ("metrics", String::new(), ConfigType::List),
    ];
    let entries = defaults.into_iter().map(|(name, default, kind)| {
        let set = own.get(name);
        let synonym = set.filter(|_| detail.synonyms).map(|value| {
            DescribeConfigsSynonym::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
                .with_source(CLIENT_METRICS_SOURCE)
        });
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(set.unwrap_or(&default))))
            .with_config_source(set.map_or(ConfigSource::Default.wire_code(), |_| CLIENT_METRICS_SOURCE))
            .with_synonyms(synonym.into_iter().collect())
            .with_config_type(kind.wire_code())
            .with_documentation(None)
    });
    entries.collect()
}
