//! `klamm config …`: the configurations that topics, brokers, groups and client metrics have of their own.

mod alter;
mod config_command;
mod describe;
mod requests;
mod resource;

pub(super) use config_command::ConfigCommand;
#[cfg(test)]
pub(crate) use requests::ConfigSynonym;
pub(crate) use requests::{ConfigChange, ConfigEntry, alter_configs, config_resources, describe_each};
pub(crate) use resource::{ConfigResource, ResourceType};
