//! The APIs whose schemas this crate knows, and their header versions.
//!
//! The ranges are those of Apache Kafka 4.4, cut to what the codec encodes. A client that pins a Kafka version needs
//! the whole range of it, so nothing here is cut further. The broker chooses which keys it advertises.

pub use kafka_protocol::messages::ApiKey;

/// One API and the versions of it that can be decoded and answered (both ends inclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedApi {
    /// Kafka's number of the API.
    pub key: i16,
    /// The oldest version served. What is advertised may be lower, see [`advertised_min_version`].
    pub min: i16,
    /// The newest version served.
    pub max: i16,
}

impl ServedApi {
    /// Whether requests of this version can be decoded.
    #[must_use]
    pub const fn serves(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

const fn api(key: ApiKey, min: i16, max: i16) -> ServedApi {
    ServedApi {
        key: key as i16,
        min,
        max,
    }
}

/// Ascending by key.
const SERVED: [ServedApi; 48] = [
    api(ApiKey::Produce, 3, 13),
    api(ApiKey::Fetch, 4, 18),
    api(ApiKey::ListOffsets, 1, 11),
    api(ApiKey::Metadata, 0, 13),
    api(ApiKey::OffsetCommit, 2, 10),
    api(ApiKey::OffsetFetch, 1, 10),
    api(ApiKey::FindCoordinator, 0, 6),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 6),
    api(ApiKey::ListGroups, 0, 5),
    api(ApiKey::ApiVersions, 0, 5),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DeleteRecords, 0, 2),
    // Version 6 is in the codec, but Kafka marks it unstable (two-phase commit, KIP-939).
    api(ApiKey::InitProducerId, 0, 5),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::DescribeAcls, 1, 3),
    api(ApiKey::CreateAcls, 1, 3),
    api(ApiKey::DeleteAcls, 1, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::AlterReplicaLogDirs, 1, 2),
    api(ApiKey::DescribeLogDirs, 1, 5),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 3),
    api(ApiKey::ElectLeaders, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::AlterPartitionReassignments, 0, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeClientQuotas, 0, 1),
    api(ApiKey::AlterClientQuotas, 0, 1),
    api(ApiKey::DescribeQuorum, 0, 2),
    api(ApiKey::UpdateFeatures, 0, 2),
    api(ApiKey::DescribeCluster, 0, 2),
    api(ApiKey::DescribeProducers, 0, 0),
    api(ApiKey::UnregisterBroker, 0, 0),
    api(ApiKey::ConsumerGroupHeartbeat, 0, 1),
    api(ApiKey::ConsumerGroupDescribe, 0, 1),
    api(ApiKey::GetTelemetrySubscriptions, 0, 0),
    api(ApiKey::PushTelemetry, 0, 0),
    api(ApiKey::ListConfigResources, 0, 1),
    api(ApiKey::DescribeTopicPartitions, 0, 0),
    api(ApiKey::AddRaftVoter, 0, 1),
    api(ApiKey::RemoveRaftVoter, 0, 0),
];

/// Every API that this crate can decode, ascending by key.
#[must_use]
pub const fn served_apis() -> &'static [ServedApi] {
    &SERVED
}

/// The served range of one API; `None` for a key that is unknown or not served.
#[must_use]
pub fn served_api(key: i16) -> Option<ServedApi> {
    SERVED
        .binary_search_by_key(&key, |api| api.key)
        .ok()
        .and_then(|at| SERVED.get(at))
        .copied()
}

/// The lowest version that `ApiVersions` must list for this API.
///
/// It is the served minimum but for Produce, which Kafka lists from 0 although it serves 3 and up: librdkafka before
/// 2.8.1 drops compression silently when 0 is missing (KAFKA-18659).
#[must_use]
pub const fn advertised_min_version(api: ServedApi) -> i16 {
    if api.key == ApiKey::Produce as i16 { 0 } else { api.min }
}

/// The request header's version for a known key at any version, served or not: 2 for flexible versions, else 1.
/// `None` for an unknown key.
#[must_use]
pub fn request_header_version(key: i16, version: i16) -> Option<i16> {
    ApiKey::try_from(key)
        .ok()
        .map(|key| key.request_header_version(version))
}

/// The response header's version for a known key: 1 for flexible versions, else 0, and always 0 for `ApiVersions`
/// (KIP-511), whose client cannot know yet what the broker speaks. `None` for an unknown key.
#[must_use]
pub fn response_header_version(key: i16, version: i16) -> Option<i16> {
    if key == ApiKey::ApiVersions as i16 {
        return Some(0);
    }
    ApiKey::try_from(key)
        .ok()
        .map(|key| key.response_header_version(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beyond_codec::codec_version;

    #[test]
    fn the_table_is_sorted_and_within_what_the_codec_encodes() {
        assert!(SERVED.is_sorted_by_key(|api| api.key));
        for api in SERVED {
            let codec = ApiKey::try_from(api.key).unwrap().valid_versions();
            let newest = codec_version(api.key, api.max);
            assert!(api.min >= codec.min && newest <= codec.max, "{api:?} {codec:?}");
            assert_eq!(served_api(api.key), Some(api));
        }
        assert_eq!(served_api(4), None);
        assert_eq!(served_api(i16::MAX), None);
    }

    #[test]
    fn produce_is_advertised_from_zero_and_the_rest_from_what_is_served() {
        for api in SERVED {
            let expected = if api.key == 0 { 0 } else { api.min };
            assert_eq!(advertised_min_version(api), expected);
        }
    }

    #[test]
    fn an_api_versions_response_never_has_a_flexible_header() {
        for version in 0..=120 {
            assert_eq!(response_header_version(18, version), Some(0));
        }
        assert_eq!(response_header_version(3, 9), Some(1));
        assert_eq!(request_header_version(18, 3), Some(2));
        assert_eq!(request_header_version(18, 99), Some(2));
        assert_eq!(request_header_version(999, 0), None);
    }
}
