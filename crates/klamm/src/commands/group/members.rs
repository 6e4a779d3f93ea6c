//! Who is in a group, and what each member has: of either protocol.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::{Buf as _, Bytes};
use serde::Serialize;
use wire::messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId};
use wire::protocol::StrBytes;

use super::list::ListedGroup;
use crate::commands::brokers::Brokers;
use crate::commands::error_advice::refusal;

/// A member.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupMember {
    pub(crate) member: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    /// By topic.
    pub(crate) partitions: BTreeMap<String, Vec<i32>>,
}

/// The members of a group, as its coordinator knows them.
pub(crate) async fn members_of(brokers: &mut Brokers, group: &ListedGroup) -> Result<Vec<GroupMember>> {
    let id = GroupId(StrBytes::from_string(group.group.clone()));
    let what = format!("describing group {}", group.group);
    if group.kind == "consumer" {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![id]);
        let response = brokers.call(group.coordinator, &request).await?;
        let mut members = Vec::new();
        for group in response.groups {
            if let Some(error) = refusal(&what, group.error_code, group.error_message.as_deref()) {
                return Err(error);
            }
            members.extend(group.members.into_iter().map(|member| {
                let topics = member.assignment.topic_partitions.into_iter();
                GroupMember {
                    member: member.member_id.to_string(),
                    instance: member.instance_id.map(|id| id.to_string()),
                    client: member.client_id.to_string(),
                    host: member.client_host.to_string(),
                    partitions: topics
                        .map(|topic| (topic.topic_name.to_string(), topic.partitions))
                        .collect(),
                }
            }));
        }
        return Ok(members);
    }
    let is_consumer = group.protocol == "consumer";
    let request = DescribeGroupsRequest::default().with_groups(vec![id]);
    let response = brokers.call(group.coordinator, &request).await?;
    let mut members = Vec::new();
    for group in response.groups {
        if let Some(error) = refusal(&what, group.error_code, group.error_message.as_deref()) {
            return Err(error);
        }
        members.extend(group.members.into_iter().map(|member| GroupMember {
            member: member.member_id.to_string(),
            instance: member.group_instance_id.map(|id| id.to_string()),
            client: member.client_id.to_string(),
            host: member.client_host.to_string(),
            partitions: if is_consumer {
                classic_assignment(member.member_assignment)
            } else {
                BTreeMap::new()
            },
        }));
    }
    Ok(members)
}

/// What a consumer of the classic protocol was given (`ConsumerProtocolAssignment`). The bytes are the group's leader's own: nothing is
/// believed of them.
pub(crate) fn classic_assignment(mut bytes: Bytes) -> BTreeMap<String, Vec<i32>> {
    let mut read = || {
        let _version = bytes.try_get_i16().ok()?;
        let mut topics = BTreeMap::new();
        for _ in 0..bytes.try_get_i32().ok()? {
            let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
            if bytes.len() < length {
                return None;
            }
            let name = String::from_utf8(bytes.split_to(length).to_vec()).ok()?;
            let mut partitions = Vec::new();
            for _ in 0..bytes.try_get_i32().ok()? {
                partitions.push(bytes.try_get_i32().ok()?);
            }
            topics.insert(name, partitions);
        }
        Some(topics)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_nonsense_is_none() {
        let good = b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x03\xff\xff\xff\xff";
        let expected = BTreeMap::from([("t".to_owned(), vec![0, 3])]);
        assert_eq!(classic_assignment(Bytes::from_static(good)), expected);
        for bad in [&b""[..], b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\x01\x7f\xff", b"hello"] {
            assert!(classic_assignment(Bytes::copy_from_slice(bad)).is_empty());
        }
    }
}
