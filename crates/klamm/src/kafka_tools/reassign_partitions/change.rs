//! `kafka-reassign-partitions --execute`, `--cancel` and `--list`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail};

use super::{ClusterState, Terse, name, plan_json, planned_directories, plural, throttles};
use crate::commands::cluster::{
    PlannedReplicas, Reassignment, alter_log_dirs, alter_reassignments, list_reassignments,
};
use crate::commands::group::TopicPartition;
use crate::commands::output::write_line;
use crate::kafka_tools::columns::joined;
use crate::kafka_tools::kafka_words::{exception, message_of};
use crate::kafka_tools::options::Options;

const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override this \
    and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the \
    throttle by resubmitting the current reassignment.";

/// As in Kafka's tool.
const START_MOVES_MS: u64 = 10_000;
const PAUSE: Duration = Duration::from_millis(100);
const REPLICA_NOT_AVAILABLE: i16 = 9;

pub(super) async fn execute(state: &mut ClusterState, plan: &[PlannedReplicas], options: &Options) -> Result<()> {
    check(plan)?;
    let rate = |name| -> Result<Option<i64>> { Ok(options.number::<i64>(name)?.filter(|rate| *rate >= 0)) };
    let (throttle, directories_throttle) = (rate("throttle")?, rate("replica-alter-log-dirs-throttle")?);
    let timeout_ms = options.number::<u64>("timeout")?.unwrap_or(START_MOVES_MS);
    let moving = list_reassignments(&mut state.brokers, None).await?;
    if !moving.is_empty() && !options.has("additional") {
        return Err(Error::new(Terse(EXISTING.to_owned())));
    }
    let live = state.brokers.ids();
    let named: BTreeSet<i32> = plan
        .iter()
        .flat_map(|planned| planned.replicas.iter().copied())
        .collect();
    if let Some(unknown) = named.iter().find(|broker| !live.contains(broker)) {
        bail!("Unknown broker id {unknown}");
    }
    let current = state.current(plan)?;
    let holders = current.values().flatten().copied().collect();
    let directories = state.directories(&holders).await?;
    write_line(&format!(
        "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option during rollback",
        plan_json(&current, &directories)?
    ))?;
    if throttle.or(directories_throttle).is_some() {
        write_line(
            "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.",
        )?;
    }
    if let Some(rate) = throttle {
        throttles::set(state, &moving, &current, plan, rate).await?;
    }
    if let Some(rate) = directories_throttle {
        throttles::set_between_directories(state, plan, rate).await?;
    }
    let wanted: BTreeMap<TopicPartition, Option<Vec<i32>>> = plan
        .iter()
        .map(|planned| (planned.place(), Some(planned.replicas.clone())))
        .collect();
    let factor_may_change = !options.has("disallow-replication-factor-change");
    let refused = alter_reassignments(&mut state.brokers, &wanted, factor_may_change).await?;
    if !refused.is_empty() {
        return Err(terse_list("Error reassigning partition(s):", &refused));
    }
    let names: Vec<String> = wanted.keys().map(name).collect();
    write_line(&format!(
        "Successfully started partition reassignment{} for {}",
        plural(names.len()),
        names.join(",")
    ))?;
    start_directory_moves(state, plan, Duration::from_millis(timeout_ms)).await
}

/// A replica that has just been given to a broker isn't there at once: it is asked for until it is.
async fn start_directory_moves(state: &mut ClusterState, plan: &[PlannedReplicas], timeout: Duration) -> Result<()> {
    let mut pending = planned_directories(plan);
    let until = Instant::now() + timeout;
    while !pending.is_empty() {
        let mut started = Vec::new();
        for ((broker, place), code) in alter_log_dirs(&mut state.brokers, &pending).await? {
            match code {
                0 => started.push((broker, place)),
                REPLICA_NOT_AVAILABLE => {}
                refused => bail!(exception(refused, None)),
            }
        }
        pending.retain(|replica, _| !started.contains(replica));
        if !started.is_empty() {
            write_line(&format!(
                "Successfully started log directory move{} for: {}",
                plural(started.len()),
                replica_names(&started)
            ))?;
        }
        if pending.is_empty() {
            break;
        }
        if Instant::now() >= until {
            let left: Vec<_> = pending.into_keys().collect();
            return Err(Error::new(Terse(format!(
                "Timed out before log directory move{} could be started for: {}",
                plural(left.len()),
                replica_names(&left)
            ))));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn replica_names(replicas: &[(i32, TopicPartition)]) -> String {
    let names = replicas
        .iter()
        .map(|(broker, place)| format!("{}-{broker}", name(place)));
    names.collect::<Vec<_>>().join(",")
}

fn terse_list(head: &str, refused: &BTreeMap<TopicPartition, Error>) -> Error {
    let lines = refused
        .iter()
        .map(|(place, error)| format!("\n{}: {}", name(place), message_of(error)));
    Error::new(Terse(format!("{head}{}", lines.collect::<String>())))
}

/// What Kafka's tool refuses before it asks the cluster.
fn check(plan: &[PlannedReplicas]) -> Result<()> {
    if plan.is_empty() {
        bail!("Partition reassignment list cannot be empty");
    }
    if plan.iter().any(|planned| planned.replicas.is_empty()) {
        bail!("Partition replica list cannot be empty");
    }
    let twice = plan.iter().enumerate().filter(|(at, planned)| {
        let mut before = plan.iter().take(*at);
        before.any(|other| other.place() == planned.place())
    });
    let twice: BTreeSet<String> = twice.map(|(_, planned)| name(&planned.place())).collect();
    if !twice.is_empty() {
        let names: Vec<String> = twice.into_iter().collect();
        bail!(
            "Partition reassignment contains duplicate topic partitions: {}",
            names.join(",")
        );
    }
    let repeated = plan.iter().filter_map(|planned| {
        let mut seen = BTreeSet::new();
        let again: BTreeSet<i32> = planned
            .replicas
            .iter()
            .copied()
            .filter(|id| !seen.insert(*id))
            .collect();
        let again: Vec<i32> = again.into_iter().collect();
        let text = format!(
            "{} contains multiple entries for {}",
            name(&planned.place()),
            joined(&again)
        );
        (!again.is_empty()).then_some(text)
    });
    let repeated: Vec<String> = repeated.collect();
    if !repeated.is_empty() {
        bail!(
            "Partition replica lists may not contain duplicate entries: {}",
            repeated.join(". ")
        );
    }
    Ok(())
}

pub(super) async fn cancel(state: &mut ClusterState, plan: &[PlannedReplicas], options: &Options) -> Result<()> {
    let _timeout = options.number::<i64>("timeout")?;
    let places: Vec<TopicPartition> = plan.iter().map(PlannedReplicas::place).collect();
    let moving = list_reassignments(&mut state.brokers, Some(&places)).await?;
    let wanted: BTreeMap<TopicPartition, Option<Vec<i32>>> = moving.iter().map(|one| (one.place(), None)).collect();
    if wanted.is_empty() {
        write_line("None of the specified partition reassignments are active.")?;
    } else {
        let refused = alter_reassignments(&mut state.brokers, &wanted, true).await?;
        if !refused.is_empty() {
            let head = format!("Error cancelling partition reassignment{} for:", plural(refused.len()));
            return Err(terse_list(&head, &refused));
        }
        let names: Vec<String> = wanted.keys().map(name).collect();
        write_line(&format!(
            "Successfully cancelled partition reassignment{} for: {}",
            plural(names.len()),
            names.join(",")
        ))?;
    }
    let moves = "None of the specified partition moves are active.";
    if options.has("preserve-throttles") {
        return write_text(moves);
    }
    // Kafka's tool forgets the line feed here.
    write_text(moves)?;
    throttles::clear(state, plan).await
}

fn write_text(text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

pub(super) async fn list(state: &mut ClusterState) -> Result<()> {
    let moving = list_reassignments(&mut state.brokers, None).await?;
    write_line(&moving_lines(&moving))
}

fn moving_lines(moving: &[Reassignment]) -> String {
    if moving.is_empty() {
        return "No partition reassignments found.".to_owned();
    }
    let changing = |what: &str, ids: &[i32]| {
        if ids.is_empty() {
            String::new()
        } else {
            format!(" {what}: {}.", joined(ids))
        }
    };
    let lines = moving.iter().map(|one| {
        format!(
            "\n{}: replicas: {}.{}{}",
            name(&one.place()),
            joined(&one.replicas),
            changing("adding", &one.adding),
            changing("removing", &one.removing)
        )
    });
    format!("Current partition reassignments:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(partition: i32, replicas: &[i32]) -> PlannedReplicas {
        PlannedReplicas {
            topic: "t".to_owned(),
            partition,
            replicas: replicas.to_vec(),
            log_dirs: None,
        }
    }

    #[test]
    fn a_plan_that_cannot_be_meant_is_refused_in_kafkas_words() {
        let refused = |plan: &[PlannedReplicas]| check(plan).unwrap_err().to_string();
        check(&[planned(0, &[1, 2]), planned(1, &[1])]).unwrap();
        assert_eq!(refused(&[]), "Partition reassignment list cannot be empty");
        assert_eq!(refused(&[planned(0, &[])]), "Partition replica list cannot be empty");
        assert_eq!(
            refused(&[planned(0, &[1]), planned(0, &[2])]),
            "Partition reassignment contains duplicate topic partitions: t-0"
        );
        assert_eq!(
            refused(&[planned(0, &[1, 1])]),
            "Partition replica lists may not contain duplicate entries: t-0 contains multiple entries for 1"
        );
    }

    #[test]
    fn what_moves_is_a_line_each() {
        assert_eq!(moving_lines(&[]), "No partition reassignments found.");
        let one = Reassignment {
            topic: "t".to_owned(),
            partition: 0,
            replicas: vec![1, 2, 3],
            adding: vec![3],
            removing: Vec::new(),
        };
        assert_eq!(
            moving_lines(&[one]),
            "Current partition reassignments:\nt-0: replicas: 1,2,3. adding: 3."
        );
    }
}
