//! The Kafka listener: connections in, frames to handlers, answers out. What a request means is `apis/`'s.

mod client_streams;
mod connection;
mod dispatcher;
mod limits;
mod listener;

pub use client_streams::ClientStreams;
pub(crate) use listener::{KafkaServer, ListenerSocket};
