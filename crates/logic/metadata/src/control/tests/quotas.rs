//! Client quotas.

use types::ErrorCode;

use super::cluster::{Cluster, code};
use crate::image::{MetadataImage, QuotaEntity};
use crate::proto::control_request::Request;
use crate::proto::control_response::Response;
use crate::proto::{AlterClientQuotasRequest, ClientQuotaChange, ClientQuotaOperation, QuotaEntityPart};

fn part(kind: &str, name: Option<&str>) -> QuotaEntityPart {
    QuotaEntityPart {
        kind: kind.to_owned(),
        name: name.map(str::to_owned),
    }
}

fn alter(cluster: &mut Cluster, entity: &[QuotaEntityPart], key: &str, value: Option<f64>) -> ErrorCode {
    let operation = ClientQuotaOperation {
        key: key.to_owned(),
        value,
    };
    let change = ClientQuotaChange {
        entity: entity.to_vec(),
        operations: vec![operation],
    };
    let request = AlterClientQuotasRequest {
        entries: vec![change],
        validate_only: false,
    };
    match cluster.ask(Request::AlterClientQuotas(request)).response {
        Some(Response::AlterClientQuotas(answer)) => code(answer.entries[0].error_code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_set_and_removed_and_survive_a_snapshot() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let ann = [part("user", Some("ann"))];
    let entity = QuotaEntity::from_parts(&ann).unwrap();
    assert_eq!(
        alter(&mut cluster, &ann, "producer_byte_rate", Some(1024.0)),
        ErrorCode::None
    );
    assert_eq!(
        alter(&mut cluster, &ann, "request_percentage", Some(12.5)),
        ErrorCode::None
    );
    let limits = cluster.image.client_quota(&entity).unwrap();
    assert_eq!(limits.get("request_percentage").map(|value| value.get()), Some(12.5));
    let again = MetadataImage::from_snapshot(cluster.image.offset(), cluster.image.to_records()).unwrap();
    assert_eq!(again, cluster.image);
    assert_eq!(alter(&mut cluster, &ann, "producer_byte_rate", None), ErrorCode::None);
    assert_eq!(alter(&mut cluster, &ann, "request_percentage", None), ErrorCode::None);
    assert!(!cluster.image.has_client_quotas());
    assert_eq!(alter(&mut cluster, &ann, "request_percentage", None), ErrorCode::None);
}

#[test]
fn what_can_be_no_quota_is_refused() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let refused = ErrorCode::InvalidRequest;
    let ann = [part("user", Some("ann"))];
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY, 1.5] {
        assert_eq!(
            alter(&mut cluster, &ann, "producer_byte_rate", Some(value)),
            refused,
            "{value}"
        );
    }
    assert_eq!(
        alter(&mut cluster, &ann, "connection_creation_rate", Some(1.0)),
        refused
    );
    assert_eq!(alter(&mut cluster, &[], "producer_byte_rate", Some(1.0)), refused);
    let twice = [part("user", None), part("user", Some("ann"))];
    assert_eq!(alter(&mut cluster, &twice, "producer_byte_rate", Some(1.0)), refused);
    let strange = [part("shoe", Some("left"))];
    assert_eq!(alter(&mut cluster, &strange, "producer_byte_rate", Some(1.0)), refused);
    let mixed = [part("user", None), part("ip", None)];
    assert_eq!(
        alter(&mut cluster, &mixed, "connection_creation_rate", Some(1.0)),
        refused
    );
    let nameless = [part("user", Some(""))];
    assert_eq!(alter(&mut cluster, &nameless, "producer_byte_rate", Some(1.0)), refused);
    let address = [part("ip", Some("::1"))];
    assert_eq!(
        alter(&mut cluster, &address, "connection_creation_rate", Some(1.0)),
        ErrorCode::None
    );
    assert_eq!(cluster.image.client_quotas().count(), 1);
}

#[test]
fn the_largest_limits_are_taken_and_what_is_unknown_may_be_taken_away() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let ann = [part("user", Some("ann"))];
    let refused = ErrorCode::InvalidRequest;
    // Long.MAX_VALUE, Kafka's own default, as a double.
    let unlimited = 9_223_372_036_854_775_807_i64 as f64;
    for (value, expected) in [(unlimited, ErrorCode::None), (unlimited * 1.1, refused)] {
        assert_eq!(alter(&mut cluster, &ann, "consumer_byte_rate", Some(value)), expected);
    }
    // A whole number as far as doubles go, as in Kafka.
    for (value, expected) in [
        (1_023.999_999_9, ErrorCode::None),
        (1_024.000_000_1, ErrorCode::None),
        (1_024.1, refused),
    ] {
        assert_eq!(alter(&mut cluster, &ann, "consumer_byte_rate", Some(value)), expected);
    }
    assert_eq!(
        alter(&mut cluster, &ann, "request_percentage", Some(1e300)),
        ErrorCode::None
    );
    let address = [part("ip", Some("::1"))];
    let most = f64::from(i32::MAX);
    for (value, expected) in [(most, ErrorCode::None), (most + 1.0, refused)] {
        assert_eq!(
            alter(&mut cluster, &address, "connection_creation_rate", Some(value)),
            expected
        );
    }
    assert_eq!(alter(&mut cluster, &ann, "shoe_size", Some(1.0)), refused);
    assert_eq!(alter(&mut cluster, &ann, "shoe_size", None), ErrorCode::None);
}
