//! Clients, users and addresses: DescribeClientQuotas and AlterClientQuotas.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use wire::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use wire::messages::describe_client_quotas_request::ComponentData;
use wire::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest, DescribeUserScramCredentialsRequest};
use wire::protocol::StrBytes;

use super::entities::{Entities, EntityType};
use crate::commands::connection::{Cluster, Connection};
use crate::commands::error_advice::refusal;
use crate::commands::output::write_line;

const USER_QUOTAS: [&str; 4] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
];
const IP_QUOTAS: [&str; 1] = ["connection_creation_rate"];
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/// By entity: who it is, by the types' names on the wire, and the quotas.
type Quotas = Vec<(BTreeMap<String, Option<String>>, BTreeMap<String, f64>)>;

/// The type's name on the wire.
fn wire_name(kind: EntityType) -> &'static str {
    match kind {
        EntityType::Users => "user",
        EntityType::Clients => "client-id",
        _ => "ip",
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) async fn describe(entities: &Entities, connection: &Connection) -> Result<()> {
    if entities.names.len() > entities.types.len() {
        bail!("More entity names specified than entity types");
    }
    let mut cluster = connection.connect().await?;
    for (entity, values) in quotas(&mut cluster, entities).await? {
        let named = ["user", "client-id", "ip"].iter().filter_map(|kind| {
            let name = entity.get(*kind)?;
            let kind = if *kind == "user" { "user-principal" } else { kind };
            Some(match name {
                Some(name) => format!("{kind} '{name}'"),
                None => format!("the default {kind}"),
            })
        });
        let values = values
            .iter()
            .map(|(key, value)| format!("{key}={}", java_double(*value)));
        write_line(&format!(
            "Quota configs for {} are {}",
            named.collect::<Vec<_>>().join(", "),
            values.collect::<Vec<_>>().join(", ")
        ))?;
    }
    let of_users = entities.types == [EntityType::Users] && !entities.names.iter().any(String::is_empty);
    // Without them a cluster can't have any.
    if of_users && cluster.version_of::<DescribeUserScramCredentialsRequest>().is_some() {
        describe_scram(&mut cluster, entities).await?;
    }
    Ok(())
}

async fn describe_scram(cluster: &mut Cluster, entities: &Entities) -> Result<()> {
    use wire::messages::describe_user_scram_credentials_request::UserName;
    let users = entities
        .names
        .iter()
        .map(|name| UserName::default().with_name(text(name)));
    let request = DescribeUserScramCredentialsRequest::default().with_users(Some(users.collect()));
    let response = cluster.call(&request).await?;
    let what = "describing the credentials of users";
    if let Some(error) = refusal(what, response.error_code, response.error_message.as_deref()) {
        return Err(error);
    }
    for user in response.results.iter().filter(|user| user.error_code == 0) {
        let infos = user.credential_infos.iter().map(|info| {
            let mechanism = if info.mechanism == 1 { SCRAM[0] } else { SCRAM[1] };
            format!("{mechanism}=iterations={}", info.iterations)
        });
        write_line(&format!(
            "SCRAM credential configs for user-principal '{}' are {}",
            user.user.as_str(),
            infos.collect::<Vec<_>>().join(", ")
        ))?;
    }
    Ok(())
}

/// The quotas of the entities, and of no others.
async fn quotas(cluster: &mut Cluster, entities: &Entities) -> Result<Quotas> {
    const EXACT: i8 = 0;
    const DEFAULT: i8 = 1;
    const ANY: i8 = 2;
    let components = entities.types.iter().enumerate().map(|(at, kind)| {
        let name = entities.names.get(at).map(String::as_str);
        let component = ComponentData::default()
            .with_match(None)
            .with_entity_type(text(wire_name(*kind)));
        match name {
            Some("") => component.with_match_type(DEFAULT),
            Some(name) => component.with_match_type(EXACT).with_match(Some(text(name))),
            None => component.with_match_type(ANY),
        }
    });
    let request = DescribeClientQuotasRequest::default()
        .with_components(components.collect())
        .with_strict(true);
    let response = cluster.call(&request).await?;
    let what = "describing quotas";
    if let Some(error) = refusal(what, response.error_code, response.error_message.as_deref()) {
        return Err(error);
    }
    let entries = response.entries.unwrap_or_default().into_iter().map(|entry| {
        let entity = entry.entity.into_iter();
        let entity = entity.map(|one| {
            (
                one.entity_type.to_string(),
                one.entity_name.map(|name| name.to_string()),
            )
        });
        let values = entry.values.into_iter().map(|one| (one.key.to_string(), one.value));
        (entity.collect(), values.collect())
    });
    Ok(entries.collect())
}

pub(super) async fn alter(
    entities: &Entities,
    added: &BTreeMap<String, String>,
    deleted: &[String],
    connection: &Connection,
) -> Result<()> {
    check(entities, added, deleted)?;
    let mut cluster = connection.connect().await?;
    let held = quotas(&mut cluster, entities).await?;
    let held = held.first().map(|(_, values)| values);
    let missing: Vec<&str> = deleted
        .iter()
        .filter(|key| held.is_none_or(|held| !held.contains_key(*key)))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        bail!("Invalid config(s): {}", missing.join(","));
    }
    let mut ops = Vec::new();
    for (key, value) in added {
        let Ok(number) = value.parse::<f64>() else {
            bail!("Cannot parse quota configuration value for {key}: {value}");
        };
        ops.push(OpData::default().with_key(text(key)).with_value(number));
    }
    ops.extend(
        deleted
            .iter()
            .map(|key| OpData::default().with_key(text(key)).with_remove(true)),
    );
    let entity = entities.types.iter().zip(&entities.names).map(|(kind, name)| {
        EntityData::default()
            .with_entity_type(text(wire_name(*kind)))
            .with_entity_name(Some(text(name)).filter(|name| !name.is_empty()))
    });
    let entry = EntryData::default().with_entity(entity.collect()).with_ops(ops);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let response = cluster.call(&request).await?;
    for result in response.entries {
        if let Some(error) = refusal("changing quotas", result.error_code, result.error_message.as_deref()) {
            return Err(error);
        }
    }
    Ok(())
}

/// Which keys an entity of this type can have.
fn check(entities: &Entities, added: &BTreeMap<String, String>, deleted: &[String]) -> Result<()> {
    let kind = entities.first();
    let keys = || added.keys().chain(deleted).map(String::as_str);
    let known: &[&str] = if kind == EntityType::Ips {
        &IP_QUOTAS
    } else {
        &USER_QUOTAS
    };
    let unknown: Vec<&str> = keys().filter(|key| !known.contains(key)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let name = kind.name();
    if kind == EntityType::Users && entities.types.len() == 1 {
        if unknown.iter().all(|key| SCRAM.contains(key)) {
            bail!(
                "SCRAM credentials are not supported by klamm's kafka-configs: use Kafka's own tool for {}",
                unknown.join(", ")
            );
        }
        bail!(
            "Only quota and SCRAM credential configs can be added for '{name}' using --bootstrap-server. Unexpected config names: {unknown:?}"
        );
    }
    let what = if kind == EntityType::Ips {
        "connection quota"
    } else {
        "quota"
    };
    bail!(
        "Only {what} configs can be added for '{name}' using --bootstrap-server. Unexpected config names: {}",
        unknown.join(",")
    )
}

/// A number as Java prints a double: always with a point, and with an exponent from ten million on.
fn java_double(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_java_prints_them() {
        assert_eq!(
            [1024.0, 0.0, 1e7, 1.5e10, 0.5].map(java_double),
            ["1024.0", "0.0", "1.0E7", "1.5E10", "0.5"]
        );
    }

    #[test]
    fn an_entity_takes_only_quotas_of_its_type() {
        let refused = |kind, key: &str| {
            let entities = Entities {
                types: vec![kind],
                names: vec!["x".to_owned()],
            };
            check(&entities, &BTreeMap::from([(key.to_owned(), "1".to_owned())]), &[]).is_err()
        };
        assert!(!refused(EntityType::Users, "producer_byte_rate"));
        assert!(!refused(EntityType::Ips, "connection_creation_rate"));
        assert!(refused(EntityType::Ips, "producer_byte_rate"));
        assert!(refused(EntityType::Clients, "SCRAM-SHA-256"));
        assert!(refused(EntityType::Users, "SCRAM-SHA-256"));
    }
}
