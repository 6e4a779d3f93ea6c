//! Changes of client quotas (KIP-546), each entity for itself. Whether an address is one was checked by the broker that asks.

use std::collections::BTreeSet;

use thiserror::Error;
use types::ErrorCode;

use super::Decision;
use crate::image::{MetadataImage, QuotaEntity, QuotaMap, quota_record};
use crate::proto::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, ClientQuotaChange, ClientQuotaOperation, ClientQuotaResult,
    MetadataRecord,
};

/// Limits of users and client ids; of those that take whole numbers only, the largest, which many set who mean none.
const CLIENT_KEYS: [(&str, Option<f64>); 4] = [
    ("producer_byte_rate", Some(LONG_MAX)),
    ("consumer_byte_rate", Some(LONG_MAX)),
    ("request_percentage", None),
    ("controller_mutation_rate", None),
];
/// Limits of addresses.
const IP_KEYS: [(&str, Option<f64>); 1] = [("connection_creation_rate", Some(INT_MAX))];
/// Kafka's longs, as it compares them: `Long.MAX_VALUE`, which is the default of rates, is this number when it is a double.
const LONG_MAX: f64 = 9_223_372_036_854_775_808.0;
const INT_MAX: f64 = 2_147_483_647.0;
/// What a number may be off to be whole, as in Kafka.
const FRACTION: f64 = 1e-6;
/// Kafka's records hold no longer text.
const MAX_NAME_BYTES: usize = 32_767;

/// Why an entity's limits aren't changed; all of these are `INVALID_REQUEST`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlterClientQuotasError {
    /// No part, one twice, an unknown kind, or an address with another part.
    #[error("Invalid client quota entity")]
    InvalidEntity,
    /// An empty name, or one that is too long.
    #[error("Empty or too long name in a client quota entity")]
    InvalidName,
    /// An entity that was changed by an earlier entry, or a limit that is named twice.
    #[error("Ignoring a duplicate entity")]
    Twice,
    /// Not a limit of this kind of entity.
    #[error("Invalid configuration key {0}")]
    InvalidKey(String),
    /// Not a number that the key takes.
    #[error("{key} cannot be {value}")]
    InvalidValue {
        /// The key.
        key: String,
        /// What it was to be.
        value: String,
    },
}

/// Decides on changes of limits. With `validate_only` the answer is the same, without records.
pub fn alter_client_quotas(
    image: &MetadataImage,
    request: &AlterClientQuotasRequest,
) -> Decision<AlterClientQuotasResponse> {
    let mut records = Vec::new();
    let mut entries = Vec::with_capacity(request.entries.len());
    let mut seen = BTreeSet::new();
    for change in &request.entries {
        let mut keys = BTreeSet::new();
        let once = change
            .operations
            .iter()
            .all(|operation| keys.insert(operation.key.as_str()));
        let entity = QuotaEntity::from_parts(&change.entity);
        let once = once && entity.is_none_or(|entity| seen.insert(entity));
        let decided = if once {
            alter(image, change)
        } else {
            Err(AlterClientQuotasError::Twice)
        };
        let error = decided.as_ref().err();
        entries.push(ClientQuotaResult {
            error_code: error.map_or(0, |_| ErrorCode::InvalidRequest.code().into()),
            error_message: error.map(ToString::to_string).unwrap_or_default(),
        });
        records.extend(decided.unwrap_or_default());
    }
    if request.validate_only {
        records.clear();
    }
    Decision {
        records,
        response: AlterClientQuotasResponse { entries },
    }
}

fn alter(image: &MetadataImage, change: &ClientQuotaChange) -> Result<Vec<MetadataRecord>, AlterClientQuotasError> {
    let entity = QuotaEntity::from_parts(&change.entity).ok_or(AlterClientQuotasError::InvalidEntity)?;
    for (_, name) in entity.parts() {
        if name.is_some_and(|name| name.is_empty() || name.len() > MAX_NAME_BYTES) {
            return Err(AlterClientQuotasError::InvalidName);
        }
    }
    let keys: &[(&str, Option<f64>)] = match &entity.ip {
        None => &CLIENT_KEYS,
        Some(_) if entity.user.is_some() || entity.client_id.is_some() => {
            return Err(AlterClientQuotasError::InvalidEntity);
        }
        Some(_) => &IP_KEYS,
    };
    let before = image.client_quota(&entity);
    let mut records = Vec::new();
    for ClientQuotaOperation { key, value } in &change.operations {
        // Kafka takes away what it doesn't know, too.
        if let Some(value) = value {
            let known = keys.iter().find(|(name, _)| name == key);
            let (_, largest) = known.ok_or_else(|| AlterClientQuotasError::InvalidKey(key.clone()))?;
            let fits = |largest: &f64| value <= largest && (value - value.round()).abs() <= FRACTION;
            if !value.is_finite() || *value <= 0.0 || !largest.as_ref().is_none_or(fits) {
                return Err(AlterClientQuotasError::InvalidValue {
                    key: key.clone(),
                    value: value.to_string(),
                });
            }
        }
        let present = before
            .and_then(|limits: &QuotaMap| limits.get(key))
            .map(|value| value.get());
        if present.map(f64::to_bits) != value.map(f64::to_bits) {
            records.push(quota_record(&entity, key, *value));
        }
    }
    Ok(records)
}
