//! ListConfigResources (74, KIP-1142; KIP-714's ListClientMetricsResources before): what may have configurations.
//!
//! All topics and brokers, with or without settings of their own; groups and client metrics only exist by theirs.

use std::collections::BTreeSet;
use std::sync::Arc;

use metadata::MetadataImage;
use metadata::proto::ConfigResourceType;
use types::ErrorCode;
use wire::messages::list_config_resources_response::ConfigResource;
use wire::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

/// Kafka's numbers of resources, ascending.
const TOPIC: i8 = ConfigResourceType::Topic as i8;
const BROKER: i8 = ConfigResourceType::Broker as i8;
/// Its settings are no metadata.
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = ConfigResourceType::ClientMetrics as i8;
const GROUP: i8 = ConfigResourceType::Group as i8;
const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

const FIRST_VERSION_WITH_TYPES: i16 = 1;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: ListConfigResourcesRequest = decode(&header, request.body)?;
    let supported = match header.api_version {
        FIRST_VERSION_WITH_TYPES.. => ALL.as_slice(),
        _ => &[CLIENT_METRICS],
    };
    let response = ListConfigResourcesResponse::default();
    let response = match wanted(&body.resource_types, supported) {
        Some(types) => {
            let image = broker.host.image.load();
            let resources = types
                .into_iter()
                .flat_map(|resource_type| names(&image, &request.client.listener, resource_type));
            response.with_config_resources(resources.collect())
        }
        None => response.with_error_code(ErrorCode::UnsupportedVersion.code()),
    };
    respond(&header, &response)
}

/// Each type once; all that are supported if none is named; `None` if one isn't.
fn wanted(asked: &[i8], supported: &[i8]) -> Option<BTreeSet<i8>> {
    let asked = if asked.is_empty() { supported } else { asked };
    let all_known = asked.iter().all(|resource_type| supported.contains(resource_type));
    all_known.then(|| asked.iter().copied().collect())
}

fn names(image: &MetadataImage, listener: &str, resource_type: i8) -> Vec<ConfigResource> {
    let resource = |name: &str| {
        ConfigResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
    };
    let configured = |wanted: ConfigResourceType| {
        let configs = image.configs().filter(|(_, configs)| !configs.is_empty());
        let wanted = configs.filter(|(configured, _)| configured.resource_type() == wanted);
        wanted.map(|(configured, _)| resource(&configured.name())).collect()
    };
    match resource_type {
        TOPIC => image.topics().map(|topic| resource(topic.name.as_str())).collect(),
        BROKER | BROKER_LOGGER => {
            let brokers = image.brokers().filter(|broker| !broker.fenced);
            let reachable = brokers.filter(|broker| broker.listener(listener).is_some());
            reachable.map(|broker| resource(&broker.id.to_string())).collect()
        }
        CLIENT_METRICS => configured(ConfigResourceType::ClientMetrics),
        GROUP => configured(ConfigResourceType::Group),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::LoneBroker;
    use super::*;

    async fn listed(version: i16, types: &[i8]) -> (i16, Vec<(i8, String)>) {
        let lone = LoneBroker::with_topics(&["a", "b"]).await;
        let request = ListConfigResourcesRequest::default().with_resource_types(types.to_vec());
        let response = lone.ask(version, &request).await;
        let resources = response.config_resources.iter();
        let names = resources.map(|resource| (resource.resource_type, resource.resource_name.to_string()));
        (response.error_code, names.collect())
    }

    #[tokio::test]
    async fn topics_and_brokers_are_listed_whether_they_have_settings_or_not() {
        let owned = |names: &[(i8, &str)]| {
            let names = names
                .iter()
                .map(|(resource_type, name)| (*resource_type, (*name).to_owned()));
            (0, names.collect::<Vec<_>>())
        };
        assert_eq!(
            listed(1, &[BROKER, TOPIC, BROKER]).await,
            owned(&[(2, "a"), (2, "b"), (4, "1"), (4, "2")])
        );
        assert_eq!(listed(1, &[]).await.1.len(), 6);
        assert_eq!(listed(0, &[]).await, owned(&[]));
        assert_eq!(
            listed(1, &[TOPIC, 99]).await,
            (ErrorCode::UnsupportedVersion.code(), Vec::new())
        );
    }
}
