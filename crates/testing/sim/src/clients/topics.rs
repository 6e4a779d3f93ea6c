//! Topics made and deleted through the brokers.

use std::time::Duration;

use rand::Rng;
use types::ErrorCode;
use wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use wire::messages::delete_topics_request::DeleteTopicState;
use wire::messages::{CreateTopicsRequest, DeleteTopicsRequest, TopicName};
use wire::protocol::StrBytes;

use super::client::Client;
use super::{CREATE_MS, Clients};

/// What the client waits for an answer to a change of topics.
const ANSWER: Duration = Duration::from_millis(CREATE_MS.unsigned_abs() as u64 + 1_500);
const CREATE_VERSION: i16 = 7;
const DELETE_VERSION: i16 = 6;
/// Attempts to create a topic: longer than a cluster needs to form.
const ATTEMPTS: usize = 400;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

impl Clients {
    /// Creates a topic through whichever broker answers, until it exists.
    pub(crate) async fn create_topic(
        &self,
        seed: u64,
        name: &str,
        partitions: i32,
        configs: &[(&str, String)],
        attempts: Option<usize>,
    ) -> bool {
        let mut client = Client::new(self.clone(), seed);
        let configs = configs.iter().map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(text(key))
                .with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(3)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(CREATE_MS);
        for _ in 0..attempts.unwrap_or(ATTEMPTS) {
            let node = client.any_broker();
            if let Ok(answer) = client.call(node, CREATE_VERSION, &request, ANSWER).await {
                let code = answer.topics.first().map_or(-1, |topic| topic.error_code);
                if code == ErrorCode::None.code() || code == ErrorCode::TopicAlreadyExists.code() {
                    return true;
                }
                tracing::info!(topics = ?answer.topics, "a topic was not created");
            }
            client.back_off().await;
        }
        false
    }

    /// Creates and deletes topics while the others write.
    pub(crate) async fn churn(self, seed: u64) {
        let mut client = Client::new(self.clone(), seed);
        let mut round = 0;
        while !self.stopping() {
            round += 1;
            let name = format!("churn-{}", round % 3);
            if client.dice.random_bool(0.6) {
                let (seed, partitions) = (client.dice.random(), client.dice.random_range(1..4));
                self.create_topic(seed, &name, partitions, &[], Some(3)).await;
            } else {
                let node = client.any_broker();
                let topic = DeleteTopicState::default().with_name(Some(TopicName(text(&name))));
                let request = DeleteTopicsRequest::default()
                    .with_topics(vec![topic])
                    .with_timeout_ms(CREATE_MS);
                let _ = client.call(node, DELETE_VERSION, &request, ANSWER).await;
            }
            client.rest(300..2_500).await;
        }
    }
}
