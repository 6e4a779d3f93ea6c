//! Requests about topics and partitions: looked up, created, deleted, their leaders and replicas.
//!
//! Kafka's `MetadataRequest.json`, `CreateTopicsRequest.json` and so on, cut to the served versions. An array that is
//! null mostly means "all", an empty one "none", so where null is allowed matters.

use super::super::schema::{
    Field, Schema, boolean, int8, int16, int32, int32s, string, strings, structs, structure, uuid,
};

const METADATA_TOPIC: &[Field] = &[uuid("topic_id").since(10), string("name").nullable_since(10)];

/// `Metadata`.
pub(super) static METADATA: Schema = Schema::new(
    9,
    &[
        structs("topics", METADATA_TOPIC).nullable_since(1),
        boolean("allow_auto_topic_creation").since(4),
        boolean("include_cluster_authorized_operations").since(8).until(10),
        boolean("include_topic_authorized_operations").since(8),
    ],
);

const CREATABLE_REPLICA_ASSIGNMENT: &[Field] = &[int32("partition_index"), int32s("broker_ids")];

const CREATABLE_TOPIC_CONFIG: &[Field] = &[string("name"), string("value").nullable()];

const CREATABLE_TOPIC: &[Field] = &[
    string("name"),
    int32("num_partitions"),
    int16("replication_factor"),
    structs("assignments", CREATABLE_REPLICA_ASSIGNMENT),
    structs("configs", CREATABLE_TOPIC_CONFIG),
];

/// `CreateTopics`.
pub(super) static CREATE_TOPICS: Schema = Schema::new(
    5,
    &[
        structs("topics", CREATABLE_TOPIC),
        int32("timeout_ms"),
        boolean("validate_only"),
    ],
);

const DELETE_TOPICS_TOPIC: &[Field] = &[string("name").since(6).nullable(), uuid("topic_id").since(6)];

/// `DeleteTopics`.
pub(super) static DELETE_TOPICS: Schema = Schema::new(
    4,
    &[
        structs("topics", DELETE_TOPICS_TOPIC).since(6),
        strings("topic_names").until(5),
        int32("timeout_ms"),
    ],
);

const CREATE_PARTITIONS_ASSIGNMENT: &[Field] = &[int32s("broker_ids")];

const CREATE_PARTITIONS_TOPIC: &[Field] = &[
    string("name"),
    int32("count"),
    structs("assignments", CREATE_PARTITIONS_ASSIGNMENT).nullable(),
];

/// `CreatePartitions`.
pub(super) static CREATE_PARTITIONS: Schema = Schema::new(
    2,
    &[
        structs("topics", CREATE_PARTITIONS_TOPIC),
        int32("timeout_ms"),
        boolean("validate_only"),
    ],
);

const ELECT_LEADERS_TOPIC: &[Field] = &[string("topic"), int32s("partitions")];

/// `ElectLeaders`.
pub(super) static ELECT_LEADERS: Schema = Schema::new(
    2,
    &[
        int8("election_type").since(1),
        structs("topic_partitions", ELECT_LEADERS_TOPIC).nullable(),
        int32("timeout_ms"),
    ],
);

const REASSIGNABLE_PARTITION: &[Field] = &[int32("partition_index"), int32s("replicas").nullable()];

const REASSIGNABLE_TOPIC: &[Field] = &[string("name"), structs("partitions", REASSIGNABLE_PARTITION)];

/// `AlterPartitionReassignments`.
pub(super) static ALTER_PARTITION_REASSIGNMENTS: Schema = Schema::new(
    0,
    &[
        int32("timeout_ms"),
        boolean("allow_replication_factor_change").since(1),
        structs("topics", REASSIGNABLE_TOPIC),
    ],
);

const LIST_PARTITION_REASSIGNMENTS_TOPIC: &[Field] = &[string("name"), int32s("partition_indexes")];

/// `ListPartitionReassignments`.
pub(super) static LIST_PARTITION_REASSIGNMENTS: Schema = Schema::new(
    0,
    &[
        int32("timeout_ms"),
        structs("topics", LIST_PARTITION_REASSIGNMENTS_TOPIC).nullable(),
    ],
);

const DESCRIBE_TOPIC_PARTITIONS_TOPIC: &[Field] = &[string("name")];

const DESCRIBE_TOPIC_PARTITIONS_CURSOR: &[Field] = &[string("topic_name"), int32("partition_index")];

/// `DescribeTopicPartitions`.
pub(super) static DESCRIBE_TOPIC_PARTITIONS: Schema = Schema::new(
    0,
    &[
        structs("topics", DESCRIBE_TOPIC_PARTITIONS_TOPIC),
        int32("response_partition_limit"),
        structure("cursor", DESCRIBE_TOPIC_PARTITIONS_CURSOR).nullable(),
    ],
);
