//! A group as Kafka's admin client describes it: by ConsumerGroupDescribe if it is of the new protocol, else by
//! DescribeGroups.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use types::ErrorCode;
use wire::messages::consumer_group_describe_response::{Assignment, Member as ConsumerMember};
use wire::messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId};
use wire::protocol::StrBytes;

use super::{print_error, wrapped};
use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;
use crate::commands::group::{classic_assignment, coordinator_of};
use crate::commands::output::note;

/// What a member has, by topic.
pub(super) type Partitions = BTreeMap<String, Vec<i32>>;

/// A group with its members.
#[derive(Debug)]
pub(super) struct DescribedGroup {
    pub(super) group: String,
    pub(super) coordinator: i32,
    pub(super) state: String,
    pub(super) assignor: String,
    pub(super) members: Vec<Member>,
    /// Only of the new protocol.
    pub(super) group_epoch: Option<i32>,
    pub(super) target_epoch: Option<i32>,
}

/// A member.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) client: String,
    pub(super) host: String,
    pub(super) assignment: Partitions,
    pub(super) target: Partitions,
    /// Only of the new protocol.
    pub(super) epoch: Option<i32>,
    /// Whether it speaks the new protocol, where both may be in a group.
    pub(super) upgraded: Option<bool>,
}

impl Member {
    pub(super) fn partition_count(&self) -> usize {
        self.assignment.values().map(Vec::len).sum()
    }
}

/// Describes one group. The error of one that isn't there is Kafka's.
pub(super) async fn described(brokers: &mut Brokers, group: &str) -> Result<DescribedGroup> {
    let coordinator = coordinator_of(brokers, group).await.map_err(wrapped)?;
    if let Some(found) = by_consumer_protocol(brokers, coordinator, group).await? {
        return Ok(found);
    }
    let id = GroupId(StrBytes::from_string(group.to_owned()));
    let request = DescribeGroupsRequest::default().with_groups(vec![id]);
    let response = brokers.call(coordinator, &request).await?;
    let found = response.groups.into_iter().next();
    let found = found.ok_or_else(|| anyhow!("nothing was said of group {group}"))?;
    let what = format!("describing group {group}");
    if let Some(error) = refusal(&what, found.error_code, found.error_message.as_deref()) {
        return Err(wrapped(error));
    }
    if !matches!(found.protocol_type.as_str(), "" | "consumer") {
        bail!(
            "java.lang.IllegalArgumentException: GroupId {group} is not a consumer group ({}).",
            found.protocol_type.as_str()
        );
    }
    let members = found.members.into_iter().map(|member| Member {
        id: member.member_id.to_string(),
        instance: member.group_instance_id.map(|id| id.to_string()),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assignment: classic_assignment(member.member_assignment),
        ..Member::default()
    });
    Ok(DescribedGroup {
        group: group.to_owned(),
        coordinator,
        state: found.group_state.to_string(),
        assignor: found.protocol_data.to_string(),
        members: members.collect(),
        group_epoch: None,
        target_epoch: None,
    })
}

async fn by_consumer_protocol(brokers: &mut Brokers, coordinator: i32, group: &str) -> Result<Option<DescribedGroup>> {
    if brokers
        .version_of::<ConsumerGroupDescribeRequest>(coordinator)
        .await?
        .is_none()
    {
        return Ok(None);
    }
    let id = GroupId(StrBytes::from_string(group.to_owned()));
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![id]);
    let response = brokers.call(coordinator, &request).await?;
    let found = response.groups.into_iter().next();
    let found = found.ok_or_else(|| anyhow!("nothing was said of group {group}"))?;
    let code = found.error_code;
    if code == ErrorCode::GroupIdNotFound.code() || code == ErrorCode::UnsupportedVersion.code() {
        return Ok(None);
    }
    let what = format!("describing group {group}");
    if let Some(error) = refusal(&what, code, found.error_message.as_deref()) {
        return Err(wrapped(error));
    }
    Ok(Some(DescribedGroup {
        group: group.to_owned(),
        coordinator,
        state: found.group_state.to_string(),
        assignor: found.assignor_name.to_string(),
        members: found.members.into_iter().map(member).collect(),
        group_epoch: Some(found.group_epoch),
        target_epoch: Some(found.assignment_epoch),
    }))
}

fn member(member: ConsumerMember) -> Member {
    let partitions = |assignment: Assignment| {
        let topics = assignment.topic_partitions.into_iter();
        topics
            .map(|topic| (topic.topic_name.to_string(), topic.partitions))
            .collect()
    };
    Member {
        id: member.member_id.to_string(),
        instance: member.instance_id.map(|id| id.to_string()),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assignment: partitions(member.assignment),
        target: partitions(member.target_assignment),
        epoch: Some(member.member_epoch),
        upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// Says what is to be said of the group's state, and tells whether its rows shall be printed.
pub(super) fn announce(group: &DescribedGroup, rows: usize) -> Result<bool> {
    let name = &group.group;
    match group.state.as_str() {
        "Dead" => print_error(&format!("Consumer group '{name}' does not exist."))?,
        "Empty" => note(&format!("\nConsumer group '{name}' has no active members.")),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            note(&format!("\nWarning: Consumer group '{name}' is rebalancing."));
        }
        "Stable" => {}
        other => bail!("Expected a valid consumer group state, but found '{other}'."),
    }
    Ok(group.state != "Dead" && rows > 0)
}
