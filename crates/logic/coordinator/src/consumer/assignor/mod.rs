//! The server's assignors: who reads what.
//!
//! ASG-1: every partition of a topic that somebody is subscribed to is assigned to exactly one of its subscribers.

mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use types::TopicId;

use crate::record::Assignment;

/// Kafka's two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignorKind {
    /// `uniform`: even numbers, and as little moved as possible.
    Uniform,
    /// `range`: neighbours of each topic together, the same for topics of the same size.
    Range,
}

impl AssignorKind {
    /// By its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    pub(super) fn assign(
        self,
        subscribers: &[Subscriber<'_>],
        partitions: &BTreeMap<TopicId, i32>,
    ) -> BTreeMap<String, Assignment> {
        match self {
            Self::Uniform => uniform::assign(subscribers, partitions),
            Self::Range => range::assign(subscribers, partitions),
        }
    }
}

/// A member as an assignor sees it.
#[derive(Debug, Clone)]
pub(super) struct Subscriber<'a> {
    pub(super) member_id: &'a str,
    pub(super) instance_id: Option<&'a str>,
    /// Those of its topics that exist.
    pub(super) topics: BTreeSet<TopicId>,
    /// Its target so far.
    pub(super) has: Option<&'a Assignment>,
}
