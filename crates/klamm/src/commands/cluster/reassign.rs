//! `klamm cluster reassign`: moves partitions by a plan, shows what moves, takes moves back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;

use super::moves::{Moves, carry_out};
use super::reassign_plan::{PlannedReplicas, as_targets, parse_move, parse_place, read_plan_file};
use super::reassignments::{Reassignment, alter_reassignments, list_reassignments};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::duration::{deadline_in, parse_duration};
use crate::commands::group::TopicPartition;
use crate::commands::output::{Output, join_ids, table};

/// `klamm cluster reassign`.
#[derive(Debug, Args)]
pub(crate) struct ReassignArgs {
    /// What shall be where, as in orders/0=1,2,3; the first replica is the preferred leader
    #[arg(value_name = "TOPIC/PARTITION=REPLICAS", value_parser = parse_move)]
    moves: Vec<PlannedReplicas>,
    /// A plan as kafka-reassign-partitions takes it, in JSON
    #[arg(short, long, value_name = "FILE", conflicts_with = "moves")]
    file: Option<PathBuf>,
    /// Show what moves now
    #[arg(long, conflicts_with_all = ["moves", "file", "cancel"])]
    list: bool,
    /// Take the move of this partition back, or of all if none is named; may be given more than once
    #[arg(
        long,
        value_name = "TOPIC/PARTITION",
        num_args = 0..=1,
        value_parser = parse_place,
        conflicts_with_all = ["moves", "file"]
    )]
    cancel: Option<Vec<TopicPartition>>,
    /// Partitions that may move at a time [default: all]
    #[arg(long, value_name = "PARTITIONS", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,
    /// Start the moves and don't wait for their end
    #[arg(long, conflicts_with_all = ["within", "at_once"])]
    no_wait: bool,
    /// How long to wait, as in 90s, 10m, 2h [default: until the end]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    within: Option<Duration>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReassignedPartition {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl ReassignArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut brokers = Brokers::reach(&self.connection).await?;
        if self.list {
            let moving = list_reassignments(&mut brokers, None).await?;
            return self.output.write(&moving, |moving| render_moving(moving));
        }
        if let Some(places) = &self.cancel {
            return self.take_back(&mut brokers, places).await;
        }
        let plan = match &self.file {
            Some(file) => read_plan_file(file)?,
            None => self.moves.clone(),
        };
        let targets = as_targets(&plan)?;
        if targets.is_empty() {
            bail!("nothing to move: name partitions, or give --file; --list shows what moves now");
        }
        let at_once = self.at_once.map_or(targets.len(), |count| count as usize);
        let deadline = match (self.no_wait, self.within) {
            (true, _) => Some(Instant::now()),
            (false, within) => within.and_then(deadline_in),
        };
        let moves = Moves {
            targets: &targets,
            begun: BTreeSet::new(),
            at_once,
            // A plan may want more or fewer replicas.
            factor_may_change: true,
            deadline,
        };
        let moved = carry_out(&self.connection, &mut brokers, moves).await?;
        let results: Vec<ReassignedPartition> = targets
            .into_iter()
            .map(|(place, replicas)| {
                let missed = moved.missed.get(&place);
                let refused = moved.refused.get(&place);
                ReassignedPartition {
                    state: match (refused, missed) {
                        (Some(_), _) => "refused",
                        (None, Some(_)) => "not moved",
                        (None, None) if moved.done.contains(&place) => "moved",
                        (None, None) => "moving",
                    },
                    error: refused.or(missed).map(ToString::to_string),
                    topic: place.0,
                    partition: place.1,
                    replicas,
                }
            })
            .collect();
        self.output.write(&results, |results| render(results))?;
        let errors: Vec<&str> = results.iter().filter_map(|one| one.error.as_deref()).collect();
        if !errors.is_empty() {
            return Err(anyhow!(errors.join("\n")));
        }
        if !self.no_wait && !moved.remaining.is_empty() {
            bail!(
                "{} partitions still move or wait; see `klamm cluster reassign --list`",
                moved.remaining.len()
            );
        }
        Ok(())
    }

    async fn take_back(&self, brokers: &mut Brokers, places: &[TopicPartition]) -> Result<()> {
        let places = if places.is_empty() {
            let moving = list_reassignments(brokers, None).await?;
            moving.iter().map(Reassignment::place).collect()
        } else {
            places.to_vec()
        };
        let wanted: BTreeMap<TopicPartition, Option<Vec<i32>>> =
            places.into_iter().map(|place| (place, None)).collect();
        let mut refused = BTreeMap::new();
        if !wanted.is_empty() {
            refused = alter_reassignments(brokers, &wanted, true).await?;
        }
        let taken: Vec<String> = wanted
            .keys()
            .filter(|place| !refused.contains_key(place))
            .map(|(topic, partition)| format!("{topic}/{partition}"))
            .collect();
        self.output.write(&taken, |taken| match taken.as_slice() {
            [] => "no move was taken back".to_owned(),
            taken => format!("took back the moves of {}", taken.join(", ")),
        })?;
        let errors: Vec<String> = refused.values().map(ToString::to_string).collect();
        match errors.as_slice() {
            [] => Ok(()),
            errors => Err(anyhow!(errors.join("\n"))),
        }
    }
}

fn render_moving(moving: &[Reassignment]) -> String {
    if moving.is_empty() {
        return "nothing moves".to_owned();
    }
    let rows = moving.iter().map(|one| {
        [
            one.topic.clone(),
            one.partition.to_string(),
            join_ids(&one.replicas),
            join_ids(&one.adding),
            join_ids(&one.removing),
        ]
    });
    table(&["topic", "partition", "replicas", "adding", "removing"], rows)
}

fn render(results: &[ReassignedPartition]) -> String {
    let rows = results.iter().map(|one| {
        [
            one.topic.clone(),
            one.partition.to_string(),
            join_ids(&one.replicas),
            one.state.to_owned(),
        ]
    });
    table(&["topic", "partition", "replicas", "state"], rows)
}
