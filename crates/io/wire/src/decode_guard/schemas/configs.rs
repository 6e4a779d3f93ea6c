//! Requests about configs.
//!
//! Kafka's `DescribeConfigsRequest.json` and the two that alter configs, cut to the served versions. The two have
//! structures of the same names in Kafka, but not the same fields.

use super::super::schema::{Field, Schema, boolean, int8, int8s, string, strings, structs};

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
