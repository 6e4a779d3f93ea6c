//! The broker's side of the cluster's metadata: its session with the active controller, and the publishing of images.

mod applier;
mod lease;
mod publisher;
mod session;

pub use lease::SessionLease;
pub use publisher::{ImageListener, MetadataPublisher, PublishError};
pub use session::{BrokerIdentity, BrokerSession, SessionState, whenever_closed};
