//! Client telemetry (KIP-714): what clients are asked for, when they may push, and what their pushes say.
//!
//! - [`ClientInstances`] knows the clients that push, what each is subscribed to, and what it pushed last.
//! - [`samples()`] reads a push: OpenTelemetry's metrics as Prometheus' names, labels and values.
//!
//! TEL-1: what is kept is bounded, whatever clients send: [`SAMPLES_MAX`] values in all, of whoever was heard last. TEL-2: a client that
//! is silent for three intervals is forgotten, with its values.
//!
//! Pure: time and ids are arguments; a push is decompressed by the shell.

mod instances;
mod otlp;
mod samples;
mod subscription;

pub use instances::{ClientInstances, Push, Refusal, SAMPLES_MAX, Shown};
pub use samples::{Sample, samples};
pub use subscription::{ClientDescription, Subscription};
