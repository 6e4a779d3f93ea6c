//! What a client is asked for: all the subscriptions that match it, as one.

use std::collections::BTreeSet;

use config::client_metrics::{ClientMetricsSubscription, ClientTrait, DEFAULT_INTERVAL_MS};
use types::ClientInstanceId;

/// All metrics, in Kafka's way.
const ALL: &str = "*";

/// Who a client says that it is, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientDescription {
    /// `client_id`
    pub client_id: String,
    /// `client_software_name`, from ApiVersions.
    pub software_name: String,
    /// `client_software_version`, from ApiVersions.
    pub software_version: String,
    /// `client_source_address`
    pub source_address: String,
    /// `client_source_port`
    pub source_port: String,
}

/// What a client pushes, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Names it, and is the same on every broker: a client asks one and pushes to another.
    pub id: i32,
    /// Milliseconds between two pushes.
    pub interval_ms: i32,
    /// Prefixes of metrics' names; `*` alone for all of them, none for nothing.
    pub metrics: Vec<String>,
}

impl Subscription {
    /// What the subscriptions of the cluster ask of this client.
    pub(crate) fn of(
        all: &[ClientMetricsSubscription],
        instance_id: ClientInstanceId,
        client: &ClientDescription,
    ) -> Self {
        let instance_name = instance_id.to_string();
        let of = |wanted| match wanted {
            ClientTrait::InstanceId => instance_name.as_str(),
            ClientTrait::Id => client.client_id.as_str(),
            ClientTrait::SoftwareName => client.software_name.as_str(),
            ClientTrait::SoftwareVersion => client.software_version.as_str(),
            ClientTrait::SourceAddress => client.source_address.as_str(),
            ClientTrait::SourcePort => client.source_port.as_str(),
        };
        let matching = all.iter().filter(|subscription| subscription.is_for(of));
        let mut interval_ms = DEFAULT_INTERVAL_MS;
        let mut metrics = BTreeSet::new();
        for subscription in matching {
            interval_ms = interval_ms.min(subscription.interval_ms);
            metrics.extend(subscription.metrics.iter().map(String::as_str));
        }
        if metrics.contains(ALL) {
            metrics = BTreeSet::from([ALL]);
        }
        let metrics: Vec<String> = metrics.into_iter().map(str::to_owned).collect();
        Self {
            id: id(&metrics, interval_ms, instance_id),
            interval_ms,
            metrics,
        }
    }
}

/// A checksum of what is asked for and of whom: it changes with either.
fn id(metrics: &[String], interval_ms: i32, instance_id: ClientInstanceId) -> i32 {
    let mut checksum = crc32c::crc32c(&interval_ms.to_be_bytes());
    for metric in metrics {
        checksum = crc32c::crc32c_append(checksum, metric.as_bytes());
        checksum = crc32c::crc32c_append(checksum, b"\n");
    }
    crc32c::crc32c_append(checksum, instance_id.0.as_bytes()).cast_signed()
}
