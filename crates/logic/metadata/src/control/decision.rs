//! What a decision gives, and what it needs besides the image and the request.

use std::fmt;

use thiserror::Error;
use types::{BrokerEpoch, BrokerId, ErrorCode, TimestampMs, TopicId, Uuid};

use super::ConfigRules;
use super::mutation_quota::{MutationAccount, MutationMeter, QuotaUsedUp};
use crate::image::MetadataImage;
use crate::proto::MetadataRecord;

/// The records that a request causes and its answer; nothing has changed yet.
///
/// The answer may be given only when the records are committed. The records are ordered so that every prefix of
/// them leaves a sound image: leaderships are taken before a broker is fenced or replaced, given after it is unfenced.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<R> {
    /// To be appended to the metadata log, in this order.
    pub records: Vec<MetadataRecord>,
    /// To be answered once they are committed.
    pub response: R,
}

impl<R> Decision<R> {
    /// An answer that changes nothing.
    pub fn unchanged(response: R) -> Self {
        Self {
            records: Vec::new(),
            response,
        }
    }

    /// The same records with another answer.
    pub fn map<S>(self, answer: impl FnOnce(R) -> S) -> Decision<S> {
        Decision {
            records: self.records,
            response: answer(self.response),
        }
    }
}

/// A request refused as a whole: Kafka's code and a text for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Kafka's code.
    pub code: ErrorCode,
    /// What was wrong.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }
}

/// Static defaults of the deciding node; dynamic ones are in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlDefaults {
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election_enable: bool,
    /// The most replicas of partitions that one broker may hold on average; more is refused with a clear text.
    pub max_replicas_per_broker: usize,
}

impl Default for ControlDefaults {
    /// Kafka's defaults, and a budget of 20,000 replicas a broker.
    fn default() -> Self {
        Self {
            num_partitions: 1,
            default_replication_factor: 1,
            min_insync_replicas: 1,
            unclean_leader_election_enable: false,
            max_replicas_per_broker: 20_000,
        }
    }
}

/// What decisions take from outside.
pub struct ControlContext<'a> {
    /// The time of the decision.
    pub now: TimestampMs,
    /// The node's static defaults.
    pub defaults: &'a ControlDefaults,
    /// Random numbers, for ids and placement.
    pub random: &'a mut dyn FnMut() -> u64,
    /// Which configurations are allowed.
    pub config_rules: &'a dyn ConfigRules,
    /// Clients' quotas.
    pub mutations: &'a mut dyn MutationMeter,
    /// Of the request that is decided.
    pub account: MutationAccount,
}

impl fmt::Debug for ControlContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlContext")
            .field("now", &self.now)
            .field("defaults", self.defaults)
            .finish_non_exhaustive()
    }
}

impl ControlContext<'_> {
    /// Charges the request's client for partitions that are created or deleted.
    pub(crate) fn charge(&mut self, image: &MetadataImage, partitions: usize) -> Result<(), QuotaUsedUp> {
        let Some(client) = &self.account.client else {
            return Ok(());
        };
        let charged = self.mutations.charge(image, client, partitions, self.now);
        let wait_ms = match charged {
            Ok(wait_ms) => {
                self.account.partitions = self.account.partitions.saturating_add(partitions);
                wait_ms
            }
            Err(used_up) => used_up.wait_ms,
        };
        self.account.wait_ms = self.account.wait_ms.max(wait_ms);
        charged.map(|_| ())
    }

    /// A new topic's id: version 4, never one of those that Kafka reserves, and never starting with a dash in text,
    /// which command lines would take for an option.
    pub(crate) fn new_topic_id(&mut self, image: &MetadataImage) -> TopicId {
        loop {
            let high = (self.random)();
            let low = (self.random)();
            let versioned = (high & !0xf000) | 0x4000;
            let varied = (low & !(0b11 << 62)) | (0b10 << 62);
            // 62 stands for the dash in the text form.
            let starts_with_dash = versioned >> 58 == 62;
            let id = TopicId(Uuid::from_u64_pair(versioned, varied));
            if !starts_with_dash && image.topic_by_id(id).is_none() {
                return id;
            }
        }
    }
}

/// Why a broker's request isn't believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokerEpochError {
    /// The broker isn't registered.
    #[error("broker {0} isn't registered")]
    NotRegistered(BrokerId),
    /// Another incarnation of it is registered.
    #[error("broker {id} is registered with epoch {registered}, not {requested}")]
    Stale {
        /// The broker.
        id: BrokerId,
        /// The registered epoch.
        registered: BrokerEpoch,
        /// The request's epoch.
        requested: BrokerEpoch,
    },
}

impl From<BrokerEpochError> for Refusal {
    fn from(error: BrokerEpochError) -> Self {
        let code = match &error {
            BrokerEpochError::NotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
            BrokerEpochError::Stale { .. } => ErrorCode::StaleBrokerEpoch,
        };
        Self::new(code, error)
    }
}

/// META-6: a request counts only with the registered epoch.
///
/// # Errors
/// When the broker isn't registered, or with another epoch.
pub(crate) fn check_broker_epoch(
    image: &MetadataImage,
    id: BrokerId,
    requested: BrokerEpoch,
) -> Result<(), BrokerEpochError> {
    let registered = image.broker(id).ok_or(BrokerEpochError::NotRegistered(id))?.epoch;
    if registered == requested {
        Ok(())
    } else {
        Err(BrokerEpochError::Stale {
            id,
            registered,
            requested,
        })
    }
}
