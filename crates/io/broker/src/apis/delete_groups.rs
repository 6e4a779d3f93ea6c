//! DeleteGroups (42): groups without members, with their offsets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use coordinator::Answer;
use futures::future::join_all;
use types::{ErrorCode, PartitionIndex};
use wire::messages::delete_groups_response::DeletableGroupResult;
use wire::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

use super::exchange::{Handled, decode, respond};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DeleteGroupsRequest = decode(&header, request.body)?;
    let mut outcomes: HashMap<String, ErrorCode> = HashMap::new();
    let mut by_partition: BTreeMap<PartitionIndex, Vec<String>> = BTreeMap::new();
    let mut seen = HashSet::new();
    let named: Vec<GroupId> = body
        .groups_names
        .into_iter()
        .filter(|group| seen.insert(group.clone()))
        .collect();
    for group in &named {
        match broker.groups.partition_of(&group.0) {
            Ok(partition) => by_partition.entry(partition).or_default().push(group.0.to_string()),
            Err(error) => {
                outcomes.insert(group.0.to_string(), error);
            }
        }
    }
    let asked = by_partition
        .into_iter()
        .map(|(partition, groups)| delete(&broker, partition, groups));
    outcomes.extend(join_all(asked).await.into_iter().flatten());
    let results = named.into_iter().map(|group| {
        let error = outcomes
            .get(group.0.as_str())
            .copied()
            .unwrap_or(ErrorCode::UnknownServerError);
        DeletableGroupResult::default()
            .with_group_id(group)
            .with_error_code(error.code())
    });
    respond(
        &header,
        &DeleteGroupsResponse::default().with_results(results.collect()),
    )
}

async fn delete(broker: &BrokerContext, partition: PartitionIndex, groups: Vec<String>) -> Vec<(String, ErrorCode)> {
    let answer = broker
        .groups
        .ask_partition(partition, GroupRequest::DeleteGroups(groups.clone()))
        .await;
    let error = match answer {
        Ok(Answer::DeleteGroups(answer)) => return answer.results,
        Ok(_) => ErrorCode::UnknownServerError,
        Err(error) => error,
    };
    groups.into_iter().map(|group| (group, error)).collect()
}
