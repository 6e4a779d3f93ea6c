//! Many requests in one batch of records: each is decided on the image plus the records before it.
//!
//! What one request refuses or breaks never touches another's. Called by the controller's writer, which commits the
//! records as one Raft entry and hands out the answers then.
//!
//! BATCH-1: what one request causes may need several entries, as when a broker of 100,000 partitions is fenced. They follow each
//! other, decided on each other's offsets, so nothing comes between; a controller that dies between two leaves a prefix, which is
//! a sound image (see [`Decision`]), and its successor decides anew: it finds the broker unfenced and without a session.
//! BATCH-2: what a client must find whole or not at all, a topic with its partitions, is one entry, or refused, as by Kafka.

use types::ErrorCode;

use super::{
    ControlContext, Decision, MutationAccount, Refusal, allocate_producer_ids, alter_client_quotas, alter_configs,
    alter_partition, alter_partition_reassignments, bootstrap, controlled_shutdown, create_partitions, create_topics,
    delete_topics, directories_offline, elect_last_known, elect_leaders, fence_broker, rebalance_leaders,
    register_broker, unfence_broker, unregister_broker, update_features,
};
use crate::image::MetadataImage;
use crate::proto::control_request::Request;
use crate::proto::control_response::Response;
use crate::proto::{ControlRequest, ControlResponse, MetadataRecord};
use crate::record::{MAX_BATCH_BYTES, MAX_ENTRY_BYTES, encoded_len, split_records};

/// What a queue of requests gives.
#[must_use]
#[derive(Debug, Clone)]
pub struct BatchDecision {
    /// The records of all decided requests. At most [`MAX_BATCH_BYTES`] encoded, unless the first request alone needs
    /// more: see [`BatchDecision::entries`].
    pub records: Vec<MetadataRecord>,
    /// They are one entry, however large (BATCH-2).
    whole: bool,
    /// The answers of the first requests, in their order. Requests without one wait for the next batch; the first
    /// request always has one.
    pub responses: Vec<ControlResponse>,
    /// The image once the records are replayed.
    pub image_after: MetadataImage,
}

impl BatchDecision {
    /// The records as Raft entries, to be committed in this order (BATCH-1). None without records.
    #[must_use]
    pub fn entries(&self) -> Vec<&[MetadataRecord]> {
        if self.whole && !self.records.is_empty() {
            vec![&self.records]
        } else {
            split_records(&self.records, MAX_BATCH_BYTES)
        }
    }
}

fn is_whole_or_nothing(request: &ControlRequest) -> bool {
    matches!(
        request.request,
        Some(Request::CreateTopics(_) | Request::CreatePartitions(_))
    )
}

/// No entry is larger than what is decoded again: neither one record nor what must be whole (BATCH-2).
fn check_fits(request: &ControlRequest, decision: &Decision<Response>, bytes: usize) -> Result<(), Refusal> {
    let largest = if bytes <= MAX_ENTRY_BYTES || is_whole_or_nothing(request) {
        bytes
    } else {
        decision.records.iter().map(encoded_len).max().unwrap_or(0)
    };
    if largest <= MAX_ENTRY_BYTES {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::PolicyViolation,
        format!(
            "the request changes {largest} bytes of metadata at once, more than {MAX_ENTRY_BYTES}: ask for less at a time"
        ),
    ))
}

/// Decides requests in turn until the batch is full.
pub fn decide_batch(
    image: &MetadataImage,
    requests: &[ControlRequest],
    context: &mut ControlContext<'_>,
) -> BatchDecision {
    let mut batch = BatchDecision {
        records: Vec::new(),
        whole: false,
        responses: Vec::new(),
        image_after: image.clone(),
    };
    let mut bytes = 0_usize;
    for request in requests {
        context.account = MutationAccount {
            client: request.client.clone(),
            ..MutationAccount::default()
        };
        let decided = decide_one(&batch.image_after, request, context);
        let account = std::mem::take(&mut context.account);
        let decision = decided.and_then(|decision| {
            let own_bytes = decision.records.iter().map(encoded_len).sum();
            check_fits(request, &decision, own_bytes)?;
            let mut after = batch.image_after.clone();
            let fits = after.replay_all(&decision.records);
            fits.map(|()| (decision, own_bytes, after))
                .map_err(|error| Refusal::new(ErrorCode::UnknownServerError, error))
        });
        match decision {
            Ok((decision, own_bytes, after)) => {
                bytes = bytes.saturating_add(own_bytes);
                if bytes > MAX_BATCH_BYTES && !batch.responses.is_empty() && !decision.records.is_empty() {
                    // Decided, and charged, again with the next batch.
                    take_back(&batch.image_after, &account, context);
                    break;
                }
                // A batch above the size is one request's.
                batch.whole |= own_bytes > MAX_BATCH_BYTES && is_whole_or_nothing(request);
                batch.records.extend(decision.records);
                batch.responses.push(ControlResponse {
                    throttle_time_ms: i32::try_from(account.wait_ms).unwrap_or(i32::MAX),
                    ..answer(&after, Ok(decision.response))
                });
                batch.image_after = after;
            }
            Err(refusal) => {
                take_back(&batch.image_after, &account, context);
                batch.responses.push(answer(&batch.image_after, Err(refusal)));
            }
        }
    }
    batch
}

/// What was charged for a request doesn't happen.
fn take_back(image: &MetadataImage, account: &MutationAccount, context: &mut ControlContext<'_>) {
    if let Some(client) = &account.client {
        context.mutations.take_back(image, client, account.partitions);
    }
}

fn answer(image: &MetadataImage, decided: Result<Response, Refusal>) -> ControlResponse {
    let metadata_offset = image.offset().0;
    match decided {
        Ok(response) => ControlResponse {
            metadata_offset,
            response: Some(response),
            ..ControlResponse::default()
        },
        Err(refusal) => ControlResponse {
            error_code: refusal.code.code().into(),
            error_message: refusal.message,
            metadata_offset,
            ..ControlResponse::default()
        },
    }
}

/// Decides one request of any kind.
///
/// # Errors
/// When it is refused as a whole.
pub fn decide_one(
    image: &MetadataImage,
    request: &ControlRequest,
    context: &mut ControlContext<'_>,
) -> Result<Decision<Response>, Refusal> {
    let Some(request) = &request.request else {
        return Err(Refusal::new(
            ErrorCode::UnsupportedVersion,
            "a request of an unknown kind",
        ));
    };
    Ok(match request {
        Request::Bootstrap(request) => bootstrap(image, request, context)?.map(Response::Bootstrap),
        Request::RegisterBroker(request) => register_broker(image, request, context)?.map(Response::RegisterBroker),
        Request::UnregisterBroker(request) => {
            unregister_broker(image, request, context)?.map(Response::UnregisterBroker)
        }
        Request::FenceBroker(request) => fence_broker(image, request, context)?.map(Response::FenceBroker),
        Request::UnfenceBroker(request) => unfence_broker(image, request, context)?.map(Response::UnfenceBroker),
        Request::DirectoriesOffline(request) => {
            directories_offline(image, request, context)?.map(Response::DirectoriesOffline)
        }
        Request::ControlledShutdown(request) => {
            controlled_shutdown(image, request, context)?.map(Response::ControlledShutdown)
        }
        Request::AlterPartition(request) => alter_partition(image, request, context)?.map(Response::AlterPartition),
        Request::AllocateProducerIds(request) => {
            allocate_producer_ids(image, request)?.map(Response::AllocateProducerIds)
        }
        Request::CreateTopics(request) => create_topics(image, request, context).map(Response::CreateTopics),
        Request::DeleteTopics(request) => delete_topics(image, request, context).map(Response::DeleteTopics),
        Request::CreatePartitions(request) => {
            create_partitions(image, request, context).map(Response::CreatePartitions)
        }
        Request::AlterConfigs(request) => alter_configs(image, request, context).map(Response::AlterConfigs),
        Request::ElectLeaders(request) => elect_leaders(image, request, context).map(Response::ElectLeaders),
        Request::ElectLastKnown(request) => elect_last_known(image, request, context).map(Response::ElectLastKnown),
        Request::RebalanceLeaders(request) => {
            rebalance_leaders(image, request, context).map(Response::RebalanceLeaders)
        }
        Request::AlterClientQuotas(request) => alter_client_quotas(image, request).map(Response::AlterClientQuotas),
        Request::UpdateFeatures(request) => update_features(image, request)?.map(Response::UpdateFeatures),
        Request::AlterPartitionReassignments(request) => {
            alter_partition_reassignments(image, request, context).map(Response::AlterPartitionReassignments)
        }
    })
}
