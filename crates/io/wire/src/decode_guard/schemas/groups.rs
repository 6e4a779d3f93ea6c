//! Requests of groups: membership, committed offsets, administration.
//!
//! Kafka's `OffsetCommitRequest.json`, `JoinGroupRequest.json` and so on, cut to the served versions. A member's
//! metadata and assignment are bytes whose format only the members know.

use super::super::schema::{
    Field, NEVER, Schema, boolean, bytes, int8, int32, int32s, int64, string, strings, structs, uuid,
};

const OFFSET_COMMIT_PARTITION: &[Field] = &[
    int32("partition_index"),
    int64("committed_offset"),
    int32("committed_leader_epoch").since(6),
    string("committed_metadata").nullable(),
];

const OFFSET_COMMIT_TOPIC: &[Field] = &[
    string("name").until(9),
    uuid("topic_id").since(10),
    structs("partitions", OFFSET_COMMIT_PARTITION),
];

/// `OffsetCommit`.
pub(super) static OFFSET_COMMIT: Schema = Schema::new(
    8,
    &[
        string("group_id"),
        int32("generation_id_or_member_epoch"),
        string("member_id"),
        string("group_instance_id").since(7).nullable(),
        int64("retention_time_ms").until(4),
        structs("topics", OFFSET_COMMIT_TOPIC),
    ],
);

const OFFSET_FETCH_TOPIC: &[Field] = &[string("name").until(7), int32s("partition_indexes").until(7)];

const OFFSET_FETCH_TOPICS: &[Field] = &[
    string("name").since(8).until(9),
    uuid("topic_id").since(10),
    int32s("partition_indexes").since(8),
];

const OFFSET_FETCH_GROUP: &[Field] = &[
    string("group_id").since(8),
    string("member_id").since(9).nullable(),
    int32("member_epoch").since(9),
    structs("topics", OFFSET_FETCH_TOPICS).since(8).nullable(),
];

/// `OffsetFetch`.
pub(super) static OFFSET_FETCH: Schema = Schema::new(
    6,
    &[
        string("group_id").until(7),
        structs("topics", OFFSET_FETCH_TOPIC).until(7).nullable_since(2),
        structs("groups", OFFSET_FETCH_GROUP).since(8),
        boolean("require_stable").since(7),
    ],
);

/// `FindCoordinator`.
pub(super) static FIND_COORDINATOR: Schema = Schema::new(
    3,
    &[
        string("key").until(3),
        int8("key_type").since(1),
        strings("coordinator_keys").since(4),
    ],
);

const JOIN_GROUP_PROTOCOL: &[Field] = &[string("name"), bytes("metadata")];

/// `JoinGroup`.
pub(super) static JOIN_GROUP: Schema = Schema::new(
    6,
    &[
        string("group_id"),
        int32("session_timeout_ms"),
        int32("rebalance_timeout_ms").since(1),
        string("member_id"),
        string("group_instance_id").since(5).nullable(),
        string("protocol_type"),
        structs("protocols", JOIN_GROUP_PROTOCOL),
        string("reason").since(8).nullable(),
    ],
);

/// `Heartbeat`.
pub(super) static HEARTBEAT: Schema = Schema::new(
    4,
    &[
        string("group_id"),
        int32("generation_id"),
        string("member_id"),
        string("group_instance_id").since(3).nullable(),
    ],
);

const LEAVE_GROUP_MEMBER: &[Field] = &[
    string("member_id").since(3),
    string("group_instance_id").since(3).nullable(),
    string("reason").since(5).nullable(),
];

/// `LeaveGroup`.
pub(super) static LEAVE_GROUP: Schema = Schema::new(
    4,
    &[
        string("group_id"),
        string("member_id").until(2),
        structs("members", LEAVE_GROUP_MEMBER).since(3),
    ],
);

const SYNC_GROUP_ASSIGNMENT: &[Field] = &[string("member_id"), bytes("assignment")];

/// `SyncGroup`.
pub(super) static SYNC_GROUP: Schema = Schema::new(
    4,
    &[
        string("group_id"),
        int32("generation_id"),
        string("member_id"),
        string("group_instance_id").since(3).nullable(),
        string("protocol_type").since(5).nullable(),
        string("protocol_name").since(5).nullable(),
        structs("assignments", SYNC_GROUP_ASSIGNMENT),
    ],
);

/// `DescribeGroups`.
pub(super) static DESCRIBE_GROUPS: Schema = Schema::new(
    5,
    &[strings("groups"), boolean("include_authorized_operations").since(3)],
);

/// `ListGroups`.
pub(super) static LIST_GROUPS: Schema = Schema::new(
    3,
    &[strings("states_filter").since(4), strings("types_filter").since(5)],
);

/// `DeleteGroups`.
pub(super) static DELETE_GROUPS: Schema = Schema::new(2, &[strings("groups_names")]);

const OFFSET_DELETE_PARTITION: &[Field] = &[int32("partition_index")];

const OFFSET_DELETE_TOPIC: &[Field] = &[string("name"), structs("partitions", OFFSET_DELETE_PARTITION)];

/// `OffsetDelete`.
pub(super) static OFFSET_DELETE: Schema =
    Schema::new(NEVER, &[string("group_id"), structs("topics", OFFSET_DELETE_TOPIC)]);

const OWNED_PARTITIONS: &[Field] = &[uuid("topic_id"), int32s("partitions")];

/// `ConsumerGroupHeartbeat`.
pub(super) static CONSUMER_GROUP_HEARTBEAT: Schema = Schema::new(
    0,
    &[
        string("group_id"),
        string("member_id"),
        int32("member_epoch"),
        string("instance_id").nullable(),
        string("rack_id").nullable(),
        int32("rebalance_timeout_ms"),
        strings("subscribed_topic_names").nullable(),
        string("subscribed_topic_regex").since(1).nullable(),
        string("server_assignor").nullable(),
        structs("topic_partitions", OWNED_PARTITIONS).nullable(),
    ],
);

/// `ConsumerGroupDescribe`.
pub(super) static CONSUMER_GROUP_DESCRIBE: Schema =
    Schema::new(0, &[strings("group_ids"), boolean("include_authorized_operations")]);
