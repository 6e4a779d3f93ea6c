//! Requests about configs.
//!
//! Kafka's `DescribeConfigsRequest.json` and the two that alter configs, cut to the served versions. The two have
//! structures of the same names in Kafka, but not the same fields.

use super::super::schema::{Field, Schema, boolean, int8, int8s, int64, string, strings, structs};

const DESCRIBE_CONFIGS_RESOURCE: &[Field] = &[
    int8("resource_type"),
    string("resource_name"),
    strings("configuration_keys").nullable(),
];

/// `DescribeConfigs`.
pub(super) static DESCRIBE_CONFIGS: Schema = Schema::new(
    4,
    &[
        structs("resources", DESCRIBE_CONFIGS_RESOURCE),
        boolean("include_synonyms"),
        boolean("include_documentation").since(3),
    ],
);

const ALTERABLE_CONFIG: &[Field] = &[string("name"), string("value").nullable()];

const ALTER_CONFIGS_RESOURCE: &[Field] = &[
    int8("resource_type"),
    string("resource_name"),
    structs("configs", ALTERABLE_CONFIG),
];

/// `AlterConfigs`.
pub(super) static ALTER_CONFIGS: Schema = Schema::new(
    2,
    &[structs("resources", ALTER_CONFIGS_RESOURCE), boolean("validate_only")],
);

const INCREMENTAL_CONFIG: &[Field] = &[string("name"), int8("config_operation"), string("value").nullable()];

const INCREMENTAL_RESOURCE: &[Field] = &[
    int8("resource_type"),
    string("resource_name"),
    structs("configs", INCREMENTAL_CONFIG),
];

/// `IncrementalAlterConfigs`.
pub(super) static INCREMENTAL_ALTER_CONFIGS: Schema = Schema::new(
    1,
    &[structs("resources", INCREMENTAL_RESOURCE), boolean("validate_only")],
);

/// `ListConfigResources`.
pub(super) static LIST_CONFIG_RESOURCES: Schema = Schema::new(0, &[int8s("resource_types").since(1)]);

const QUOTA_FILTER: &[Field] = &[string("entity_type"), int8("match_type"), string("match").nullable()];

/// `DescribeClientQuotas`.
pub(super) static DESCRIBE_CLIENT_QUOTAS: Schema =
    Schema::new(1, &[structs("components", QUOTA_FILTER), boolean("strict")]);

const QUOTA_ENTITY: &[Field] = &[string("entity_type"), string("entity_name").nullable()];

// The value is a floating point number: eight bytes all the same.
const QUOTA_OPERATION: &[Field] = &[string("key"), int64("value"), boolean("remove")];

const QUOTA_CHANGE: &[Field] = &[structs("entity", QUOTA_ENTITY), structs("ops", QUOTA_OPERATION)];

/// `AlterClientQuotas`.
pub(super) static ALTER_CLIENT_QUOTAS: Schema =
    Schema::new(1, &[structs("entries", QUOTA_CHANGE), boolean("validate_only")]);
