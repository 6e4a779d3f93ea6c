//! Requests about records: produced, fetched, deleted, and the offsets between.
//!
//! Kafka's `ProduceRequest.json`, `FetchRequest.json` and so on, cut to the served versions. Records are plain bytes
//! here: what is in them is for the crate `records` to check.

use super::super::schema::{Field, Schema, bytes, int8, int16, int32, int32s, int64, string, structs, structure, uuid};

const PARTITION_PRODUCE_DATA: &[Field] = &[int32("index"), bytes("records").nullable()];

const TOPIC_PRODUCE_DATA: &[Field] = &[
    string("name").until(12),
    uuid("topic_id").since(13),
    structs("partition_data", PARTITION_PRODUCE_DATA),
];

/// `Produce`.
pub(super) static PRODUCE: Schema = Schema::new(
    9,
    &[
        string("transactional_id").nullable(),
        int16("acks"),
        int32("timeout_ms"),
        structs("topic_data", TOPIC_PRODUCE_DATA),
    ],
);

const FETCH_PARTITION: &[Field] = &[
    int32("partition"),
    int32("current_leader_epoch").since(9),
    int64("fetch_offset"),
    int32("last_fetched_epoch").since(12),
    int64("log_start_offset").since(5),
    int32("partition_max_bytes"),
    uuid("replica_directory_id").since(17).tagged(0),
    int64("high_watermark").since(18).tagged(1),
];

const FETCH_TOPIC: &[Field] = &[
    string("topic").until(12),
    uuid("topic_id").since(13),
    structs("partitions", FETCH_PARTITION),
];

const FORGOTTEN_TOPIC: &[Field] = &[
    string("topic").since(7).until(12),
    uuid("topic_id").since(13),
    int32s("partitions").since(7),
];

const REPLICA_STATE: &[Field] = &[int32("replica_id").since(15), int64("replica_epoch").since(15)];

/// `Fetch`.
pub(super) static FETCH: Schema = Schema::new(
    12,
    &[
        int32("replica_id").until(14),
        int32("max_wait_ms"),
        int32("min_bytes"),
        int32("max_bytes"),
        int8("isolation_level"),
        int32("session_id").since(7),
        int32("session_epoch").since(7),
        structs("topics", FETCH_TOPIC),
        structs("forgotten_topics_data", FORGOTTEN_TOPIC).since(7),
        string("rack_id").since(11),
        string("cluster_id").nullable().tagged(0),
        structure("replica_state", REPLICA_STATE).since(15).tagged(1),
    ],
);

const LIST_OFFSETS_PARTITION: &[Field] = &[
    int32("partition_index"),
    int32("current_leader_epoch").since(4),
    int64("timestamp"),
];

const LIST_OFFSETS_TOPIC: &[Field] = &[string("name"), structs("partitions", LIST_OFFSETS_PARTITION)];

/// `ListOffsets`.
pub(super) static LIST_OFFSETS: Schema = Schema::new(
    6,
    &[
        int32("replica_id"),
        int8("isolation_level").since(2),
        structs("topics", LIST_OFFSETS_TOPIC),
        int32("timeout_ms").since(10),
    ],
);

const DELETE_RECORDS_PARTITION: &[Field] = &[int32("partition_index"), int64("offset")];

const DELETE_RECORDS_TOPIC: &[Field] = &[string("name"), structs("partitions", DELETE_RECORDS_PARTITION)];

/// `DeleteRecords`.
pub(super) static DELETE_RECORDS: Schema =
    Schema::new(2, &[structs("topics", DELETE_RECORDS_TOPIC), int32("timeout_ms")]);

/// `InitProducerId`.
pub(super) static INIT_PRODUCER_ID: Schema = Schema::new(
    2,
    &[
        string("transactional_id").nullable(),
        int32("transaction_timeout_ms"),
        int64("producer_id").since(3),
        int16("producer_epoch").since(3),
    ],
);

const OFFSET_FOR_LEADER_PARTITION: &[Field] =
    &[int32("partition"), int32("current_leader_epoch"), int32("leader_epoch")];

const OFFSET_FOR_LEADER_TOPIC: &[Field] = &[string("topic"), structs("partitions", OFFSET_FOR_LEADER_PARTITION)];

/// `OffsetForLeaderEpoch`.
pub(super) static OFFSET_FOR_LEADER_EPOCH: Schema = Schema::new(
    4,
    &[int32("replica_id").since(3), structs("topics", OFFSET_FOR_LEADER_TOPIC)],
);

const DESCRIBE_PRODUCERS_TOPIC: &[Field] = &[string("name"), int32s("partition_indexes")];

/// `DescribeProducers`.
pub(super) static DESCRIBE_PRODUCERS: Schema = Schema::new(0, &[structs("topics", DESCRIBE_PRODUCERS_TOPIC)]);
