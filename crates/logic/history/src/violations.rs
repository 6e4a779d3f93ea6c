//! What was found, counted by property, with the first few of each in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many violations of a property are kept in words.
const NAMED: usize = 20;

/// A promise, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Property {
    /// Acknowledged once and there once.
    #[serde(rename = "ACK-1")]
    Ack1,
    /// At the acknowledged offset.
    #[serde(rename = "ACK-2")]
    Ack2,
    /// In order.
    #[serde(rename = "ACK-3")]
    Ack3,
    /// Nothing that was refused, damaged or never sent.
    #[serde(rename = "ACK-4")]
    Ack4,
    /// What was read once stays.
    #[serde(rename = "VIS-2")]
    Vis2,
    /// Nothing is read above what was written.
    #[serde(rename = "VIS-3")]
    Vis3,
    /// Offsets go up one by one.
    #[serde(rename = "VIS-4")]
    Vis4,
    /// Committed offsets don't go back.
    #[serde(rename = "GRP-1")]
    Grp1,
    /// A group reads everything below its commits.
    #[serde(rename = "GRP-2")]
    Grp2,
    /// It goes on.
    #[serde(rename = "LIVE-1")]
    Live1,
}

impl Property {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Ack1,
        Self::Ack2,
        Self::Ack3,
        Self::Ack4,
        Self::Vis2,
        Self::Vis3,
        Self::Vis4,
        Self::Grp1,
        Self::Grp2,
        Self::Live1,
    ];

    /// Its id.
    pub fn id(self) -> &'static str {
        match self {
            Self::Ack1 => "ACK-1",
            Self::Ack2 => "ACK-2",
            Self::Ack3 => "ACK-3",
            Self::Ack4 => "ACK-4",
            Self::Vis2 => "VIS-2",
            Self::Vis3 => "VIS-3",
            Self::Vis4 => "VIS-4",
            Self::Grp1 => "GRP-1",
            Self::Grp2 => "GRP-2",
            Self::Live1 => "LIVE-1",
        }
    }

    /// What is promised.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Ack1 => "no acknowledged record is lost, and no record is there twice",
            Self::Ack2 => "every record is at the offset that was acknowledged",
            Self::Ack3 => "the records of one producer in one partition are in their order",
            Self::Ack4 => "nothing is read that was refused, damaged or never sent",
            Self::Vis2 => "what was read once stays as it was",
            Self::Vis3 => "nothing is read above what was written",
            Self::Vis4 => "readers' offsets go up one by one: none is skipped, repeated or refused",
            Self::Grp1 => "committed offsets never go back",
            Self::Grp2 => "a group has read everything below its commits",
            Self::Live1 => "after every fault the cluster becomes whole, answers, and readers reach the end",
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    found: Vec<Found>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    property: Property,
    count: u64,
    named: Vec<String>,
}

impl Violations {
    /// One more. The words are only made while they are kept.
    pub(crate) fn add(&mut self, property: Property, text: impl FnOnce() -> String) {
        let at = match self.found.iter().position(|found| found.property == property) {
            Some(at) => at,
            None => {
                self.found.push(Found {
                    property,
                    count: 0,
                    named: Vec::new(),
                });
                self.found.len() - 1
            }
        };
        let Some(found) = self.found.get_mut(at) else { return };
        found.count += 1;
        if found.named.len() < NAMED {
            found.named.push(text());
        }
    }

    /// True if every promise was kept.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How often one was broken.
    pub fn count(&self, property: Property) -> u64 {
        self.found(property).map_or(0, |found| found.count)
    }

    /// The first twenty times, in words.
    pub fn named(&self, property: Property) -> &[String] {
        self.found(property).map_or(&[], |found| found.named.as_slice())
    }

    fn found(&self, property: Property) -> Option<&Found> {
        self.found.iter().find(|found| found.property == property)
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for property in Property::ALL {
            let Some(found) = self.found(property) else { continue };
            writeln!(f, "{property} broken {} times: {}", found.count, property.promise())?;
            for text in &found.named {
                writeln!(f, "  {text}")?;
            }
            if found.count > found.named.len() as u64 {
                writeln!(f, "  …")?;
            }
        }
        Ok(())
    }
}
