//! A consumer's context.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::output::UnreachableNote;

/// Silences librdkafka's log: what matters comes as an error.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    unreachable: UnreachableNote,
}

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.unreachable.on_error(&error, reason);
    }
}

impl ConsumerContext for Quiet {}
