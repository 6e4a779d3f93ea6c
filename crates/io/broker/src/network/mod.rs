//! The Kafka listener: connections in, frames to handlers, answers out. What a request means is `apis/`'s.

mod connection;
mod dispatcher;
mod limits;
mod listener;

pub(crate) use listener::{KafkaServer, ListenerSocket};
