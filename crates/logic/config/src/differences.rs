//! Where a default differs from Apache Kafka's, and why. `docs/differences.md` is written from here.

/// A default of ours beside Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferentDefault {
    /// The broker key.
    pub key: &'static str,
    /// Apache Kafka's default.
    pub kafka: &'static str,
    /// Ours.
    pub klamm: &'static str,
    /// Why they differ.
    pub reason: &'static str,
}

/// Every default that differs.
pub const DEFAULTS: &[DifferentDefault] = &[
    DifferentDefault {
        key: "broker.heartbeat.interval.ms",
        kafka: "2000",
        klamm: "250",
        reason: "a session of two seconds needs several heartbeats; the interval used is at most 250 ms and an eighth of the session",
    },
    DifferentDefault {
        key: "broker.session.timeout.ms",
        kafka: "9000",
        klamm: "2000",
        reason: "partitions of a silent broker move in a fraction of the time; heartbeats have threads of their own, \
                 so that a busy broker isn't taken for a dead one",
    },
    DifferentDefault {
        key: "controller.quorum.auto.join.enable",
        kafka: "false",
        klamm: "true",
        reason: "nothing is formatted here: a controller with a new or a wiped disk votes again without an operator",
    },
];

/// Keys that Apache Kafka doesn't know.
pub const OWN_KEYS: &[&str] = &["cluster.id", "klamm.http.listener"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_keys::broker_key;

    #[test]
    fn the_tables_hold_what_is_listed_here() {
        for different in DEFAULTS {
            assert_eq!(
                broker_key(different.key).unwrap().default_text(),
                Some(different.klamm),
                "{}",
                different.key
            );
        }
        assert!(OWN_KEYS.iter().all(|key| broker_key(key).is_some()));
    }
}
