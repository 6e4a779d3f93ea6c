//! What a run shall be like, read from the arguments, and librdkafka's settings for it.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::commands::connection::CLIENT_ID;

/// Longer than any fault: what isn't answered by then is an outcome that nobody knows.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// A paused broker answers nothing: after that somebody else is asked.
const REQUEST_TIMEOUT_MS: u32 = 10_000;
/// How long a member of a group may be silent.
const SESSION_TIMEOUT_MS: u32 = 10_000;

/// What a run shall be like.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Its number, in every record and group name.
    pub(super) run: u64,
    pub(super) bootstrap: String,
    pub(super) topic: String,
    pub(super) partitions: u32,
    /// The topic's configs, besides those that a run always sets.
    pub(super) topic_configs: Vec<(String, String)>,
    pub(super) producers: u16,
    /// Readers without a group.
    pub(super) consumers: u16,
    pub(super) groups: u16,
    /// Members of each group.
    pub(super) members: u16,
    /// After how long a member leaves its group, to join it again at once.
    pub(super) churn: Option<Duration>,
    /// Records a second over all producers; `None`: as many as the cluster takes.
    pub(super) rate: Option<u64>,
    /// Settings of the user's own.
    pub(super) properties: Vec<(String, String)>,
}

impl Plan {
    /// What all clients share: they hear of changes quickly, and say what they have to say as errors.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", CLIENT_ID)
            .set("topic.metadata.refresh.interval.ms", "1000")
            .set("topic.metadata.refresh.fast.interval.ms", "50")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "500")
            .set("socket.timeout.ms", REQUEST_TIMEOUT_MS.to_string())
            .set("log_level", "0");
        config
    }

    /// The user has the last word.
    fn with_properties(&self, mut config: ClientConfig) -> ClientConfig {
        for (key, value) in &self.properties {
            config.set(key, value);
            if key == "debug" {
                // The crate's own threshold comes on top of librdkafka's.
                config.set_log_level(RDKafkaLogLevel::Debug);
            }
        }
        config
    }

    /// An idempotent producer's, with a codec and a batch size that differ from its neighbours'. One request of it is under way at a
    /// time: with several, librdkafka (2.12) begins a new producer epoch for all partitions when one of them refuses a request that
    /// followed a failed one, and sends what other partitions may have written already a second time (its issue 4953).
    pub(super) fn producer(&self, number: u16) -> ClientConfig {
        const CODECS: [&str; 5] = ["none", "lz4", "zstd", "snappy", "gzip"];
        const LINGERS_MS: [&str; 4] = ["5", "0", "20", "1"];
        const BATCH_BYTES: [&str; 3] = ["1000000", "16384", "100000"];
        let number = usize::from(number);
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "1")
            .set("acks", "all")
            .set("compression.codec", CODECS[number % CODECS.len()])
            .set("linger.ms", LINGERS_MS[number % LINGERS_MS.len()])
            .set("batch.size", BATCH_BYTES[number % BATCH_BYTES.len()])
            .set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
            .set("request.timeout.ms", REQUEST_TIMEOUT_MS.to_string())
            .set("retry.backoff.ms", "20")
            .set("retry.backoff.max.ms", "500");
        self.with_properties(config)
    }

    /// A consumer's. `group` is needed even by those that never join one.
    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "50")
            .set("allow.auto.create.topics", "false");
        self.with_properties(config)
    }

    /// A group member's. Groups differ in how they rebalance: two ways of the classic protocol, and the consumer protocol (KIP-848).
    pub(super) fn member(&self, group: u16) -> ClientConfig {
        let mut config = self.consumer(&self.group(group));
        config
            .set("auto.offset.reset", "error")
            .set("log_level", "4")
            .set_log_level(RDKafkaLogLevel::Warning);
        let mut classic = |assignor: &str| {
            config
                .set("partition.assignment.strategy", assignor)
                .set("session.timeout.ms", SESSION_TIMEOUT_MS.to_string())
                .set("heartbeat.interval.ms", "1000");
        };
        match group % 3 {
            0 => classic("cooperative-sticky"),
            1 => {
                // Its session and heartbeats are the brokers'.
                config.set("group.protocol", "consumer");
            }
            _ => classic("range"),
        }
        self.with_properties(config)
    }

    /// A group's name.
    pub(super) fn group(&self, group: u16) -> String {
        format!("klamm-verify-{:x}-{group}", self.run)
    }

    /// How long to wait for the answers to what was sent.
    pub(super) fn answers_within(&self) -> Duration {
        DELIVERY_TIMEOUT + Duration::from_secs(10)
    }
}
