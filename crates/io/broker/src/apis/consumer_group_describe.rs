//! ConsumerGroupDescribe (69, KIP-848).

use std::sync::Arc;

use coordinator::record::Assignment;
use coordinator::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedConsumer};
use futures::future::join_all;
use metadata::MetadataImage;
use types::ErrorCode;
use wire::messages::consumer_group_describe_response::{
    Assignment as WireAssignment, DescribedGroup, Member, TopicPartitions,
};
use wire::messages::{self, GroupId};

use super::authorized_operations::{GROUP, NOT_ASKED};
use super::exchange::{Handled, decode, respond, text, wire_topic};
use super::group_answers::{ask, check_group_id, pick, wire_group, wire_text};
use crate::context::{ApiRequest, BrokerContext};
use crate::coordinator::GroupRequest;

const FIRST_VERSION_WITH_MEMBER_TYPE: i16 = 1;
/// The member types of v1.
const CONSUMER: i8 = 1;
const CLASSIC: i8 = 0;
/// Before v1.
const UNKNOWN: i8 = -1;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: messages::ConsumerGroupDescribeRequest = decode(&header, request.body)?;
    let described = body.group_ids.iter().map(|group| describe(&broker, group));
    let operations = body.include_authorized_operations;
    let image = broker.replicas.host().image.load_full();
    let groups = join_all(described).await.into_iter().zip(&body.group_ids);
    let groups = groups.map(|(answer, group)| match answer {
        Ok(answer) => shown(answer, &image, header.api_version, operations),
        Err(error) => DescribedGroup::default()
            .with_group_id(group.clone())
            .with_error_code(error.code()),
    });
    let response = messages::ConsumerGroupDescribeResponse::default().with_groups(groups.collect());
    respond(&header, &response)
}

async fn describe(broker: &BrokerContext, group: &GroupId) -> Result<ConsumerGroupDescribeResponse, ErrorCode> {
    check_group_id(group)?;
    let asked = ConsumerGroupDescribeRequest {
        group_id: group.0.to_string(),
    };
    let request = GroupRequest::ConsumerGroupDescribe(asked);
    ask(broker, &group.0, request, pick!(ConsumerGroupDescribe)).await
}

fn shown(
    answer: ConsumerGroupDescribeResponse,
    image: &MetadataImage,
    version: i16,
    operations: bool,
) -> DescribedGroup {
    let group = DescribedGroup::default()
        .with_group_id(wire_group(&answer.group_id))
        .with_error_code(answer.error.code())
        .with_error_message(wire_text(answer.message.as_deref()));
    if !answer.error.is_none() {
        return group.with_authorized_operations(NOT_ASKED);
    }
    let members = answer.members.iter().map(|member| shown_member(member, image, version));
    group
        .with_authorized_operations(if operations { GROUP } else { NOT_ASKED })
        .with_group_state(text(answer.state.name()))
        .with_group_epoch(answer.epoch)
        .with_assignment_epoch(answer.target_epoch)
        .with_assignor_name(text(&answer.assignor))
        .with_members(members.collect())
}

fn shown_member(member: &DescribedConsumer, image: &MetadataImage, version: i16) -> Member {
    let wants = &member.subscription;
    let kind = match &wants.classic {
        _ if version < FIRST_VERSION_WITH_MEMBER_TYPE => UNKNOWN,
        Some(_) => CLASSIC,
        None => CONSUMER,
    };
    Member::default()
        .with_member_id(text(&member.member_id))
        .with_instance_id(wire_text(wants.instance_id.as_deref()))
        .with_rack_id(wire_text(wants.rack_id.as_deref()))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&wants.client_id))
        .with_client_host(text(&wants.client_host))
        .with_subscribed_topic_names(wants.topics.iter().map(wire_topic).collect())
        .with_subscribed_topic_regex(Some(text(wants.pattern.as_deref().unwrap_or_default())))
        .with_assignment(wire_assignment(&member.assigned, image))
        .with_target_assignment(wire_assignment(&member.target, image))
        .with_member_type(kind)
}

/// Topics that are gone have no name to be shown by.
fn wire_assignment(assignment: &Assignment, image: &MetadataImage) -> WireAssignment {
    let topics = assignment.iter().filter_map(|(topic, partitions)| {
        let name = &image.topic_by_id(*topic)?.name;
        let shown = TopicPartitions::default()
            .with_topic_id(topic.0)
            .with_topic_name(wire_topic(name))
            .with_partitions(partitions.iter().map(|partition| partition.0).collect());
        Some(shown)
    });
    WireAssignment::default().with_topic_partitions(topics.collect())
}
