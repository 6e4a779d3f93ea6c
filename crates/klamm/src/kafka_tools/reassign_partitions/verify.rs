//! `kafka-reassign-partitions --verify`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{ClusterState, Directories, name, planned_directories, throttles};
use crate::commands::cluster::{PlannedReplicas, Reassignment, list_reassignments};
use crate::commands::group::TopicPartition;
use crate::commands::output::write_line;
use crate::kafka_tools::columns::joined;
use crate::kafka_tools::options::Options;

pub(super) async fn verify(state: &mut ClusterState, plan: &[PlannedReplicas], options: &Options) -> Result<()> {
    let moving = list_reassignments(&mut state.brokers, None).await?;
    let current: BTreeMap<TopicPartition, Vec<i32>> = plan
        .iter()
        .filter_map(|planned| {
            let replicas = state.topic(&planned.topic)?.remove(&planned.partition)?;
            Some((planned.place(), replicas))
        })
        .collect();
    write_line(&partition_lines(plan, &moving, &current))?;
    let named: BTreeSet<i32> = plan
        .iter()
        .filter(|planned| planned.names_a_directory())
        .flat_map(|planned| planned.replicas.iter().copied())
        .collect();
    let directories = state.directories(&named).await?;
    let (lines, done) = directory_lines(plan, &directories);
    write_line(&lines)?;
    if moving.is_empty() && done && !options.has("preserve-throttles") {
        throttles::clear(state, plan).await?;
    }
    Ok(())
}

fn partition_lines(
    plan: &[PlannedReplicas],
    moving: &[Reassignment],
    current: &BTreeMap<TopicPartition, Vec<i32>>,
) -> String {
    let planned: BTreeMap<TopicPartition, &[i32]> = plan
        .iter()
        .map(|planned| (planned.place(), planned.replicas.as_slice()))
        .collect();
    let mut lines = vec!["Status of partition reassignment:".to_owned()];
    for (place, wanted) in planned {
        let shown = name(&place);
        let has = current.get(&place).map(Vec::as_slice).unwrap_or_default();
        lines.push(if moving.iter().any(|one| one.place() == place) {
            format!("Reassignment of partition {shown} is still in progress.")
        } else if has == wanted {
            format!("Reassignment of partition {shown} is completed.")
        } else {
            format!(
                "There is no active reassignment of partition {shown}, but replica set is {} rather than {}.",
                joined(has),
                joined(wanted)
            )
        });
    }
    lines.join("\n")
}

/// For each replica of which the plan names the directory; and whether none is on its way to another one.
fn directory_lines(plan: &[PlannedReplicas], directories: &Directories) -> (String, bool) {
    let mut done = true;
    let lines = planned_directories(plan).into_iter().map(|((broker, place), target)| {
        let partition = name(&place);
        let found = directories.get(&(place, broker));
        match found.map(|found| (found.current.as_deref(), found.future.as_deref())) {
            None => format!("Partition {partition} cannot be found in any live log directory on broker {broker}."),
            Some((None, _)) => format!(
                "Partition {partition} is not found in any live log dir on broker {broker}. There is likely an offline log \
                 directory on the broker."
            ),
            Some((Some(current), None)) if current == target => {
                format!("Reassignment of replica {partition}-{broker} completed successfully.")
            }
            Some((Some(current), None)) => format!(
                "Partition {partition} on broker {broker} is not being moved from log dir {current} to {target}."
            ),
            Some((Some(_), Some(future))) => {
                done = false;
                if future == target {
                    format!("Reassignment of replica {partition}-{broker} is still in progress.")
                } else {
                    format!(
                        "Partition {partition} on broker {broker} is being moved to log dir {future} instead of {target}."
                    )
                }
            }
        }
    });
    let lines: Vec<String> = lines.collect();
    (lines.join("\n"), done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka_tools::reassign_partitions::ReplicaDirectory;

    fn planned(partition: i32, log_dir: Option<&str>) -> PlannedReplicas {
        PlannedReplicas {
            topic: "t".to_owned(),
            partition,
            replicas: vec![1],
            log_dirs: log_dir.map(|directory| vec![directory.to_owned()]),
        }
    }

    #[test]
    fn a_partition_is_done_moving_or_elsewhere() {
        let moving = Reassignment {
            topic: "t".to_owned(),
            partition: 1,
            replicas: vec![1, 2],
            adding: vec![1],
            removing: vec![2],
        };
        let current = BTreeMap::from([(("t".to_owned(), 0), vec![1]), (("t".to_owned(), 2), vec![3, 4])]);
        let plan = [planned(0, None), planned(1, None), planned(2, None)];
        assert_eq!(
            partition_lines(&plan, &[moving], &current),
            "Status of partition reassignment:\n\
             Reassignment of partition t-0 is completed.\n\
             Reassignment of partition t-1 is still in progress.\n\
             There is no active reassignment of partition t-2, but replica set is 3,4 rather than 1."
        );
    }

    #[test]
    fn directories_are_told_only_where_the_plan_names_one() {
        let directory = ReplicaDirectory {
            current: Some("/a".to_owned()),
            future: None,
        };
        let found = Directories::from([((("t".to_owned(), 0), 1), directory)]);
        assert_eq!(
            directory_lines(&[planned(0, Some("any"))], &found),
            (String::new(), true)
        );
        let (text, _) = directory_lines(&[planned(0, Some("/a"))], &found);
        assert_eq!(text, "Reassignment of replica t-0-1 completed successfully.");
        let (text, _) = directory_lines(&[planned(0, Some("/b"))], &found);
        assert_eq!(
            text,
            "Partition t-0 on broker 1 is not being moved from log dir /a to /b."
        );
        let (text, _) = directory_lines(&[planned(7, Some("/b"))], &found);
        assert!(text.contains("cannot be found in any live log directory"));
    }
}
