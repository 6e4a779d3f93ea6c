//! The list of `klamm config`'s commands, and how a resource is named on the command line.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use super::alter::AlterArgs;
use super::describe::DescribeArgs;
use super::resource::{ConfigResource, ResourceType};

/// What can be done with configurations.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show configurations and where their values come from.
    Describe(DescribeArgs),
    /// Set and delete configurations while the cluster runs.
    Alter(AlterArgs),
}

impl ConfigCommand {
    pub(in crate::commands) async fn run(self) -> Result<()> {
        match self {
            Self::Describe(args) => args.run().await,
            Self::Alter(args) => args.run().await,
        }
    }
}

/// Whose configurations.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// Whose configurations
    #[arg(value_enum, value_name = "TYPE")]
    pub(super) kind: ResourceType,
    /// A topic's or a group's name, a broker's id
    #[arg(conflicts_with = "default")]
    pub(super) name: Option<String>,
    /// What holds for every broker that has no value of its own
    #[arg(long)]
    pub(super) default: bool,
}

impl Subject {
    /// The one that was named, if one was.
    pub(super) fn resource(&self) -> Result<Option<ConfigResource>> {
        match (self.kind, &self.name, self.default) {
            (ResourceType::Broker, None, true) => Ok(Some(ConfigResource::new(self.kind, ""))),
            (kind, _, true) => bail!("a {} has no default; --default goes with broker", kind.name()),
            (ResourceType::Broker, Some(name), _) if name.parse::<i32>().is_err() => {
                bail!("a broker is named by its id, not {name:?}; see `klamm cluster describe`")
            }
            (kind, Some(name), false) if !name.is_empty() => Ok(Some(ConfigResource::new(kind, name.clone()))),
            (kind, Some(_), false) => bail!("an empty name is no {}", kind.name()),
            (_, None, false) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: ResourceType, name: Option<&str>, default: bool) -> Result<Option<ConfigResource>> {
        let name = name.map(str::to_owned);
        Subject { kind, name, default }.resource()
    }

    #[test]
    fn only_brokers_have_a_default_and_only_they_are_named_by_number() {
        let all = resource(ResourceType::Broker, None, true).unwrap().unwrap();
        assert_eq!((all.name(), all.broker()), ("", None));
        let one = resource(ResourceType::Broker, Some("3"), false).unwrap().unwrap();
        assert_eq!(one.broker(), Some(3));
        let topic = resource(ResourceType::Topic, Some("3"), false).unwrap().unwrap();
        assert_eq!(topic.broker(), None);
        assert_eq!(resource(ResourceType::Group, None, false).unwrap(), None);
        resource(ResourceType::Topic, None, true).unwrap_err();
        resource(ResourceType::Broker, Some("b1"), false).unwrap_err();
        resource(ResourceType::Topic, Some(""), false).unwrap_err();
    }
}
