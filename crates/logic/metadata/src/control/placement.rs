//! Which brokers get the replicas of new partitions.
//!
//! In the spirit of Kafka's StripedReplicaPlacer: a partition's replicas lie in as many racks as possible, leaders
//! and replicas are spread evenly over the brokers, ties are broken at random, and fenced or stopping brokers are
//! taken only when the others aren't enough. Never two replicas of a partition on one broker.

use std::collections::BTreeMap;

use thiserror::Error;
use types::{BrokerId, ErrorCode};

use super::Refusal;
use crate::image::MetadataImage;

/// Why partitions can't be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// A replication factor below one.
    #[error("replication factor must be larger than 0")]
    NotPositive,
    /// More replicas than brokers.
    #[error("unable to replicate the partition {wanted} time(s): the cluster has {registered} broker(s)")]
    TooFewBrokers {
        /// The replication factor.
        wanted: usize,
        /// How many brokers are registered.
        registered: usize,
    },
    /// Nobody could lead.
    #[error("all brokers are currently fenced or shutting down")]
    NobodyActive,
}

impl From<PlacementError> for Refusal {
    fn from(error: PlacementError) -> Self {
        Self::new(ErrorCode::InvalidReplicationFactor, error)
    }
}

#[derive(Debug)]
struct Candidate<'a> {
    id: BrokerId,
    rack: Option<&'a str>,
    active: bool,
    leads: u32,
    holds: u32,
}

/// Chooses the replicas of `partitions` new partitions, the leader first.
///
/// # Errors
/// When there are fewer brokers than replicas, or no active one.
pub fn place(
    image: &MetadataImage,
    partitions: usize,
    replication_factor: usize,
    random: &mut dyn FnMut() -> u64,
) -> Result<Vec<Vec<BrokerId>>, PlacementError> {
    let mut candidates: Vec<Candidate<'_>> = image
        .brokers()
        .map(|broker| Candidate {
            id: broker.id,
            rack: broker.rack.as_deref(),
            active: broker.is_active(),
            leads: 0,
            holds: 0,
        })
        .collect();
    if replication_factor == 0 {
        return Err(PlacementError::NotPositive);
    }
    if replication_factor > candidates.len() {
        return Err(PlacementError::TooFewBrokers {
            wanted: replication_factor,
            registered: candidates.len(),
        });
    }
    if !candidates.iter().any(|candidate| candidate.active) {
        return Err(PlacementError::NobodyActive);
    }
    Ok((0..partitions)
        .map(|_| place_one(&mut candidates, replication_factor, random))
        .collect())
}

fn place_one(
    candidates: &mut [Candidate<'_>],
    replication_factor: usize,
    random: &mut dyn FnMut() -> u64,
) -> Vec<BrokerId> {
    let mut replicas = Vec::with_capacity(replication_factor);
    let mut racks: BTreeMap<Option<&str>, u32> = BTreeMap::new();
    while replicas.len() < replication_factor {
        let leads = replicas.is_empty();
        // Smallest first: active, rack not used yet, fewest leaderships (for the leader), fewest replicas, chance.
        let best = candidates
            .iter_mut()
            .filter(|candidate| !replicas.contains(&candidate.id))
            .map(|candidate| {
                let rack = racks.get(&candidate.rack).copied().unwrap_or(0);
                let leaderships = if leads { candidate.leads } else { 0 };
                (
                    (!candidate.active, rack, leaderships, candidate.holds, random()),
                    candidate,
                )
            })
            .min_by_key(|(rank, _)| *rank);
        let Some((_, candidate)) = best else { break };
        candidate.holds += 1;
        candidate.leads += u32::from(leads);
        *racks.entry(candidate.rack).or_default() += 1;
        replicas.push(candidate.id);
    }
    replicas
}
