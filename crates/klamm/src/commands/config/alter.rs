//! `klamm config alter`.

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::config_command::Subject;
use super::requests::{ConfigChange, ConfigOperation, alter_configs};
use crate::commands::brokers::Brokers;
use crate::commands::connection::Connection;
use crate::commands::output::Output;
use crate::commands::topic::{ConfigAssignment, parse_config};

/// `klamm config alter`.
#[derive(Debug, Args)]
pub(crate) struct AlterArgs {
    #[command(flatten)]
    subject: Subject,
    /// A configuration to set; may be given more than once
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = parse_config)]
    configs: Vec<ConfigAssignment>,
    /// A configuration to delete, so that the next wider value holds; may be given more than once
    #[arg(long = "delete-config", value_name = "KEY")]
    delete_configs: Vec<String>,
    /// Items to add to a configuration that is a list; may be given more than once
    #[arg(long = "append-config", value_name = "KEY=VALUE", value_parser = parse_config)]
    append_configs: Vec<ConfigAssignment>,
    /// Items to take out of a configuration that is a list; may be given more than once
    #[arg(long = "subtract-config", value_name = "KEY=VALUE", value_parser = parse_config)]
    subtract_configs: Vec<ConfigAssignment>,
    /// Check everything, change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AlteredResource {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Empty for what all brokers share.
    name: String,
    changes: Vec<String>,
    altered: bool,
}

impl AlterArgs {
    pub(super) async fn run(self) -> Result<()> {
        let Some(resource) = self.subject.resource()? else {
            bail!(
                "name the {} to alter; all brokers are --default",
                self.subject.kind.name()
            );
        };
        let changes = self.changes();
        if changes.is_empty() {
            bail!("nothing to alter: give --config, --delete-config, --append-config or --subtract-config");
        }
        let mut brokers = Brokers::reach(&self.connection).await?;
        let result = AlteredResource {
            kind: self.subject.kind.name(),
            name: resource.name().to_owned(),
            changes: changes.iter().map(describe).collect(),
            altered: !self.dry_run,
        };
        alter_configs(&mut brokers, &[(resource, changes)], self.dry_run).await?;
        self.output.write(&result, |result| {
            let done = if result.altered { "altered" } else { "would alter" };
            let whom = match (result.kind, result.name.as_str()) {
                ("broker", "") => "all brokers".to_owned(),
                (kind, name) => format!("{kind} {name}"),
            };
            format!("{done} {whom}: {}", result.changes.join(", "))
        })
    }

    fn changes(&self) -> Vec<ConfigChange> {
        let with = |operation| {
            move |assignment: &ConfigAssignment| ConfigChange {
                key: assignment.key.clone(),
                operation,
                value: Some(assignment.value.clone()),
            }
        };
        let set = self.configs.iter().map(with(ConfigOperation::Set));
        let append = self.append_configs.iter().map(with(ConfigOperation::Append));
        let subtract = self.subtract_configs.iter().map(with(ConfigOperation::Subtract));
        let delete = self.delete_configs.iter().map(ConfigChange::delete);
        set.chain(append).chain(subtract).chain(delete).collect()
    }
}

fn describe(change: &ConfigChange) -> String {
    let value = change.value.as_deref().unwrap_or_default();
    let key = &change.key;
    match change.operation {
        ConfigOperation::Set => format!("set {key}={value}"),
        ConfigOperation::Delete => format!("deleted {key}"),
        ConfigOperation::Append => format!("appended {value} to {key}"),
        ConfigOperation::Subtract => format!("took {value} out of {key}"),
    }
}
