//! Requests about a node or the cluster as a whole, and about ACLs.
//!
//! Kafka's `ApiVersionsRequest.json`, `DescribeClusterRequest.json` and so on, cut to the served versions.
//! `ApiVersions` above them is never walked: it gets the fallback answer unread.

use super::super::schema::{Field, Schema, boolean, bytes, int8, int16, int32, int32s, string, structs, uuid};

/// `ApiVersions`.
pub(super) static API_VERSIONS: Schema = Schema::new(
    3,
    &[
        string("client_software_name").since(3),
        string("client_software_version").since(3),
        string("cluster_id").since(5).nullable(),
        int32("node_id").since(5),
    ],
);

/// `DescribeAcls`.
pub(super) static DESCRIBE_ACLS: Schema = Schema::new(
    2,
    &[
        int8("resource_type_filter"),
        string("resource_name_filter").nullable(),
        int8("pattern_type_filter"),
        string("principal_filter").nullable(),
        string("host_filter").nullable(),
        int8("operation"),
        int8("permission_type"),
    ],
);

const ACL_CREATION: &[Field] = &[
    int8("resource_type"),
    string("resource_name"),
    int8("resource_pattern_type"),
    string("principal"),
    string("host"),
    int8("operation"),
    int8("permission_type"),
];

/// `CreateAcls`.
pub(super) static CREATE_ACLS: Schema = Schema::new(2, &[structs("creations", ACL_CREATION)]);

const DELETE_ACLS_FILTER: &[Field] = &[
    int8("resource_type_filter"),
    string("resource_name_filter").nullable(),
    int8("pattern_type_filter"),
    string("principal_filter").nullable(),
    string("host_filter").nullable(),
    int8("operation"),
    int8("permission_type"),
];

/// `DeleteAcls`.
pub(super) static DELETE_ACLS: Schema = Schema::new(2, &[structs("filters", DELETE_ACLS_FILTER)]);

const ALTER_REPLICA_LOG_DIR_TOPIC: &[Field] = &[string("name"), int32s("partitions")];

const ALTER_REPLICA_LOG_DIR: &[Field] = &[string("path"), structs("topics", ALTER_REPLICA_LOG_DIR_TOPIC)];

/// `AlterReplicaLogDirs`.
pub(super) static ALTER_REPLICA_LOG_DIRS: Schema = Schema::new(2, &[structs("dirs", ALTER_REPLICA_LOG_DIR)]);

const DESCRIBABLE_LOG_DIR_TOPIC: &[Field] = &[string("topic"), int32s("partitions")];

/// `DescribeLogDirs`.
pub(super) static DESCRIBE_LOG_DIRS: Schema =
    Schema::new(2, &[structs("topics", DESCRIBABLE_LOG_DIR_TOPIC).nullable()]);

const DESCRIBE_QUORUM_PARTITION: &[Field] = &[int32("partition_index")];

const DESCRIBE_QUORUM_TOPIC: &[Field] = &[string("topic_name"), structs("partitions", DESCRIBE_QUORUM_PARTITION)];

/// `DescribeQuorum`.
pub(super) static DESCRIBE_QUORUM: Schema = Schema::new(0, &[structs("topics", DESCRIBE_QUORUM_TOPIC)]);

/// `DescribeCluster`.
pub(super) static DESCRIBE_CLUSTER: Schema = Schema::new(
    0,
    &[
        boolean("include_cluster_authorized_operations"),
        int8("endpoint_type").since(1),
        boolean("include_fenced_brokers").since(2),
    ],
);

/// `GetTelemetrySubscriptions`.
pub(super) static GET_TELEMETRY_SUBSCRIPTIONS: Schema = Schema::new(0, &[uuid("client_instance_id")]);

/// `PushTelemetry`.
pub(super) static PUSH_TELEMETRY: Schema = Schema::new(
    0,
    &[
        uuid("client_instance_id"),
        int32("subscription_id"),
        boolean("terminating"),
        int8("compression_type"),
        bytes("metrics"),
    ],
);

const FEATURE_UPDATE: &[Field] = &[
    string("feature"),
    int16("max_version_level"),
    boolean("allow_downgrade").until(0),
    int8("upgrade_type").since(1),
];

/// `UpdateFeatures`.
pub(super) static UPDATE_FEATURES: Schema = Schema::new(
    0,
    &[
        int32("timeout_ms"),
        structs("feature_updates", FEATURE_UPDATE),
        boolean("validate_only").since(1),
    ],
);

/// `UnregisterBroker`.
pub(super) static UNREGISTER_BROKER: Schema = Schema::new(0, &[int32("broker_id")]);

// The port is unsigned: two bytes all the same.
const ADD_RAFT_VOTER_LISTENER: &[Field] = &[string("name"), string("host"), int16("port")];

/// `AddRaftVoter`.
pub(super) static ADD_RAFT_VOTER: Schema = Schema::new(
    0,
    &[
        string("cluster_id").nullable(),
        int32("timeout_ms"),
        int32("voter_id"),
        uuid("voter_directory_id"),
        structs("listeners", ADD_RAFT_VOTER_LISTENER),
        boolean("ack_when_committed").since(1),
    ],
);

/// `RemoveRaftVoter`.
pub(super) static REMOVE_RAFT_VOTER: Schema = Schema::new(
    0,
    &[
        string("cluster_id").nullable(),
        int32("voter_id"),
        uuid("voter_directory_id"),
    ],
);
