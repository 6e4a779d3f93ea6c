//! One configuration of many topics, as it holds for each: its own value, or what the cluster gives all.

use std::collections::BTreeMap;

use anyhow::Result;
use wire::messages::DescribeConfigsRequest;
use wire::messages::describe_configs_request::DescribeConfigsResource;
use wire::protocol::StrBytes;

use super::describe::{TOPIC_RESOURCE, TopicDescription};
use crate::commands::connection::Cluster;
use crate::commands::error_advice::refusal;

/// The values by topic. A topic that was deleted meanwhile is left out.
pub(in crate::commands) async fn topic_values(
    cluster: &mut Cluster,
    topics: &[TopicDescription],
    key: &'static str,
) -> Result<BTreeMap<String, String>> {
    if topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let resources = topics
        .iter()
        .map(|topic| {
            DescribeConfigsResource::default()
                .with_resource_type(TOPIC_RESOURCE)
                .with_resource_name(StrBytes::from_string(topic.topic.clone()))
                .with_configuration_keys(Some(vec![StrBytes::from_static_str(key)]))
        })
        .collect();
    let response = cluster
        .call(&DescribeConfigsRequest::default().with_resources(resources))
        .await?;
    let mut values = BTreeMap::new();
    for result in response.results {
        let name = result.resource_name.to_string();
        if result.error_code == types::ErrorCode::UnknownTopicOrPartition.code() {
            continue;
        }
        let what = format!("reading {key} of {name}");
        if let Some(error) = refusal(&what, result.error_code, result.error_message.as_deref()) {
            return Err(error);
        }
        let value = result.configs.into_iter().find_map(|config| config.value);
        values.extend(value.map(|value| (name, value.to_string())));
    }
    Ok(values)
}
