//! Every configuration of a group resource in Kafka 4.x (KIP-848, KIP-932, KIP-1071). None has an effect here yet.

use crate::error::ConfigError;
use crate::key::ConfigKey;
use crate::nearest::nearest;
use crate::table::{find, keys};
use crate::validator::Validator::{Any, AtLeast, OneOf, ShareOffsetReset};

/// The table of group configurations, ordered by name.
pub const GROUP_KEYS: &[ConfigKey] = keys! {
    "consumer.assignment.interval.ms": Int = "1000", AtLeast(0); Medium ClusterWide Accepts;
        "The shortest time between two assignments of the group.";
    "consumer.heartbeat.interval.ms": Int = "5000", AtLeast(1); Medium ClusterWide Accepts;
        "Heartbeat interval of the group's members.";
    "consumer.session.timeout.ms": Int = "45000", AtLeast(1); Medium ClusterWide Accepts;
        "Session timeout of the group's members.";
    "share.assignment.interval.ms": Int = "1000", AtLeast(0); Medium ClusterWide Accepts;
        "The shortest time between two assignments of the group.";
    "share.auto.offset.reset": String = "latest", ShareOffsetReset; Medium ClusterWide Accepts;
        "Where a new share group begins: earliest, latest, or a duration back.";
    "share.delivery.count.limit": Int = "5", AtLeast(2); Medium ClusterWide Accepts;
        "How often a record is delivered before it is given up.";
    "share.heartbeat.interval.ms": Int = "5000", AtLeast(1); Medium ClusterWide Accepts;
        "Heartbeat interval of the group's members.";
    "share.isolation.level": String = "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]); Medium ClusterWide Accepts;
        "Whether records of open and aborted transactions are delivered.";
    "share.partition.max.record.locks": Int = "2000", AtLeast(100); Medium ClusterWide Accepts;
        "Records of one partition that may be locked at a time.";
    "share.record.lock.duration.ms": Int = "30000", AtLeast(1000); Medium ClusterWide Accepts;
        "How long a delivered record is locked for its consumer.";
    "share.renew.acknowledge.enable": Boolean = "true", Any; Medium ClusterWide Accepts;
        "Whether a consumer may extend a record's lock.";
    "share.session.timeout.ms": Int = "45000", AtLeast(1); Medium ClusterWide Accepts;
        "Session timeout of the group's members.";
    "streams.assignment.interval.ms": Int = "1000", AtLeast(0); Medium ClusterWide Accepts;
        "The shortest time between two assignments of the group.";
    "streams.heartbeat.interval.ms": Int = "5000", AtLeast(1); Medium ClusterWide Accepts;
        "Heartbeat interval of the group's members.";
    "streams.initial.rebalance.delay.ms": Int = "3000", AtLeast(0); Medium ClusterWide Accepts;
        "How long a new group waits for more members before its first assignment.";
    "streams.num.standby.replicas": Int = "0", AtLeast(0); Medium ClusterWide Accepts;
        "Standby copies of each task's state.";
    "streams.session.timeout.ms": Int = "45000", AtLeast(1); Medium ClusterWide Accepts;
        "Session timeout of the group's members.";
};

/// Checks one group configuration's name, type and range.
///
/// # Errors
/// Unknown keys and bad values; both answer `INVALID_CONFIG`.
pub fn validate_group_config(key: &str, value: &str) -> Result<(), ConfigError> {
    match find([GROUP_KEYS], key) {
        Some(row) => row.validate(value),
        None => {
            let nearest = nearest(key, GROUP_KEYS.iter().map(|row| row.name)).map(str::to_owned);
            Err(ConfigError::Unknown {
                key: key.to_owned(),
                nearest,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_strangers_do_not() {
        for row in GROUP_KEYS {
            assert_eq!(
                row.default_text().map(|text| row.validate(text)),
                Some(Ok(())),
                "{}",
                row.name
            );
        }
        assert!(validate_group_config("share.isolation.level", "serializable").is_err());
        assert!(validate_group_config("retention.ms", "1").is_err());
    }
}
