//! The system's own tools.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Runs a command to its end; what it says is in the error if it fails.
pub(crate) fn run_command(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{} can't be run", command.get_program().to_string_lossy()))?;
    if output.status.success() {
        return Ok(());
    }
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    bail!(
        "{} {} ended with {}: {}",
        command.get_program().to_string_lossy(),
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )
}

/// The same, by name. A user's PATH may lack the folders of the administrator's tools.
pub(crate) fn run_tool(name: &str, arguments: &[&str]) -> Result<()> {
    let program = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .map(|folder| std::path::Path::new(folder).join(name))
        .find(|path| path.is_file());
    let mut command = program.map_or_else(|| Command::new(name), Command::new);
    run_command(command.args(arguments))
}
