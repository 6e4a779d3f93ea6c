//! Faults by commands that the user gives: any cluster can be hurt that a shell can reach.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::fault::{Action, FaultKind};
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
        [
            &self.kill_command,
            &self.stop_command,
            &self.start_command,
            &self.pause_command,
            &self.resume_command,
        ]
        .iter()
        .any(|command| command.is_some())
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
        let commands = &self.commands;
        let (needed, have) = match kind {
            FaultKind::Kill | FaultKind::KillAgain => (
                "--kill-command and --start-command",
                commands.kill_command.is_some() && commands.start_command.is_some(),
            ),
            FaultKind::Stop => (
                "--stop-command and --start-command",
                commands.stop_command.is_some() && commands.start_command.is_some(),
            ),
            FaultKind::Pause | FaultKind::PauseLong => (
                "--pause-command and --resume-command",
                commands.pause_command.is_some() && commands.resume_command.is_some(),
            ),
            FaultKind::Partition
            | FaultKind::Power
            | FaultKind::PowerAll
            | FaultKind::DiskFull
            | FaultKind::FsyncError
            | FaultKind::Clock
            | FaultKind::Wipe => {
                bail!(
                    "{} can't be done by commands; --nodes N starts a cluster of its own",
                    kind.name()
                )
            }
        };
        if have {
            return Ok(());
        }
        bail!("this fault needs {needed}")
    }

    fn act(&mut self, action: Action, node: i32) -> Result<()> {
        let command = match action {
            Action::Kill => &self.commands.kill_command,
            Action::Stop => &self.commands.stop_command,
            Action::Start => &self.commands.start_command,
            Action::Pause => &self.commands.pause_command,
            Action::Resume => &self.commands.resume_command,
            Action::Cut(_)
            | Action::Heal
            | Action::PowerOff
            | Action::PowerOn
            | Action::Fill(_)
            | Action::Free(_)
            | Action::SetClock(_)
            | Action::ResetClock
            | Action::FailSyncs
            | Action::Wipe => &None,
        };
        let command = command.as_deref().context("no command for it")?;
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
