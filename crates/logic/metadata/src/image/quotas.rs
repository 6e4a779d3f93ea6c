//! Client quotas as committed (KIP-546).

use std::collections::BTreeMap;

use super::MetadataImage;
use crate::proto::{self, MetadataRecord, QuotaEntityPart};
use crate::record::ReplayError;

/// Kafka's names of what a quota can be for.
pub const USER: &str = "user";
/// The client's own name.
pub const CLIENT_ID: &str = "client-id";
/// The address that a client connects from.
pub const IP: &str = "ip";

/// One part of an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityName {
    /// All that have no quota of their own.
    Default,
    /// The one of this name.
    Named(String),
}

/// What a quota is for. At least one part is there, and `ip` only alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity {
    /// The user.
    pub user: Option<EntityName>,
    /// The client id.
    pub client_id: Option<EntityName>,
    /// The address.
    pub ip: Option<EntityName>,
}

/// A limit; compared bit by bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaValue(u64);

impl QuotaValue {
    /// Of this size.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self(value.to_bits())
    }

    /// Its size.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// The limits of one entity, by key.
pub type QuotaMap = BTreeMap<String, QuotaValue>;

impl QuotaEntity {
    /// From its parts; `None` when there is none, one twice, or one of an unknown kind.
    #[must_use]
    pub fn from_parts(parts: &[QuotaEntityPart]) -> Option<Self> {
        let mut entity = Self::default();
        for part in parts {
            let place = match part.kind.as_str() {
                USER => &mut entity.user,
                CLIENT_ID => &mut entity.client_id,
                IP => &mut entity.ip,
                _ => return None,
            };
            let name = part.name.clone().map_or(EntityName::Default, EntityName::Named);
            if place.replace(name).is_some() {
                return None;
            }
        }
        (!parts.is_empty()).then_some(entity)
    }

    /// Kind and name of its parts; no name is the default.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let parts = [(USER, &self.user), (CLIENT_ID, &self.client_id), (IP, &self.ip)];
        parts.into_iter().filter_map(|(kind, name)| {
            let name = match name.as_ref()? {
                EntityName::Default => None,
                EntityName::Named(name) => Some(name.as_str()),
            };
            Some((kind, name))
        })
    }
}

impl MetadataImage {
    /// Every entity with its limits.
    pub fn client_quotas(&self) -> impl Iterator<Item = (&QuotaEntity, &QuotaMap)> {
        self.quotas.iter().map(|(entity, limits)| (entity, &**limits))
    }

    /// The limits of one entity.
    #[must_use]
    pub fn client_quota(&self, entity: &QuotaEntity) -> Option<&QuotaMap> {
        self.quotas.get(entity).map(|limits| &**limits)
    }

    /// Whether there is any.
    #[must_use]
    pub fn has_client_quotas(&self) -> bool {
        !self.quotas.is_empty()
    }

    pub(super) fn apply_client_quota(&mut self, record: &proto::ClientQuota) -> Result<(), ReplayError> {
        let entity = QuotaEntity::from_parts(&record.entity).ok_or(ReplayError::InvalidQuotaEntity)?;
        let mut limits = self
            .quotas
            .get(&entity)
            .map(|limits| QuotaMap::clone(limits))
            .unwrap_or_default();
        match record.value {
            Some(value) => limits.insert(record.key.clone(), QuotaValue::new(value)),
            None => limits.remove(&record.key),
        };
        if limits.is_empty() {
            self.quotas.remove(&entity);
        } else {
            self.quotas.insert(entity, limits.into());
        }
        Ok(())
    }
}

/// The record that sets a limit, or removes it.
pub(crate) fn quota_record(entity: &QuotaEntity, key: &str, value: Option<f64>) -> MetadataRecord {
    let parts = entity.parts().map(|(kind, name)| QuotaEntityPart {
        kind: kind.to_owned(),
        name: name.map(str::to_owned),
    });
    proto::ClientQuota {
        entity: parts.collect(),
        key: key.to_owned(),
        value,
    }
    .into()
}
