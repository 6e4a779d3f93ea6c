//! Every configuration of a group resource in Kafka 4.x (KIP-848, KIP-932, KIP-1071), and the bounds that brokers set for them.

use std::collections::BTreeMap;

use crate::broker_keys::broker_key;
use crate::defaults::BrokerDefaults;
use crate::error::ConfigError;
use crate::key::ConfigKey;
use crate::nearest::nearest;
use crate::table::{find, keys};
use crate::validator::Validator::{Any, AtLeast, List as ListOfTexts, OneOf, ShareOffsetReset};

/// The table of group configurations, ordered by name.
pub const GROUP_KEYS: &[ConfigKey] = keys! {
    "consumer.assignment.interval.ms": Int = "1000", AtLeast(0); Medium ClusterWide Acts;
        "The shortest time between two assignments of the group.";
    "consumer.heartbeat.interval.ms": Int = "5000", AtLeast(1); Medium ClusterWide Acts;
        "Heartbeat interval of the group's members.";
    "consumer.session.timeout.ms": Int = "45000", AtLeast(1); Medium ClusterWide Acts;
        "Session timeout of the group's members.";
    "errors.deadletterqueue.copy.record.enable": Boolean = "false", Any; Medium ClusterWide Accepts;
        "Whether a record that couldn't be delivered is copied to the dead-letter queue, or only told of there.";
    "errors.deadletterqueue.topic.name": String = "", Any; Medium ClusterWide Accepts;
        "The share group's topic for records that couldn't be delivered; empty for none.";
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
    "streams.assignor.name": String = "sticky", Any; Medium ClusterWide Accepts;
        "Which of group.streams.assignors the group uses.";
    "streams.heartbeat.interval.ms": Int = "5000", AtLeast(1); Medium ClusterWide Accepts;
        "Heartbeat interval of the group's members.";
    "streams.initial.rebalance.delay.ms": Int = "3000", AtLeast(0); Medium ClusterWide Accepts;
        "How long a new group waits for more members before its first assignment.";
    "streams.num.standby.replicas": Int = "0", AtLeast(0); Medium ClusterWide Accepts;
        "Standby copies of each task's state.";
    "streams.rack.aware.assignment.tags": List = "", ListOfTexts; Medium ClusterWide Accepts;
        "Client tags over which the standby copies of a task are spread.";
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

/// The broker key that gives a group configuration its default, where there is one.
#[must_use]
pub fn broker_key_of(group_key: &str) -> Option<&'static str> {
    let name = match group_key {
        "streams.assignor.name" => "group.streams.assignors".to_owned(),
        key => format!("group.{key}"),
    };
    broker_key(&name).map(|row| row.name)
}

/// Checks a group's whole set of configurations: each one, the broker's bounds, and what they say together.
///
/// # Errors
/// The first that is wrong; `INVALID_CONFIG`.
pub fn validate_group_configs<'a>(
    configs: impl IntoIterator<Item = (&'a str, &'a str)>,
    broker: &BrokerDefaults,
) -> Result<(), ConfigError> {
    let own: BTreeMap<&str, &str> = configs.into_iter().collect();
    let broker_value = |key: &str| {
        let text = broker.get(key).or_else(|| broker_key(key)?.default_text())?;
        text.trim().parse::<i64>().ok()
    };
    for (key, value) in &own {
        validate_group_config(key, value)?;
        let (Some((kind, rest)), Ok(number)) = (key.split_once('.'), value.trim().parse::<i64>()) else {
            continue;
        };
        // The most standby copies: the key leaves out that they are counted.
        let rest = rest.strip_prefix("num.").unwrap_or(rest);
        let low = broker_value(&format!("group.{kind}.min.{rest}")).unwrap_or(i64::MIN);
        let high = broker_value(&format!("group.{kind}.max.{rest}")).unwrap_or(i64::MAX);
        if !(low..=high).contains(&number) {
            let expected = match (low, high) {
                (i64::MIN, high) => format!("must not be above {high}"),
                (low, i64::MAX) => format!("must not be below {low}"),
                (low, high) => format!("must be between {low} and {high}"),
            };
            return Err(ConfigError::invalid(*key, *value, expected));
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let session_key = format!("{kind}.session.timeout.ms");
        let heartbeat_key = format!("{kind}.heartbeat.interval.ms");
        let value = |key: &str| match own.get(key) {
            Some(text) => text.trim().parse().ok(),
            None => broker_value(&format!("group.{key}")),
        };
        if let (Some(session), Some(heartbeat)) = (value(&session_key), value(&heartbeat_key))
            && session <= heartbeat
        {
            let expected = format!("must be above {heartbeat_key} ({heartbeat})");
            return Err(ConfigError::invalid(session_key, session.to_string(), expected));
        }
    }
    Ok(())
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

    #[test]
    fn a_group_stays_within_the_brokers_bounds() {
        let broker = BrokerDefaults::default();
        let check = |configs: &[(&'static str, &'static str)]| validate_group_configs(configs.iter().copied(), &broker);
        assert_eq!(check(&[("consumer.session.timeout.ms", "50000")]), Ok(()));
        assert!(check(&[("consumer.session.timeout.ms", "44999")]).is_err());
        assert!(check(&[("consumer.session.timeout.ms", "60001")]).is_err());
        assert!(check(&[("streams.num.standby.replicas", "3")]).is_err());
        assert!(check(&[("share.partition.max.record.locks", "4001")]).is_err());
        let short = crate::Properties::parse("group.consumer.min.session.timeout.ms=1000");
        let broker = BrokerDefaults::new(short);
        let both = [
            ("consumer.session.timeout.ms", "6000"),
            ("consumer.heartbeat.interval.ms", "6000"),
        ];
        assert!(validate_group_configs(both, &broker).is_err());
        assert_eq!(validate_group_configs([both[0]], &broker), Ok(()));
    }
}
