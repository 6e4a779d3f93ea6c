//! `klamm cluster drain`: moves every replica off a broker, dead or alive, and waits until the others have them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use wire::messages::MetadataResponse;

use super::drain_plan::{Candidate, DrainPlan, PlacedPartition, Stuck, plan_drain};
use super::log_dirs::describe_log_dirs;
use super::moves::{Moves, carry_out, replicas_of};
use super::reassignments::{Reassignment, list_reassignments};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::duration::{deadline_in, parse_duration};
use crate::commands::group::TopicPartition;
use crate::commands::output::{Output, join_ids, note, table};

/// Partitions named for people; programs get all.
const NAMED: usize = 20;
/// Topics that are created meanwhile may put new replicas on the broker: it is looked again so often.
const ROUNDS_MAX: usize = 5;

/// `klamm cluster drain`.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// The broker that shall have no replicas any more
    #[arg(short = 'n', long, value_name = "ID", value_parser = clap::value_parser!(i32).range(0..))]
    broker: i32,
    /// Partitions that may move at a time
    #[arg(long, value_name = "PARTITIONS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    at_once: u32,
    /// How long to wait, as in 90s, 10m, 2h [default: until the end]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    within: Option<Duration>,
    /// Show what would move, move nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Drained {
    broker: i32,
    dry_run: bool,
    moved: Vec<DrainedPartition>,
    /// What still has a replica on the broker.
    remaining: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DrainedPartition {
    topic: String,
    partition: i32,
    from: Vec<i32>,
    to: Vec<i32>,
}

impl DrainArgs {
    pub(super) async fn run(self) -> Result<()> {
        let deadline = self.within.and_then(deadline_in);
        let mut drained = Drained {
            broker: self.broker,
            dry_run: self.dry_run,
            moved: Vec::new(),
            remaining: Vec::new(),
        };
        let mut failures: BTreeMap<TopicPartition, String> = BTreeMap::new();
        // The last round only looks.
        for round in 0..=ROUNDS_MAX {
            // Before the metadata: of a move that ends between the two both tell the same replicas in the end.
            let moving = list_reassignments(&mut Brokers::reach(&self.connection).await?, None).await?;
            let (mut brokers, metadata) = Brokers::of(&self.connection).await?;
            let partitions = placed(&mut brokers, &metadata, &moving, self.broker).await;
            let leaving = leaving(&moving, self.broker);
            let plan = self
                .plan(&mut brokers, &metadata, &partitions, !leaving.is_empty())
                .await?;
            refuse_what_is_stuck(self.broker, &plan, drained.moved.len())?;
            let begun: BTreeSet<TopicPartition> = leaving.keys().cloned().collect();
            let mut targets = plan.targets;
            targets.extend(leaving);
            drained.remaining = targets.keys().map(name).collect();
            if targets.is_empty() || round == ROUNDS_MAX {
                break;
            }
            let moves = |place: &TopicPartition, to: &[i32]| DrainedPartition {
                from: origin(place, &moving, &partitions),
                topic: place.0.clone(),
                partition: place.1,
                to: to.to_vec(),
            };
            if self.dry_run {
                drained.moved = targets.iter().map(|(place, to)| moves(place, to)).collect();
                break;
            }
            let wanted = Moves {
                targets: &targets,
                begun,
                at_once: self.at_once as usize,
                // Should a move begin behind our back, the union of its replicas must not become the partition's.
                factor_may_change: false,
                deadline,
            };
            let moved = carry_out(&self.connection, &mut brokers, wanted).await?;
            let done = targets.iter().filter(|(place, _)| moved.done.contains(*place));
            drained.moved.extend(done.map(|(place, to)| moves(place, to)));
            drained.remaining.clear();
            drained.remaining.extend(moved.remaining.iter().map(name));
            drained.remaining.extend(moved.refused.keys().map(name));
            failures.retain(|place, _| !moved.done.contains(place));
            let failed = moved.refused.into_iter().chain(moved.missed);
            failures.extend(failed.map(|(place, error)| (place, error.to_string())));
            if !drained.remaining.is_empty() {
                break;
            }
        }
        self.output.write(&drained, render)?;
        if (drained.remaining.is_empty() && failures.is_empty()) || self.dry_run {
            return Ok(());
        }
        let mut lines: Vec<String> = failures.into_values().collect();
        if !drained.remaining.is_empty() {
            lines.push(format!(
                "broker {} still has {} replicas: {}; what has begun to move goes on, run this again for the rest",
                self.broker,
                drained.remaining.len(),
                shortened(&drained.remaining)
            ));
        }
        Err(anyhow!(lines.join("\n")))
    }

    async fn plan(
        &self,
        brokers: &mut Brokers,
        metadata: &MetadataResponse,
        partitions: &[PlacedPartition],
        is_being_left: bool,
    ) -> Result<DrainPlan> {
        let is_known = is_being_left
            || brokers.ids().contains(&self.broker)
            || partitions
                .iter()
                .any(|partition| partition.replicas.contains(&self.broker));
        if !is_known {
            bail!("there is no broker {}; see `klamm cluster describe`", self.broker);
        }
        let mut others = BTreeMap::new();
        for broker in metadata.brokers.iter().filter(|broker| broker.node_id.0 != self.broker) {
            let candidate = Candidate {
                rack: broker.rack.as_ref().map(ToString::to_string),
                room: room(brokers, broker.node_id.0).await,
            };
            others.insert(broker.node_id.0, candidate);
        }
        Ok(plan_drain(self.broker, &others, partitions))
    }
}

/// All partitions, as they will be when what moves has moved; those on the broker with the size of their replica there,
/// if it can still be asked.
async fn placed(
    brokers: &mut Brokers,
    metadata: &MetadataResponse,
    moving: &[Reassignment],
    broker: i32,
) -> Vec<PlacedPartition> {
    let mut sizes: BTreeMap<TopicPartition, u64> = BTreeMap::new();
    for directory in describe_log_dirs(brokers, broker).await.unwrap_or_default() {
        let replicas = directory.replicas.into_iter();
        sizes.extend(replicas.map(|replica| (replica.place, u64::try_from(replica.size).unwrap_or(0))));
    }
    let places = after_the_moves(replicas_of(metadata), moving).into_iter();
    places
        .map(|(place, replicas)| PlacedPartition {
            replicas,
            bytes: sizes.get(&place).copied().unwrap_or(0),
            place,
        })
        .collect()
}

/// Metadata names the replicas that come and those that go: a plan made of both would keep them all.
fn after_the_moves(
    mut replicas: BTreeMap<TopicPartition, Vec<i32>>,
    moving: &[Reassignment],
) -> BTreeMap<TopicPartition, Vec<i32>> {
    replicas.extend(moving.iter().map(|one| (one.place(), one.target())));
    replicas
}

/// What is being taken off the broker already, and where it goes.
fn leaving(moving: &[Reassignment], broker: i32) -> BTreeMap<TopicPartition, Vec<i32>> {
    let leaving = moving.iter().filter(|one| one.removing.contains(&broker));
    leaving.map(|one| (one.place(), one.target())).collect()
}

/// Where a partition was before anything moved it.
fn origin(place: &TopicPartition, moving: &[Reassignment], partitions: &[PlacedPartition]) -> Vec<i32> {
    let moving = moving.iter().find(|one| one.place() == *place);
    let placed = || partitions.iter().find(|one| one.place == *place);
    moving
        .map(Reassignment::origin)
        .or_else(|| placed().map(|one| one.replicas.clone()))
        .unwrap_or_default()
}

/// The room in the broker's fullest directory: which of them a replica comes to is the broker's to say.
async fn room(brokers: &mut Brokers, broker: i32) -> Option<u64> {
    match describe_log_dirs(brokers, broker).await {
        Ok(directories) => {
            let healthy = directories.iter().filter(|directory| directory.error_code == 0);
            healthy.filter_map(|directory| directory.usable_bytes).min()
        }
        Err(error) => {
            note(&format!(
                "note: nobody knows how much room broker {broker} has: {error:#}"
            ));
            None
        }
    }
}

/// Nothing moves unless everything can: half an empty broker helps nobody.
fn refuse_what_is_stuck(broker: i32, plan: &DrainPlan, moved: usize) -> Result<()> {
    let named = plan.stuck.iter().map(|(place, stuck)| match stuck {
        Stuck::TooFewBrokers { replicas, left } => {
            format!(
                "{} has {replicas} replicas, and {left} other brokers are alive",
                name(place)
            )
        }
        Stuck::NoRoom { bytes } => format!(
            "{} has {bytes} bytes, and no other broker has that much room",
            name(place)
        ),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return Ok(());
    }
    let more = named.len().saturating_sub(NAMED);
    let mut lines: Vec<String> = named.into_iter().take(NAMED).map(|line| format!("  {line}")).collect();
    if more > 0 {
        lines.push(format!("  and {more} partitions more"));
    }
    bail!(
        "broker {broker} can't be drained, {moved} partitions were moved:\n{}\nadd a broker, or lower the replication factor with `klamm cluster reassign`",
        lines.join("\n")
    )
}

fn name(place: &TopicPartition) -> String {
    format!("{}-{}", place.0, place.1)
}

fn shortened(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn render(drained: &Drained) -> String {
    let rows = drained.moved.iter().map(|one| {
        [
            one.topic.clone(),
            one.partition.to_string(),
            join_ids(&one.from),
            join_ids(&one.to),
        ]
    });
    let mut text = String::new();
    if !drained.moved.is_empty() {
        text = format!("{}\n", table(&["topic", "partition", "from", "to"], rows));
    }
    let broker = drained.broker;
    text.push_str(&match (drained.dry_run, drained.remaining.len()) {
        (true, 0) => format!("broker {broker} has no replicas"),
        (true, _) => format!("nothing was moved; without --dry-run broker {broker} would have no replicas"),
        (false, 0) => format!(
            "broker {broker} has no replicas; it gets new ones as soon as topics are created, so stop it now: \
             `klamm cluster safe-to-stop {broker}`"
        ),
        (false, left) => format!("broker {broker} still has {left} replicas"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_plans_on_what_a_running_move_leaves() {
        let moving = |partition, adding: &[i32], removing: &[i32]| Reassignment {
            topic: "t".to_owned(),
            partition,
            replicas: vec![4, 2, 3, 1],
            adding: adding.to_vec(),
            removing: removing.to_vec(),
        };
        let place = |index| ("t".to_owned(), index);
        // 0 is being taken off broker 1, 1 comes to it, 2 doesn't move.
        let moving = [moving(0, &[4], &[1]), moving(1, &[1], &[3])];
        let metadata = BTreeMap::from([
            (place(0), vec![4, 2, 3, 1]),
            (place(1), vec![4, 2, 3, 1]),
            (place(2), vec![1, 2, 3]),
        ]);
        let replicas = after_the_moves(metadata, &moving);
        let partitions: Vec<PlacedPartition> = replicas
            .into_iter()
            .map(|(place, replicas)| PlacedPartition {
                place,
                replicas,
                bytes: 1,
            })
            .collect();
        let others = [2, 3, 4, 5].map(|id| (id, Candidate::default()));
        let plan = plan_drain(1, &BTreeMap::from(others), &partitions);
        assert!(plan.stuck.is_empty());
        assert!(!plan.targets.contains_key(&place(0)), "it leaves already");
        assert!(plan.targets.values().all(|replicas| replicas.len() == 3));
        assert_eq!(plan.targets.len(), 2);
        assert_eq!(leaving(&moving, 1), BTreeMap::from([(place(0), vec![4, 2, 3])]));
        assert_eq!(origin(&place(0), &moving, &partitions), [2, 3, 1]);
        assert_eq!(origin(&place(2), &moving, &partitions), [1, 2, 3]);
    }

    #[test]
    fn a_drain_that_must_fail_names_what_is_in_its_way() {
        let mut plan = DrainPlan::default();
        refuse_what_is_stuck(1, &plan, 0).unwrap();
        for index in 0..25 {
            let stuck = Stuck::TooFewBrokers { replicas: 3, left: 2 };
            plan.stuck.insert(("t".to_owned(), index), stuck);
        }
        let error = refuse_what_is_stuck(1, &plan, 0).unwrap_err().to_string();
        assert!(
            error.contains("t-0 has 3 replicas, and 2 other brokers are alive"),
            "{error}"
        );
        assert!(error.contains("and 5 partitions more"), "{error}");
    }
}
