//! Whose configurations are meant: by `--entity-type` and `--entity-name`, or by `--topic` and its like.

use anyhow::{Result, bail};

use crate::kafka_tools::options::Options;

/// Kafka's entity types. Broker loggers are missing: they are log4j's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntityType {
    Topics,
    Clients,
    Users,
    Brokers,
    Ips,
    ClientMetrics,
    Groups,
}

const TYPES: [EntityType; 7] = [
    EntityType::Topics,
    EntityType::Clients,
    EntityType::Users,
    EntityType::Brokers,
    EntityType::Ips,
    EntityType::ClientMetrics,
    EntityType::Groups,
];

/// The options that name an entity of a type, in the order that Kafka's tool looks at them.
const BY_NAME: [(&str, EntityType); 7] = [
    ("topic", EntityType::Topics),
    ("client", EntityType::Clients),
    ("user", EntityType::Users),
    ("broker", EntityType::Brokers),
    ("ip", EntityType::Ips),
    ("client-metrics", EntityType::ClientMetrics),
    ("group", EntityType::Groups),
];

const BY_DEFAULT: [(&str, EntityType); 4] = [
    ("client-defaults", EntityType::Clients),
    ("user-defaults", EntityType::Users),
    ("broker-defaults", EntityType::Brokers),
    ("ip-defaults", EntityType::Ips),
];

impl EntityType {
    /// Kafka's word, in the plural.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Clients => "clients",
            Self::Users => "users",
            Self::Brokers => "brokers",
            Self::Ips => "ips",
            Self::ClientMetrics => "client-metrics",
            Self::Groups => "groups",
        }
    }

    /// Whether there is something that holds for all of them.
    fn has_default(self) -> bool {
        matches!(self, Self::Clients | Self::Users | Self::Brokers | Self::Ips)
    }
}

/// The entities of a command line. An empty name is the default of its type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entities {
    pub(super) types: Vec<EntityType>,
    pub(super) names: Vec<String>,
}

impl Entities {
    /// Reads and checks them.
    pub(super) fn of(options: &Options) -> Result<Self> {
        let wants_loggers = options.values("entity-type").any(|kind| kind == "broker-loggers");
        if options.has("broker-logger") || wants_loggers {
            bail!("broker-loggers is not supported by klamm: its log levels aren't log4j's");
        }
        let flagged = || BY_NAME.iter().chain(&BY_DEFAULT).filter(|(name, _)| options.has(name));
        let mut types = Vec::new();
        for name in options.values("entity-type") {
            let Some(kind) = TYPES.into_iter().find(|kind| kind.name() == name) else {
                let known: Vec<&str> = TYPES.iter().map(|kind| kind.name()).collect();
                bail!(
                    "Invalid entity type {name}, the entity type must be one of {} with a --bootstrap-server or \
                     --bootstrap-controller argument",
                    known.join(", ")
                );
            };
            types.push(kind);
        }
        types.extend(flagged().map(|(_, kind)| *kind));
        let mut given = options.values("entity-name");
        let mut names = Vec::new();
        for name in options.given(&["entity-name", "entity-default"]) {
            let named = if name == "entity-name" { given.next() } else { None };
            names.push(named.unwrap_or_default().to_owned());
        }
        for (name, _) in flagged() {
            names.push(options.value(name)?.unwrap_or_default().to_owned());
        }
        let entities = Self { types, names };
        if flagged().next().is_some()
            && options
                .given(&["entity-type", "entity-name", "entity-default"])
                .next()
                .is_some()
        {
            bail!("--entity-{{type,name,default}} should not be used in conjunction with specific entity flags");
        }
        entities.check(options)?;
        Ok(entities)
    }

    fn check(&self, options: &Options) -> Result<()> {
        if !options.has("bootstrap-server") && !options.has("bootstrap-controller") {
            bail!("Either --bootstrap-server or --bootstrap-controller must be specified.");
        }
        let kind = match self.types.as_slice() {
            [] => bail!("At least one entity type must be specified"),
            [one] => *one,
            [one, other] if one == other => bail!("Duplicate entity type(s) specified: {}", one.name()),
            [EntityType::Users, EntityType::Clients] | [EntityType::Clients, EntityType::Users] => EntityType::Users,
            _ => bail!("Only 'users' and 'clients' entity types may be specified together"),
        };
        let (named, default) = (
            self.names.iter().any(|name| !name.is_empty()),
            self.names.iter().any(String::is_empty),
        );
        if kind == EntityType::Brokers {
            let wrong = self
                .names
                .iter()
                .find(|name| !name.is_empty() && name.parse::<i32>().is_err());
            if let Some(name) = wrong {
                bail!("The entity name for brokers must be a valid integer broker id, but it is: {name}");
            }
        }
        if options.has("describe") && options.has("entity-default") && !kind.has_default() {
            bail!(
                "--entity-default must not be specified with --describe of {}",
                kind.name()
            );
        }
        if options.has("alter") {
            if kind.has_default() && !named && !default {
                bail!(
                    "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips"
                );
            }
            if !kind.has_default() && !named {
                bail!("An entity name must be specified with --alter of {}", kind.name());
            }
        }
        Ok(())
    }

    /// The type that decides how it goes on.
    pub(super) fn first(&self) -> EntityType {
        self.types.first().copied().unwrap_or(EntityType::Topics)
    }

    /// The first name, if there is one.
    pub(super) fn name(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka_tools::configs::OPTIONS;

    fn entities(line: &str) -> Result<Entities> {
        let line = format!("--bootstrap-server a:1 {line}");
        Entities::of(&Options::parse(
            OPTIONS,
            line.split_whitespace().map(str::to_owned).collect(),
        )?)
    }

    fn read(line: &str) -> (Vec<EntityType>, Vec<String>) {
        let entities = entities(line).unwrap();
        (entities.types, entities.names)
    }

    #[test]
    fn both_ways_to_name_an_entity_mean_the_same() {
        assert_eq!(
            read("--describe --topic t"),
            read("--describe --entity-type topics --entity-name t")
        );
        assert_eq!(
            read("--describe --broker-defaults"),
            read("--describe --entity-type brokers --entity-default")
        );
        assert_eq!(
            read("--alter --entity-type users --entity-name u --entity-type clients --entity-default"),
            (
                vec![EntityType::Users, EntityType::Clients],
                vec!["u".to_owned(), String::new()]
            )
        );
        assert_eq!(
            read("--describe --entity-type topics"),
            (vec![EntityType::Topics], Vec::new())
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_kafkas_words() {
        for (line, part) in [
            ("--describe", "At least one entity type must be specified"),
            ("--describe --entity-type tables", "Invalid entity type tables"),
            ("--describe --topic t --group g", "may be specified together"),
            (
                "--describe --topic t --entity-type topics",
                "should not be used in conjunction",
            ),
            (
                "--alter --entity-type topics",
                "An entity name must be specified with --alter of topics",
            ),
            (
                "--alter --entity-type brokers",
                "An entity-name or default entity must be specified",
            ),
            ("--describe --broker b1", "must be a valid integer broker id"),
            (
                "--describe --entity-type topics --entity-default",
                "must not be specified with --describe of topics",
            ),
            ("--describe --broker-logger 1", "not supported"),
        ] {
            let error = entities(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
