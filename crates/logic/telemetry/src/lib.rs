//! Client telemetry (KIP-714): what clients are asked for, when they may push, and what their pushes say.
//!
//! - [`ClientInstances`] knows the clients that push, what each is subscribed to, and what it pushed last.
//! - [`samples()`] reads a push: OpenTelemetry's metrics as Prometheus' names, labels and values.
//!
//! TEL-1: what is kept is bounded, whatever clients send: about [`KEPT_BYTES_MAX`] in all, of whoever was heard last. TEL-2: a client that
//! is silent for three intervals is forgotten, with its values.
//!
//! Pure: time and ids are arguments; a push is decompressed by the shell.

mod instances;
mod otlp;
mod samples;
mod subscription;

pub use instances::{ClientInstances, KEPT_BYTES_MAX, Push, Refusal, Shown};
pub use samples::{OWN_LABELS, Sample, cut, samples};
pub use subscription::{ClientDescription, Subscription};
