//! `klamm cluster safe-to-stop`: whether a node may be stopped, or a rolling restart may go on (STOP-1).
//!
//! Asked over Kafka's protocol, so that it answers for Apache Kafka, too. The exit code is 0 when it is safe.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use clap::Args;
use metadata::{StopPartition, StopRisks, StopVoter, risks_of_stopping};
use serde::Serialize;
use types::BrokerId;

use crate::commands::connection::{Cluster, Connection};
use crate::commands::output::{Output, table};
use crate::commands::quorum::{QuorumDescription, describe_quorum};
use crate::commands::topic::{TopicDescription, describe_topics, topic_values};

const MIN_ISR: &str = "min.insync.replicas";
/// A voter that the active controller hasn't heard for so long doesn't count.
const VOTER_SILENCE_MS: i64 = 3_000;
/// Partitions named for people; programs get all.
const NAMED: usize = 20;

/// `klamm cluster safe-to-stop`.
#[derive(Debug, Args)]
pub(crate) struct SafeToStopArgs {
    /// The node [default: each node by itself]
    node: Option<i32>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    node: i32,
    safe: bool,
    /// Partitions that would fall under their min ISR.
    partitions: Vec<AtRisk>,
    /// The metadata quorum's majority, when it would be lost.
    quorum: Option<Majority>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AtRisk {
    partition: String,
    in_sync_replicas_left: usize,
    min_insync_replicas: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Majority {
    voters_left: usize,
    needed: usize,
}

impl SafeToStopArgs {
    pub(super) async fn run(self) -> Result<()> {
        let mut cluster = self.connection.connect().await?;
        let state = State::ask(&mut cluster).await?;
        let nodes = match self.node {
            Some(node) if !state.nodes.contains(&node) => bail!(
                "there is no node {node}; the cluster's are {}",
                state
                    .nodes
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            Some(node) => vec![node],
            None => state.nodes.iter().copied().collect(),
        };
        let verdicts: Vec<Verdict> = nodes.into_iter().map(|node| state.verdict(node)).collect();
        match (self.node, verdicts.as_slice()) {
            (Some(_), [one]) => self.output.write(one, render)?,
            _ => self.output.write(&verdicts, |verdicts| render_all(verdicts))?,
        }
        let unsafe_nodes: Vec<String> = verdicts
            .iter()
            .filter(|verdict| !verdict.safe)
            .map(|verdict| verdict.node.to_string())
            .collect();
        if unsafe_nodes.is_empty() {
            return Ok(());
        }
        bail!("not safe to stop: node {}", unsafe_nodes.join(", "))
    }
}

/// What the rule needs, asked once for all nodes.
struct State {
    nodes: BTreeSet<i32>,
    topics: Vec<(TopicDescription, usize)>,
    quorum: QuorumDescription,
}

impl State {
    async fn ask(cluster: &mut Cluster) -> Result<Self> {
        let topics = describe_topics(cluster, &[]).await?;
        let mut min_isr: BTreeMap<String, usize> = topic_values(cluster, &topics, MIN_ISR)
            .await?
            .into_iter()
            .filter_map(|(topic, value)| Some((topic, value.parse().ok()?)))
            .collect();
        let quorum = describe_quorum(cluster).await?;
        let mut nodes: BTreeSet<i32> = quorum.replicas.iter().map(|replica| replica.node).collect();
        nodes.extend(
            topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .flat_map(|partition| partition.replicas.iter().copied()),
        );
        let topics = topics.into_iter().map(|topic| {
            let min_isr = min_isr.remove(&topic.topic).unwrap_or(1);
            (topic, min_isr)
        });
        Ok(Self {
            nodes,
            topics: topics.collect(),
            quorum,
        })
    }

    fn verdict(&self, node: i32) -> Verdict {
        let isrs: Vec<(&str, i32, Vec<BrokerId>, usize)> = self
            .topics
            .iter()
            .flat_map(|(topic, min_isr)| {
                topic.partitions.iter().map(|partition| {
                    let isr = partition.isr.iter().copied().map(BrokerId).collect();
                    (topic.topic.as_str(), partition.partition, isr, *min_isr)
                })
            })
            .collect();
        let partitions = isrs.iter().map(|(topic, partition, isr, min_isr)| StopPartition {
            topic,
            partition: *partition,
            isr,
            min_isr: *min_isr,
        });
        let voters: Vec<StopVoter> = self
            .quorum
            .replicas
            .iter()
            .filter(|replica| replica.role.votes())
            .map(|replica| StopVoter {
                node: BrokerId(replica.node),
                alive: Some(replica.node) == self.quorum.leader
                    || replica.last_fetch_ms_ago.is_some_and(|ago| ago < VOTER_SILENCE_MS),
            })
            .collect();
        Verdict::of(node, risks_of_stopping(BrokerId(node), partitions, &voters))
    }
}

impl Verdict {
    fn of(node: i32, risks: StopRisks) -> Self {
        Self {
            node,
            safe: risks.is_safe(),
            partitions: risks
                .partitions
                .into_iter()
                .map(|risk| AtRisk {
                    partition: risk.name,
                    in_sync_replicas_left: risk.left,
                    min_insync_replicas: risk.min_isr,
                })
                .collect(),
            quorum: risks.quorum.map(|quorum| Majority {
                voters_left: quorum.left,
                needed: quorum.needed,
            }),
        }
    }
}

fn render(verdict: &Verdict) -> String {
    if verdict.safe {
        return format!("node {} is safe to stop", verdict.node);
    }
    let mut lines = vec![format!("node {} is not safe to stop:", verdict.node)];
    if let Some(quorum) = &verdict.quorum {
        lines.push(format!(
            "  the metadata quorum would lose its majority: {} voters would answer, {} are needed",
            quorum.voters_left, quorum.needed
        ));
    }
    for risk in verdict.partitions.iter().take(NAMED) {
        lines.push(format!(
            "  {} would have {} in-sync replicas, {MIN_ISR} is {}",
            risk.partition, risk.in_sync_replicas_left, risk.min_insync_replicas
        ));
    }
    let more = verdict.partitions.len().saturating_sub(NAMED);
    if more > 0 {
        lines.push(format!("  and {more} partitions more: see them with --output json"));
    }
    lines.join("\n")
}

fn render_all(verdicts: &[Verdict]) -> String {
    let rows = verdicts.iter().map(|verdict| {
        [
            verdict.node.to_string(),
            if verdict.safe { "yes" } else { "no" }.to_owned(),
            verdict.partitions.len().to_string(),
            if verdict.quorum.is_some() { "lost" } else { "kept" }.to_owned(),
        ]
    });
    table(&["node", "safe", "partitions at risk", "majority"], rows)
}
