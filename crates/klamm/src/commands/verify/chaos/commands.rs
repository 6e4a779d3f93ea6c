//! Faults by commands that the user gives: any cluster can be hurt that a shell can reach.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::fault::{Action, FaultKind, ProcessAction};
use super::nodes::Nodes;
use crate::local_cluster::run_command;

/// What stands for the node's id in a command.
const PLACEHOLDER: &str = "{node}";

/// The user's commands; `{node}` becomes the broker's id.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Commands {
    /// Kills a broker at once, as SIGKILL does; {node} stands for its id
    #[arg(long, value_name = "COMMAND")]
    kill_command: Option<String>,
    /// Shuts a broker down in good order, as SIGTERM does, and waits for its end
    #[arg(long, value_name = "COMMAND")]
    stop_command: Option<String>,
    /// Starts a broker that was killed or stopped
    #[arg(long, value_name = "COMMAND")]
    start_command: Option<String>,
    /// Freezes a broker, as SIGSTOP does
    #[arg(long, value_name = "COMMAND")]
    pause_command: Option<String>,
    /// Lets a frozen broker go on, as SIGCONT does
    #[arg(long, value_name = "COMMAND")]
    resume_command: Option<String>,
}

impl Commands {
    /// Whether there is one.
    pub(crate) fn any(&self) -> bool {
        let mut all = ProcessAction::ALL.iter();
        all.any(|action| self.of(*action).1.is_some())
    }

    /// The option's name, and the command, if it was given.
    fn of(&self, action: ProcessAction) -> (&'static str, Option<&str>) {
        let (option, command) = match action {
            ProcessAction::Kill => ("--kill-command", &self.kill_command),
            ProcessAction::Stop => ("--stop-command", &self.stop_command),
            ProcessAction::Start => ("--start-command", &self.start_command),
            ProcessAction::Pause => ("--pause-command", &self.pause_command),
            ProcessAction::Resume => ("--resume-command", &self.resume_command),
        };
        (option, command.as_deref())
    }
}

/// Brokers that are hurt by commands.
#[derive(Debug)]
pub(crate) struct CommandNodes {
    commands: Commands,
    ids: Vec<i32>,
}

impl CommandNodes {
    /// The brokers with these ids.
    pub(crate) fn new(commands: Commands, ids: Vec<i32>) -> Self {
        Self { commands, ids }
    }
}

impl Nodes for CommandNodes {
    fn ids(&self) -> Vec<i32> {
        self.ids.clone()
    }

    fn check(&self, kind: FaultKind) -> Result<()> {
        let Some(actions) = kind.on_processes() else {
            bail!(
                "{} can't be done by commands; --nodes N starts a cluster of its own",
                kind.name()
            );
        };
        let [hurts, heals] = actions.map(|action| self.commands.of(action));
        ensure!(
            hurts.1.is_some() && heals.1.is_some(),
            "this fault needs {} and {}",
            hurts.0,
            heals.0
        );
        Ok(())
    }

    fn act(&mut self, action: Action, node: i32) -> Result<()> {
        let command = action.on_process().and_then(|action| self.commands.of(action).1);
        let command = command.context("no command for it")?;
        run_command(Command::new("sh").args(["-c", &command.replace(PLACEHOLDER, &node.to_string())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_hears_whom_it_shall_hit_and_its_failure_is_told() {
        let commands = Commands {
            kill_command: Some("test {node} = 2".to_owned()),
            start_command: Some("true".to_owned()),
            ..Commands::default()
        };
        let mut nodes = CommandNodes::new(commands, vec![1, 2]);
        nodes.act(Action::Kill, 2).unwrap();
        nodes.act(Action::Start, 2).unwrap();
        assert!(
            nodes
                .act(Action::Kill, 1)
                .unwrap_err()
                .to_string()
                .contains("test 1 = 2")
        );
        nodes.act(Action::Pause, 1).unwrap_err();
        nodes.check(FaultKind::Kill).unwrap();
        assert!(
            nodes
                .check(FaultKind::Pause)
                .unwrap_err()
                .to_string()
                .contains("--resume-command")
        );
        nodes.check(FaultKind::Partition).unwrap_err();
    }
}
