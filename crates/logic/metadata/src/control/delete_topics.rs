//! Topics are deleted, by name or by id (KIP-516). Brokers delete the directories of the id, so that a topic made
//! anew under the name never meets old data.

use std::collections::BTreeMap;

use thiserror::Error;
use types::{ErrorCode, TopicId};

use super::{ControlContext, Decision, QuotaUsedUp};
use crate::image::MetadataImage;
use crate::proto::{DeleteTopicItem, DeleteTopicResult, DeleteTopicsRequest, DeleteTopicsResponse, RemoveTopic};
use crate::record::{uuid_bytes, uuid_from};

/// Why a topic isn't deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeleteTopicError {
    /// No topic of that name.
    #[error("no topic of that name")]
    UnknownName,
    /// No topic of that id.
    #[error("no topic of that id")]
    UnknownId,
    /// Neither a name nor an id, or both, or the same topic twice.
    #[error("{0}")]
    Invalid(&'static str),
    /// The client's quota is used up.
    #[error(transparent)]
    QuotaUsedUp(#[from] QuotaUsedUp),
}

impl DeleteTopicError {
    /// Kafka's code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownName => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownId => ErrorCode::UnknownTopicId,
            Self::Invalid(_) => ErrorCode::InvalidRequest,
            Self::QuotaUsedUp(_) => ErrorCode::ThrottlingQuotaExceeded,
        }
    }
}

/// Decides on deletions, each topic for itself.
pub fn delete_topics(
    image: &MetadataImage,
    request: &DeleteTopicsRequest,
    context: &mut ControlContext<'_>,
) -> Decision<DeleteTopicsResponse> {
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let found: Vec<_> = request.topics.iter().map(|item| find(image, item)).collect();
    let mut times: BTreeMap<TopicId, usize> = BTreeMap::new();
    for id in found.iter().flatten() {
        *times.entry(*id).or_default() += 1;
    }
    for (item, found) in request.topics.iter().zip(found) {
        let decided = found.and_then(|id| {
            // As in Kafka: who names a topic twice, by name and by id, may have meant two, and loses neither.
            if times.get(&id).is_some_and(|times| *times > 1) {
                let message = "The provided topic name maps to an ID that was already supplied.";
                return Err(DeleteTopicError::Invalid(message));
            }
            let partitions = image.topic_by_id(id).map_or(0, |topic| topic.partition_count());
            context.charge(image, usize::try_from(partitions).unwrap_or(0))?;
            Ok(())
        });
        let error = decided.err();
        let mut result = DeleteTopicResult {
            name: item.name.clone(),
            topic_id: item.topic_id.clone(),
            error_code: error.map_or(0, |error| error.code().code().into()),
            error_message: error.map(|error| error.to_string()).unwrap_or_default(),
        };
        if let Ok(id) = found {
            result.topic_id = uuid_bytes(id.0);
            result.name = image
                .topic_by_id(id)
                .map(|topic| topic.name.as_str().to_owned())
                .unwrap_or_default();
            if decided.is_ok() {
                let topic_id = uuid_bytes(id.0);
                records.push(RemoveTopic { topic_id }.into());
            }
        }
        topics.push(result);
    }
    Decision {
        records,
        response: DeleteTopicsResponse { topics },
    }
}

fn find(image: &MetadataImage, item: &DeleteTopicItem) -> Result<TopicId, DeleteTopicError> {
    match (item.name.is_empty(), item.topic_id.is_empty()) {
        (false, true) => image
            .topic(&item.name)
            .map(|topic| topic.id)
            .ok_or(DeleteTopicError::UnknownName),
        (true, false) => uuid_from(&item.topic_id)
            .ok()
            .and_then(|id| image.topic_by_id(TopicId(id)))
            .map(|topic| topic.id)
            .ok_or(DeleteTopicError::UnknownId),
        (true, true) => Err(DeleteTopicError::Invalid("neither topic name nor id were specified")),
        (false, false) => Err(DeleteTopicError::Invalid("topic name and id were both specified")),
    }
}
