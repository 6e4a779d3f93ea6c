//! FindCoordinator (10): which broker leads the group's partition of `__consumer_offsets`. The first one to ask makes it.
//!
//! Transactions and share groups aren't served: their clients are told so with an error that they don't retry.

use std::sync::Arc;
use std::time::Duration;

use coordinator::group_partition;
use metadata::MetadataImage;
use tokio::time::timeout;
use types::{ErrorCode, TopicName};
use wire::messages::find_coordinator_response::Coordinator;
use wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use wire::protocol::StrBytes;

use super::auto_create::create_topics;
use super::controller_call::Refused;
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::OFFSETS_TOPIC;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const FIRST_VERSION_WITH_TYPE: i16 = 1;
const FIRST_VERSION_WITH_MESSAGE: i16 = 1;
const FIRST_VERSION_WITH_KEYS: i16 = 4;
/// How long a request waits for the topic to be made before its client is told to come again.
const CREATION_WAIT: Duration = Duration::from_secs(5);

/// Where a coordinator is reached.
struct Found {
    node: i32,
    host: StrBytes,
    port: i32,
}

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let version = header.api_version;
    let body: FindCoordinatorRequest = decode(&header, request.body)?;
    let kind = if version >= FIRST_VERSION_WITH_TYPE {
        body.key_type
    } else {
        GROUP
    };
    let image = image_for(&broker, kind).await;
    let find = |key: &str| {
        let image = image.as_ref().map_err(Clone::clone)?;
        coordinator_of(&broker, image, key, &request.client.listener)
    };
    let mut response = FindCoordinatorResponse::default();
    if version >= FIRST_VERSION_WITH_KEYS {
        let coordinators = body.coordinator_keys.into_iter().map(|key| {
            let found = find(&key);
            let coordinator = Coordinator::default().with_key(key);
            match found {
                Ok(found) => coordinator
                    .with_node_id(found.node.into())
                    .with_host(found.host)
                    .with_port(found.port),
                Err(refused) => coordinator
                    .with_node_id((-1).into())
                    .with_port(-1)
                    .with_error_code(refused.code.code())
                    .with_error_message(refused.text()),
            }
        });
        response.coordinators = coordinators.collect();
        return respond(&header, &response);
    }
    match find(&body.key) {
        Ok(found) => {
            response.node_id = found.node.into();
            response.host = found.host;
            response.port = found.port;
        }
        Err(refused) => {
            response.node_id = (-1).into();
            response.port = -1;
            response.error_code = refused.code.code();
            response.error_message = (version >= FIRST_VERSION_WITH_MESSAGE)
                .then(|| refused.text())
                .flatten();
        }
    }
    respond(&header, &response)
}

/// An image that has the coordinator's topic.
async fn image_for(broker: &BrokerContext, kind: i8) -> Result<Arc<MetadataImage>, Refused> {
    match kind {
        GROUP => {}
        TRANSACTION => {
            return Err(Refused::new(
                // Of the codes that end the attempt, the one that every client knows: librdkafka retries any other.
                ErrorCode::TransactionalIdAuthorizationFailed,
                "transactions are not supported yet: unset transactional.id",
            ));
        }
        _ => {
            return Err(Refused::new(
                ErrorCode::InvalidRequest,
                format!("unknown coordinator type {kind}"),
            ));
        }
    }
    let present = || {
        let image = broker.host.image.load_full();
        image.topic(OFFSETS_TOPIC).is_some().then_some(image)
    };
    if let Some(image) = present() {
        return Ok(image);
    }
    let not_yet = || Refused::new(ErrorCode::CoordinatorNotAvailable, "the offsets topic is not there yet");
    let made = timeout(CREATION_WAIT, async {
        let _turn = broker.groups.creation().lock().await;
        if present().is_none() {
            for result in create_topics(broker, &[TopicName::new(OFFSETS_TOPIC)], None).await {
                result
                    .inspect_err(|error| tracing::info!(%error, "the offsets topic could not be made yet"))
                    .ok()?;
            }
        }
        let mut applied = broker.publisher.subscribe();
        applied.wait_for(|_| present().is_some()).await.ok()?;
        present()
    });
    made.await.ok().flatten().ok_or_else(not_yet)
}

fn coordinator_of(
    broker: &BrokerContext,
    image: &MetadataImage,
    group: &str,
    listener: &str,
) -> Result<Found, Refused> {
    let leader = image.topic(OFFSETS_TOPIC).and_then(|topic| {
        let partition = topic.partition(group_partition(group, topic.partition_count()))?;
        image
            .broker(partition.leader?)
            .filter(|leader| !leader.fenced && !broker.host.peers.is_lost(leader.id))
    });
    let found = leader.and_then(|leader| {
        let address = leader.listener(listener)?;
        Some(Found {
            node: leader.id.0,
            host: text(&address.host),
            port: i32::from(address.port),
        })
    });
    found.ok_or_else(|| Refused::new(ErrorCode::CoordinatorNotAvailable, "the coordinator is not available"))
}
