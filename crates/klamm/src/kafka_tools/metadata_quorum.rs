//! `kafka-metadata-quorum` (`MetadataQuorumCommand`): describe.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use types::DirectoryId;
use wire::messages::DescribeClusterRequest;
use wire::messages::describe_quorum_response::{Node, PartitionData, ReplicaState};

use super::connect::{BOOTSTRAP_CONTROLLER, BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::options::{OptionSpec, Options, UsageError, flag, value};
use crate::commands::connection::Cluster;
use crate::commands::error_advice::refusal;
use crate::commands::output::write_line;
use crate::commands::quorum::quorum_state;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER,
    BOOTSTRAP_CONTROLLER,
    COMMAND_CONFIG,
    flag("status", "describe: a summary."),
    flag("replication", "describe: every replica."),
    flag("human-readable", "describe --replication: times as people say them."),
    value("controller-id", "id", "Of commands that are not supported.").or("i"),
    value("controller-directory-id", "id", "Of commands that are not supported.").or("d"),
    flag("dry-run", "Of commands that are not supported."),
];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    match options.words() {
        [command] if command == "describe" => {}
        [] => {
            return Err(UsageError::of(
                "too few arguments: kafka-metadata-quorum takes describe",
            ));
        }
        [command, ..] => {
            bail!("{command} is not supported by klamm's kafka-metadata-quorum: see `klamm quorum --help`")
        }
    }
    let human_readable = options.has("human-readable");
    let (status, replication) = (options.has("status"), options.has("replication"));
    match (status, replication) {
        (true, true) => bail!("Only one of --status or --replication should be specified with describe sub-command"),
        (false, false) => bail!("One of --status or --replication must be specified with describe sub-command"),
        (true, false) if human_readable => {
            bail!("The option --human-readable is only supported along with --replication")
        }
        (true, false) | (false, true) => {}
    }
    let mut cluster = connection(options)?.connect().await?;
    let (quorum, nodes) = quorum_state(&mut cluster).await?;
    if replication {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let now = human_readable.then(|| i64::try_from(now).unwrap_or(i64::MAX));
        write_line(&replication_table(&quorum, now)?)?;
    } else {
        let id = cluster_id(&mut cluster).await?;
        write_line(&status_lines(&id, &quorum, &nodes)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn cluster_id(cluster: &mut Cluster) -> Result<String> {
    let response = cluster
        .call(&DescribeClusterRequest::default().with_endpoint_type(1))
        .await?;
    let what = "describing the cluster";
    match refusal(what, response.error_code, response.error_message.as_deref()) {
        Some(error) => Err(error),
        None => Ok(response.cluster_id.to_string()),
    }
}

fn leader(quorum: &PartitionData) -> Result<&ReplicaState> {
    let mut voters = quorum.current_voters.iter();
    voters
        .find(|voter| voter.replica_id == quorum.leader_id)
        .context("no controller is active")
}

/// A time that is known.
fn known(timestamp: i64) -> Option<i64> {
    Some(timestamp).filter(|timestamp| *timestamp >= 0)
}

fn status_lines(cluster_id: &str, quorum: &PartitionData, nodes: &[Node]) -> Result<String> {
    let leader = leader(quorum)?;
    let last = quorum.current_voters.iter().min_by_key(|voter| voter.log_end_offset);
    let last = last.context("the quorum has no voters")?;
    let lag_ms = if last.replica_id == leader.replica_id {
        0
    } else {
        let times = known(leader.last_caught_up_timestamp).zip(known(last.last_caught_up_timestamp));
        times.map_or(-1, |(leader, last)| leader - last)
    };
    Ok(format!(
        "ClusterId:              {cluster_id}\n\
         LeaderId:               {}\n\
         LeaderEpoch:            {}\n\
         HighWatermark:          {}\n\
         MaxFollowerLag:         {}\n\
         MaxFollowerLagTimeMs:   {lag_ms}\n\
         CurrentVoters:          {}\n\
         CurrentObservers:       {}",
        quorum.leader_id.0,
        quorum.leader_epoch,
        quorum.high_watermark,
        leader.log_end_offset - last.log_end_offset,
        replicas(&quorum.current_voters, nodes),
        replicas(&quorum.observers, nodes)
    ))
}

/// `[{"id": 1, "directoryId": "…", "endpoints": ["CONTROLLER://host:9093"]}]`.
fn replicas(replicas: &[ReplicaState], nodes: &[Node]) -> String {
    let replicas = replicas.iter().map(|replica| {
        let mut text = format!("{{\"id\": {}", replica.replica_id.0);
        let directory = DirectoryId(replica.replica_directory_id);
        if directory != DirectoryId::ZERO {
            text.push_str(&format!(", \"directoryId\": \"{directory}\""));
        }
        let node = nodes.iter().find(|node| node.node_id == replica.replica_id);
        let endpoints = node.map(|node| node.listeners.as_slice()).unwrap_or_default();
        let endpoints = endpoints.iter().map(|listener| {
            let host = listener.host.as_str();
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            format!("\"{}://{host}:{}\"", listener.name.as_str(), listener.port)
        });
        let endpoints: Vec<String> = endpoints.collect();
        if !endpoints.is_empty() {
            text.push_str(&format!(", \"endpoints\": [{}]", endpoints.join(", ")));
        }
        text.push('}');
        text
    });
    format!("[{}]", replicas.collect::<Vec<_>>().join(", "))
}

/// Times are milliseconds since 1970, or how long ago where `now` is given.
fn replication_table(quorum: &PartitionData, now: Option<i64>) -> Result<String> {
    let leader = leader(quorum)?;
    let time = |timestamp: i64| match (known(timestamp), now) {
        (None, _) => "-1".to_owned(),
        (Some(timestamp), None) => timestamp.to_string(),
        (Some(timestamp), Some(now)) => format!("{} ms ago", now.saturating_sub(timestamp).max(0)),
    };
    let row = |replica: &ReplicaState, status: &str| {
        [
            replica.replica_id.0.to_string(),
            DirectoryId(replica.replica_directory_id).to_string(),
            replica.log_end_offset.to_string(),
            (leader.log_end_offset - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let head = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    let mut rows = vec![head.map(str::to_owned), row(leader, "Leader")];
    let followers = quorum
        .current_voters
        .iter()
        .filter(|voter| voter.replica_id != leader.replica_id);
    rows.extend(followers.map(|voter| row(voter, "Follower")));
    rows.extend(quorum.observers.iter().map(|observer| row(observer, "Observer")));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(String::len)
                .max()
                .unwrap_or_default()
        })
        .collect();
    let lines = rows.iter().map(|row| {
        // Each column ends with a tab, the last one, too.
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}\t"));
        cells.collect::<String>()
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::messages::BrokerId;
    use wire::messages::describe_quorum_response::Listener;
    use wire::protocol::StrBytes;

    fn quorum() -> PartitionData {
        let replica = |id: i32, end: i64, caught_up: i64| {
            ReplicaState::default()
                .with_replica_id(BrokerId(id))
                .with_log_end_offset(end)
                .with_last_fetch_timestamp(caught_up)
                .with_last_caught_up_timestamp(caught_up)
        };
        PartitionData::default()
            .with_leader_id(BrokerId(2))
            .with_leader_epoch(3)
            .with_high_watermark(90)
            .with_current_voters(vec![replica(1, 80, 900), replica(2, 100, 1000)])
            .with_observers(vec![replica(4, 70, -1)])
    }

    #[test]
    fn the_status_tells_how_far_the_last_voter_is_behind() {
        let listener = Listener::default()
            .with_name(StrBytes::from_static_str("CONTROLLER"))
            .with_host(StrBytes::from_static_str("::1"))
            .with_port(9093);
        let node = Node::default().with_node_id(BrokerId(1)).with_listeners(vec![listener]);
        let text = status_lines("id", &quorum(), &[node]).unwrap();
        assert!(
            text.starts_with("ClusterId:              id\nLeaderId:               2\nLeaderEpoch:            3\n"),
            "{text}"
        );
        assert!(
            text.contains("\nMaxFollowerLag:         20\nMaxFollowerLagTimeMs:   100\n"),
            "{text}"
        );
        assert!(
            text.contains(
                r#"CurrentVoters:          [{"id": 1, "endpoints": ["CONTROLLER://[::1]:9093"]}, {"id": 2}]"#
            ),
            "{text}"
        );
        assert!(text.ends_with(r#"CurrentObservers:       [{"id": 4}]"#), "{text}");
    }

    #[test]
    fn the_replication_lists_the_leader_first_and_observers_last() {
        let text = replication_table(&quorum(), None).unwrap();
        let column = |line: &str, at: usize| line.split('\t').nth(at).unwrap().trim().to_owned();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(column(lines[0], 2), "LogEndOffset");
        assert_eq!(
            (column(lines[1], 0), column(lines[1], 6)),
            ("2".to_owned(), "Leader".to_owned())
        );
        assert_eq!(
            (column(lines[2], 3), column(lines[2], 5)),
            ("20".to_owned(), "900".to_owned())
        );
        assert_eq!(
            (column(lines[3], 4), column(lines[3], 6)),
            ("-1".to_owned(), "Observer".to_owned())
        );
        assert!(replication_table(&quorum(), Some(1500)).unwrap().contains("500 ms ago"));
    }
}
