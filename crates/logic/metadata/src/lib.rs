//! Metadata records, the image they replay into, and one decision a file.
//!
//! The metadata log holds records, not commands: only the active controller decides ([`control`]), on the image of
//! what is committed plus the records of the batch so far; every node replays ([`MetadataImage::replay`]). Requests
//! and answers of the controller are the messages of [`proto`], so that the transport carries them as they are.
//!
//! Nothing here reads a clock, draws a number or waits: time, randomness and defaults come in a context.

pub mod control;
mod delta;
pub mod features;
mod image;
pub mod invariants;
pub mod proto;
pub mod record;
mod safe_to_stop;

pub use delta::ImageDelta;
pub use image::{
    BrokerListener, BrokerRegistration, CLIENT_ID, ConfigMap, ConfigResource, EntityName, IP, LeaderRecovery,
    MetadataImage, PartitionRegistration, QuotaEntity, QuotaMap, QuotaValue, TopicImage, USER, security_protocol_code,
    security_protocol_from_code,
};
pub use record::ReplayError;
pub use safe_to_stop::{PartitionRisk, QuorumRisk, StopPartition, StopRisks, StopVoter, risks_of_stopping};
