//! Dynamic configuration.

use types::ErrorCode;

use super::cluster::{Cluster, code};
use crate::control::{ConfigRules, KafkaConfigRules};
use crate::image::{ConfigMap, ConfigResource};
use crate::proto::control_request::Request;
use crate::proto::control_response::Response;
use crate::proto::{self, ConfigAlteration, ConfigOperation, ConfigResourceType};

fn alter(cluster: &mut Cluster, alterations: &[(&str, ConfigOperation, &str)], replace_all: bool) -> ErrorCode {
    let alterations = alterations
        .iter()
        .map(|(key, operation, value)| ConfigAlteration {
            key: (*key).to_owned(),
            operation: (*operation).into(),
            value: Some((*value).to_owned()),
        })
        .collect();
    let item = proto::AlterConfigsItem {
        resource_type: ConfigResourceType::Topic.into(),
        resource_name: "t".to_owned(),
        alterations,
        replace_all,
    };
    let request = proto::AlterConfigsRequest {
        resources: vec![item],
        validate_only: false,
    };
    match cluster.ask(Request::AlterConfigs(request)).response {
        Some(Response::AlterConfigs(answer)) => code(answer.resources[0].error_code),
        other => panic!("{other:?}"),
    }
}

fn value<'a>(cluster: &'a Cluster, key: &str) -> Option<&'a str> {
    cluster.image.topic_config(&"t".into()).get(key).map(String::as_str)
}

#[test]
fn values_are_set_removed_appended_and_subtracted() {
    use ConfigOperation::{Append, Delete, Set, Subtract};
    let mut cluster = Cluster::with_brokers(1, 1);
    cluster.topic("t", &[1]);
    assert_eq!(
        alter(
            &mut cluster,
            &[("a", Set, "1"), ("cleanup.policy", Set, "delete")],
            false
        ),
        ErrorCode::None
    );
    assert_eq!(
        alter(&mut cluster, &[("cleanup.policy", Append, "compact,delete")], false),
        ErrorCode::None
    );
    assert_eq!(value(&cluster, "cleanup.policy"), Some("delete,compact"));
    assert_eq!(
        alter(&mut cluster, &[("cleanup.policy", Subtract, "delete")], false),
        ErrorCode::None
    );
    assert_eq!(value(&cluster, "cleanup.policy"), Some("compact"));
    assert_eq!(
        alter(&mut cluster, &[("a", Append, "1")], false),
        ErrorCode::InvalidConfig
    );
    assert_eq!(
        alter(&mut cluster, &[("a", Set, "1"), ("a", Set, "2")], false),
        ErrorCode::InvalidRequest
    );
    assert_eq!(alter(&mut cluster, &[("a", Delete, "")], false), ErrorCode::None);
    assert_eq!(value(&cluster, "a"), None);
    assert_eq!(alter(&mut cluster, &[("b", Set, "2")], true), ErrorCode::None);
    assert_eq!(cluster.image.topic_config(&"t".into()).len(), 1);
}

#[test]
fn unknown_resources_and_a_minimum_nobody_agrees_on_are_refused() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let key = "min.insync.replicas";
    let topic = ConfigResourceType::Topic;
    let broker = ConfigResourceType::Broker;
    assert_eq!(
        cluster.set_config(topic, "nothing", "a", Some("1")),
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(
        cluster.set_config(broker, "9", "a", Some("1")),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        cluster.set_config(broker, "x", "a", Some("1")),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        cluster.set_config(broker, "1", key, Some("2")),
        ErrorCode::InvalidConfig
    );
    assert_eq!(cluster.set_config(broker, "", key, None), ErrorCode::InvalidConfig);
    assert_eq!(cluster.set_config(broker, "", key, Some("2")), ErrorCode::None);
    assert_eq!(
        cluster.set_config(ConfigResourceType::Group, "g", "a", Some("1")),
        ErrorCode::None
    );
}

#[test]
fn kafkas_rules_know_keys_and_lists() {
    let rules = KafkaConfigRules::default();
    let topic = ConfigResource::Topic("t".into());
    let set = |key: &str, value: &str| rules.validate(&topic, &ConfigMap::from([(key.to_owned(), value.to_owned())]));
    assert_eq!(set("retention.ms", "1000"), Ok(()));
    assert!(set("retention.ms", "soon").is_err());
    assert!(set("no.such.key", "1").is_err());
    assert!(rules.is_list(&topic, "cleanup.policy"));
    assert!(!rules.is_list(&topic, "retention.ms"));
    assert_eq!(rules.default_value(&topic, "cleanup.policy").as_deref(), Some("delete"));
}
