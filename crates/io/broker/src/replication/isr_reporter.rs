//! Sends ISR proposals to the active controller (AlterPartition), one request at a time, many partitions in each.
//!
//! A proposal stays with its leadership until the metadata image brings its outcome or the controller refuses it; an
//! answer that was lost is asked for again, which the compare-and-set on the partition epoch makes harmless.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metadata::proto::control_request::Request;
use metadata::proto::control_response::Response;
use metadata::proto::{AlterPartitionItem, AlterPartitionRequest, IsrMember, PartitionId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use types::{ErrorCode, PartitionEpoch, PartitionIndex, TopicId, TopicIdPartition, Uuid};

use crate::controller_client::ControllerClient;
use crate::replica_manager::ReplicaManager;

/// Partitions of one request.
const REQUEST_PARTITIONS: usize = 1_000;
/// One request waits at most this.
const DEADLINE: Duration = Duration::from_secs(3);
/// Proposals whose outcome hasn't come are sent again this often.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until the broker stops.
pub(crate) async fn report_isr_changes(
    replicas: Arc<ReplicaManager>,
    controller: Arc<ControllerClient>,
    mut proposals: mpsc::Receiver<TopicIdPartition>,
) {
    // Those without an outcome, and when they are looked at: nothing waits here while nothing is proposed.
    let (mut waiting, mut again) = (BTreeSet::new(), Instant::now());
    loop {
        let mut due = BTreeSet::new();
        tokio::select! {
            id = proposals.recv() => match id {
                Some(id) => {
                    due.insert(id);
                }
                None => return,
            },
            () = sleep_until(again), if !waiting.is_empty() => {
                again = Instant::now() + RETRY;
                let proposes = |id: &TopicIdPartition| {
                    replicas.partition(*id).is_some_and(|partition| partition.pending_proposal().is_some())
                };
                waiting.retain(proposes);
                if replicas.host().proposals_overflowed.swap(false, Ordering::AcqRel) {
                    waiting.extend(replicas.partitions_with_proposals());
                }
                due.clone_from(&waiting);
                if due.is_empty() {
                    continue;
                }
            }
        }
        while due.len() < REQUEST_PARTITIONS {
            let Ok(id) = proposals.try_recv() else { break };
            due.insert(id);
        }
        if waiting.is_empty() {
            again = Instant::now() + RETRY;
        }
        waiting.extend(&due);
        send(&replicas, &controller, due).await;
    }
}

async fn send(replicas: &ReplicaManager, controller: &ControllerClient, due: BTreeSet<TopicIdPartition>) {
    let metrics = &replicas.host().metrics;
    let partitions: Vec<AlterPartitionItem> = due
        .into_iter()
        .filter_map(|id| {
            let proposal = replicas.partition(id)?.pending_proposal()?;
            let before = replicas
                .host()
                .image
                .load()
                .partition(id)
                .map_or(0, |committed| committed.isr.len());
            if proposal.new_isr.len() < before {
                metrics.isr_shrinks.inc();
            } else {
                metrics.isr_expands.inc();
            }
            Some(AlterPartitionItem {
                partition: Some(PartitionId {
                    topic_id: metadata::record::uuid_bytes(id.topic_id.0),
                    index: id.partition.0,
                }),
                leader_epoch: proposal.leader_epoch.0,
                partition_epoch: proposal.partition_epoch.0,
                new_isr: proposal
                    .new_isr
                    .iter()
                    .map(|(broker, epoch)| IsrMember {
                        broker_id: broker.0,
                        broker_epoch: epoch.0,
                    })
                    .collect(),
                recovering: false,
            })
        })
        .collect();
    if partitions.is_empty() {
        return;
    }
    let sent: Vec<(TopicIdPartition, PartitionEpoch)> = partitions
        .iter()
        .filter_map(|item| Some((id_of(item.partition.as_ref()?)?, PartitionEpoch(item.partition_epoch))))
        .collect();
    let request = AlterPartitionRequest {
        broker_id: replicas.host().local.0,
        broker_epoch: replicas.host().broker_epoch().0,
        partitions,
    };
    let response = match controller.request(Request::AlterPartition(request), DEADLINE).await {
        Ok(response) if response.error_code == 0 => response,
        Ok(response) => {
            tracing::debug!(
                code = response.error_code,
                message = response.error_message,
                "ISR changes refused"
            );
            return;
        }
        Err(error) => {
            tracing::debug!(%error, "ISR changes not answered");
            return;
        }
    };
    let Some(Response::AlterPartition(answers)) = response.response else {
        return;
    };
    for answer in answers.partitions {
        let code = ErrorCode::from_code(i16::try_from(answer.error_code).unwrap_or(-1));
        if code.is_none() {
            continue;
        }
        let Some(id) = answer.partition.as_ref().and_then(id_of) else {
            continue;
        };
        let Some((_, epoch)) = sent.iter().find(|(sent, _)| *sent == id) else {
            continue;
        };
        tracing::debug!(%id, %code, message = answer.error_message, "an ISR change was refused");
        // A controller that knows less than this broker can't bring the outcome: another one is asked.
        if code != ErrorCode::NotController
            && let Some(partition) = replicas.partition(id)
        {
            partition.on_proposal_refused(*epoch);
        }
    }
}

fn id_of(partition: &PartitionId) -> Option<TopicIdPartition> {
    let topic_id = <[u8; 16]>::try_from(partition.topic_id.as_ref()).ok()?;
    Some(TopicIdPartition {
        topic_id: TopicId(Uuid::from_bytes(topic_id)),
        partition: PartitionIndex(partition.index),
    })
}
