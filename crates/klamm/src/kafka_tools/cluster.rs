//! `kafka-cluster` (`ClusterTool`).

use std::process::ExitCode;

use anyhow::{Result, bail};
use wire::messages::describe_cluster_response::DescribeClusterBroker;
use wire::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse, UnregisterBrokerRequest};

use super::columns::{padded, width};
use super::connect::{BOOTSTRAP_CONTROLLER, BOOTSTRAP_SERVER, COMMAND_CONFIG, connection};
use super::options::{OptionSpec, Options, UsageError, flag, value};
use crate::commands::connection::Connection;
use crate::commands::error_advice::refusal;
use crate::commands::output::write_line;

pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVER.or("b"),
    BOOTSTRAP_CONTROLLER.or("C"),
    COMMAND_CONFIG.or("c"),
    value("config", "property file", "(DEPRECATED) As --command-config."),
    value("id", "broker id", "unregister: the broker.").or("i"),
    flag("include-fenced-brokers", "list-endpoints: fenced brokers, too."),
];

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    if options.has("config") && options.has("command-config") {
        bail!("--config and --command-config cannot be specified together.");
    }
    let [command] = options.words() else {
        return Err(UsageError::of(
            "kafka-cluster takes one of cluster-id, list-endpoints, unregister",
        ));
    };
    match command.as_str() {
        "cluster-id" => {
            let cluster = describe(&connection(options)?, false).await?;
            write_line(&format!("Cluster ID: {}", cluster.cluster_id.as_str()))?;
        }
        "list-endpoints" => {
            let fenced = options.has("include-fenced-brokers");
            let cluster = describe(&connection(options)?, fenced).await?;
            write_line(&table(&cluster.brokers))?;
        }
        "unregister" => unregister(options).await?,
        other => {
            return Err(UsageError::of(format!(
                "invalid choice: '{other}' (choose from 'cluster-id', 'unregister', 'list-endpoints')"
            )));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn describe(connection: &Connection, fenced: bool) -> Result<DescribeClusterResponse> {
    /// Since this version the caller says whether it means brokers or controllers.
    const BROKERS: i8 = 1;
    let mut cluster = connection.connect().await?;
    let request = DescribeClusterRequest::default()
        .with_endpoint_type(BROKERS)
        .with_include_fenced_brokers(fenced);
    let mut response = cluster.call(&request).await?;
    let what = "describing the cluster";
    if let Some(error) = refusal(what, response.error_code, response.error_message.as_deref()) {
        return Err(error);
    }
    response.brokers.sort_by_key(|broker| broker.broker_id.0);
    Ok(response)
}

fn table(brokers: &[DescribeClusterBroker]) -> String {
    let longest = |texts: Vec<&str>, without: usize| if texts.is_empty() { without } else { width(0, texts) };
    let hosts = longest(brokers.iter().map(|broker| broker.host.as_str()).collect(), 100);
    let racks = longest(brokers.iter().filter_map(|broker| broker.rack.as_deref()).collect(), 10);
    let line = |cells: [&str; 6]| {
        let [id, host, port, rack, state, kind] = cells;
        padded([
            (id, 10),
            (host, hosts),
            (port, 10),
            (rack, racks),
            (state, 10),
            (kind, 15),
        ])
    };
    let mut lines = vec![line(["ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"])];
    for broker in brokers {
        lines.push(line([
            &broker.broker_id.0.to_string(),
            &broker.host,
            &broker.port.to_string(),
            broker.rack.as_deref().unwrap_or("null"),
            if broker.is_fenced { "fenced" } else { "unfenced" },
            "broker",
        ]));
    }
    lines.join("\n")
}

async fn unregister(options: &Options) -> Result<()> {
    let Some(id) = options.number::<i32>("id")? else {
        return Err(UsageError::of("argument --id/-i is required"));
    };
    let mut cluster = connection(options)?.connect().await?;
    if cluster.version_of::<UnregisterBrokerRequest>().is_none() {
        return write_line("The target cluster does not support the broker unregistration API.");
    }
    let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(id));
    let response = cluster.call(&request).await?;
    let what = format!("unregistering broker {id}");
    if let Some(error) = refusal(&what, response.error_code, response.error_message.as_deref()) {
        return Err(error);
    }
    write_line(&format!("Broker {id} is no longer registered."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::protocol::StrBytes;

    #[test]
    fn endpoints_are_as_wide_as_hosts_and_racks() {
        let broker = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(1))
            .with_host(StrBytes::from_static_str("kafka-1"))
            .with_port(9092)
            .with_rack(Some(StrBytes::from_static_str("r1")));
        assert_eq!(
            table(&[broker]),
            "ID         HOST    PORT       RACK STATE      ENDPOINT_TYPE  \
             \n1          kafka-1 9092       r1 unfenced   broker         "
        );
    }
}
