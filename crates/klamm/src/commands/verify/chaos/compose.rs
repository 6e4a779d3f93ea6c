//! The services of Docker Compose, new or old.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::fault::{Action, FaultKind, ProcessAction};
use super::nodes::Nodes;
use crate::local_cluster::run_command;

/// Services that are hurt through Docker Compose.
#[derive(Debug)]
pub(crate) struct ComposeNodes {
    program: Vec<&'static str>,
    file: Option<PathBuf>,
    services: Vec<(i32, String)>,
}

impl ComposeNodes {
    /// The services of this file, or of the one that Compose finds by itself.
    ///
    /// # Errors
    /// There is no Compose, or a broker has no service.
    pub(crate) fn new(file: Option<PathBuf>, brokers: &[i32]) -> Result<Self> {
        let has_plugin = Command::new("docker")
            .args(["compose", "version"])
            .output()
            .is_ok_and(|output| output.status.success());
        let program = if has_plugin {
            vec!["docker", "compose"]
        } else {
            vec!["docker-compose"]
        };
        let mut nodes = Self {
            program,
            file,
            services: Vec::new(),
        };
        let output = nodes
            .command(&["config", "--services"])
            .output()
            .context("neither `docker compose` nor `docker-compose` can be run")?;
        if !output.status.success() {
            bail!(
                "the services of the compose file can't be listed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let text = String::from_utf8_lossy(&output.stdout);
        nodes.services = services_of(brokers, &text.lines().map(str::trim).collect::<Vec<_>>())?;
        Ok(nodes)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut program = self.program.iter();
        let mut command = Command::new(program.next().unwrap_or(&"docker"));
        command.args(program);
        if let Some(file) = &self.file {
            command.arg("-f").arg(file);
        }
        command.args(arguments);
        command
    }
}

/// A broker's service has its id for a number: `n2`, `kafka-2`, `broker2`. Where the numbers don't fit, the order decides.
fn services_of(brokers: &[i32], services: &[&str]) -> Result<Vec<(i32, String)>> {
    let number = |name: &str| {
        let digits = name.chars().rev().take_while(char::is_ascii_digit).count();
        name.get(name.len() - digits..)?.parse::<i32>().ok()
    };
    let by_number: Vec<(i32, String)> = services
        .iter()
        .filter_map(|name| Some((number(name)?, (*name).to_owned())))
        .filter(|(id, _)| brokers.contains(id))
        .collect();
    if by_number.len() == brokers.len() {
        return Ok(by_number);
    }
    if services.len() != brokers.len() {
        bail!(
            "the cluster has {} brokers, the compose file {} services",
            brokers.len(),
            services.len()
        );
    }
    let mut sorted = services.to_vec();
    sorted.sort_unstable();
    Ok(brokers
        .iter()
        .copied()
        .zip(sorted.into_iter().map(str::to_owned))
        .collect())
}

impl Nodes for ComposeNodes {
    fn ids(&self) -> Vec<i32> {
        self.services.iter().map(|(id, _)| *id).collect()
    }

    fn check(&self, kind: FaultKind) -> Result<()> {
        ensure!(
            kind.on_processes().is_some(),
            "{} can't be done through Compose; --nodes N starts a cluster of its own",
            kind.name()
        );
        Ok(())
    }

    fn act(&mut self, action: Action, node: i32) -> Result<()> {
        let (_, service) = self
            .services
            .iter()
            .find(|(id, _)| *id == node)
            .with_context(|| format!("no service for node {node}"))?;
        let command = match action.on_process().context("Compose can't do that")? {
            ProcessAction::Kill => "kill",
            ProcessAction::Stop => "stop",
            ProcessAction::Start => "start",
            ProcessAction::Pause => "pause",
            ProcessAction::Resume => "unpause",
        };
        run_command(&mut self.command(&[command, service]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_their_numbers_or_their_order() {
        let pairs = services_of(&[1, 2, 3], &["n3", "ui", "n1", "n2"]).unwrap();
        assert_eq!(pairs, [(3, "n3".into()), (1, "n1".into()), (2, "n2".into())]);
        let pairs = services_of(&[1, 2], &["b", "a"]).unwrap();
        assert_eq!(pairs, [(1, "a".into()), (2, "b".into())]);
        services_of(&[1, 2], &["a"]).unwrap_err();
    }
}
