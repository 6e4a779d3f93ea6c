//! Whose directories these are, before anything in them is used.
//!
//! DIR-1: a node starts on directories of one cluster and one node only, and says which file says otherwise. The metadata
//! log's directory gets Kafka's `meta.properties`, too, so that Kafka's tools find the id by which it votes.

use std::path::Path;

use anyhow::{Context, bail};
use config::ServerConfig;
use storage::{FileSystem, Incarnation, MetaProperties};
use types::{ClusterId, DirectoryId};

/// The cluster that this node's broker has registered with; a configured id alone doesn't make a directory part of one.
pub(crate) fn registered_cluster(config: &ServerConfig, files: &dyn FileSystem) -> anyhow::Result<Option<ClusterId>> {
    let mut registered: Option<(ClusterId, &Path)> = None;
    for directory in config.log_dirs.iter().chain([&config.metadata_log_dir]) {
        let found = match MetaProperties::read(files, directory) {
            // The broker takes it offline and says so: the others serve, if there are any (promise DISK).
            Err(_) if !(config.roles.controller && *directory == config.metadata_log_dir) => continue,
            found => found?,
        };
        let Some(found) = found else { continue };
        let file = directory.join("meta.properties");
        if let Some(node) = found.node_id.filter(|node| *node != config.node_id) {
            bail!(
                "{} belongs to node {node} (file {}), this is node {}: give each node a log.dirs of its own, or set \
                 node.id={node}",
                directory.display(),
                file.display(),
                config.node_id
            );
        }
        let Some(cluster) = found.cluster_id else { continue };
        if let Some(configured) = config.cluster_id.as_ref().filter(|configured| **configured != cluster) {
            bail!(
                "{} belongs to cluster {cluster} (file {}), but cluster.id is {configured}: set cluster.id={cluster}, or \
                 empty the directory to join {configured}",
                directory.display(),
                file.display()
            );
        }
        // One that can't be read names no incarnation, either.
        if !matches!(Incarnation::read(files, directory), Ok(Some(_))) {
            continue;
        }
        match &registered {
            Some((other, place)) if *other != cluster => bail!(
                "{} belongs to cluster {other}, {} to cluster {cluster}: a node's directories are of one cluster; move or \
                 empty the wrong one",
                place.display(),
                directory.display()
            ),
            _ => registered = Some((cluster, directory)),
        }
    }
    Ok(registered.map(|(cluster, _)| cluster))
}

/// Writes the quorum's directory id, and the cluster's id once it is known, beside the metadata log.
pub(crate) fn write_quorum_identity(
    config: &ServerConfig,
    files: &dyn FileSystem,
    directory_id: DirectoryId,
    cluster_id: Option<&ClusterId>,
) -> anyhow::Result<()> {
    let directory = &config.metadata_log_dir;
    let found = MetaProperties::read(files, directory)?.unwrap_or_default();
    // The quorum's id wins: a metadata log that was deleted alone must not come back under the old one.
    let wanted = MetaProperties {
        cluster_id: found.cluster_id.clone().or_else(|| cluster_id.cloned()),
        node_id: Some(config.node_id),
        directory_id: Some(directory_id),
    };
    if found == wanted {
        return Ok(());
    }
    wanted
        .write(files, directory)
        .with_context(|| format!("can't write {}", directory.join("meta.properties").display()))
}

#[cfg(test)]
mod tests {
    use config::Properties;
    use storage::RealFileSystem;

    use super::*;

    fn config(folder: &Path, more: &str) -> ServerConfig {
        let text = format!(
            "node.id=1\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
             controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\nlog.dirs={}\n{more}",
            folder.display()
        );
        ServerConfig::from_properties(&Properties::parse(&text)).unwrap().0
    }

    fn stamp(folder: &Path, cluster: &str, registered: bool) {
        let properties = MetaProperties {
            cluster_id: Some(ClusterId(cluster.to_owned())),
            node_id: Some(types::BrokerId(1)),
            directory_id: None,
        };
        properties.write(&RealFileSystem, folder).unwrap();
        if registered {
            let text = "version=0\nboot.id=b\nbroker.epoch=3\n";
            std::fs::write(folder.join("klamm.incarnation"), text).unwrap();
        }
    }

    #[test]
    fn only_a_directory_that_was_registered_binds_to_its_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        assert_eq!(registered_cluster(&config, &RealFileSystem).unwrap(), None);
        stamp(folder.path(), "a", false);
        assert_eq!(registered_cluster(&config, &RealFileSystem).unwrap(), None);
        stamp(folder.path(), "a", true);
        let found = registered_cluster(&config, &RealFileSystem).unwrap();
        assert_eq!(found, Some(ClusterId("a".to_owned())));
    }

    #[test]
    fn a_data_directory_that_cannot_be_read_is_left_to_the_broker() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [first, second] = [folders[0].path(), folders[1].path()];
        let config = config(first, &format!("log.dirs={},{}\n", first.display(), second.display()));
        stamp(first, "a", true);
        std::fs::write(second.join("meta.properties"), "nonsense").unwrap();
        let found = registered_cluster(&config, &RealFileSystem).unwrap();
        assert_eq!(found, Some(ClusterId("a".to_owned())));
        std::fs::write(first.join("meta.properties"), "nonsense").unwrap();
        assert!(registered_cluster(&config, &RealFileSystem).is_err());
    }

    #[test]
    fn directories_of_another_cluster_are_refused_with_both_ids() {
        let folder = tempfile::tempdir().unwrap();
        stamp(folder.path(), "a", false);
        let error = registered_cluster(&config(folder.path(), "cluster.id=b\n"), &RealFileSystem).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("cluster a") && text.contains("cluster.id is b"), "{text}");
    }

    #[test]
    fn the_quorums_directory_id_wins_over_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        let ids = [
            DirectoryId(types::Uuid::from_u128(7 << 80)),
            DirectoryId(types::Uuid::from_u128(8 << 80)),
        ];
        for id in ids {
            write_quorum_identity(&config, &RealFileSystem, id, None).unwrap();
        }
        let found = MetaProperties::read(&RealFileSystem, folder.path()).unwrap().unwrap();
        assert_eq!(found.directory_id, Some(ids[1]));
    }
}
