//! `meta.properties`: which cluster and node a directory belongs to, in Kafka's version 1.

use std::path::Path;

use types::{BrokerId, ClusterId, DirectoryId};

use crate::FileSystem;
use crate::atomic_file::{read_text, write_file_atomically};
use crate::directory::directory_error::DirectoryContext;
use crate::directory::{DirectoryError, LogDirectory};

const FILE_NAME: &str = "meta.properties";

/// A directory's identity. Before a node has joined a cluster only the directory id is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetaProperties {
    /// `cluster.id`.
    pub cluster_id: Option<ClusterId>,
    /// `node.id`.
    pub node_id: Option<BrokerId>,
    /// `directory.id`.
    pub directory_id: Option<DirectoryId>,
}

impl MetaProperties {
    fn encode(&self) -> String {
        let mut lines = vec!["#".to_owned()];
        lines.extend(self.cluster_id.as_ref().map(|id| format!("cluster.id={id}")));
        lines.extend(self.directory_id.map(|id| format!("directory.id={id}")));
        lines.extend(self.node_id.map(|id| format!("node.id={id}")));
        lines.push("version=1\n".to_owned());
        lines.join("\n")
    }

    fn decode(text: &str) -> Result<Self, String> {
        let mut found = Self::default();
        let mut version = None;
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']))
        {
            let Some((key, value)) = line.split_once('=') else {
                return Err(format!("no key=value: {line:?}"));
            };
            let (key, value) = (key.trim(), value.trim().replace('\\', ""));
            let invalid = || format!("{key} has the invalid value {value:?}");
            match key {
                "version" => version = Some(value),
                "cluster.id" => found.cluster_id = Some(ClusterId(value)),
                "node.id" | "broker.id" => {
                    found.node_id = Some(BrokerId(value.parse().map_err(|_| invalid())?));
                }
                "directory.id" => found.directory_id = Some(DirectoryId::parse(&value).ok_or_else(invalid)?),
                _ => {}
            }
        }
        match version.as_deref() {
            // Version 0 is what brokers wrote with ZooKeeper; the keys that matter are the same.
            Some("0" | "1") => Ok(found),
            other => Err(format!("unknown version {other:?}")),
        }
    }
}

impl MetaProperties {
    /// The identity of a directory that isn't taken into use; `None` when it is new.
    ///
    /// # Errors
    /// `Invalid` when the file is there but odd: nobody guesses an identity. `Storage`.
    pub fn read(file_system: &dyn FileSystem, directory: &Path) -> Result<Option<Self>, DirectoryError> {
        let path = directory.join(FILE_NAME);
        let Some(text) = read_text(file_system, &path).during("read", &path)? else {
            return Ok(None);
        };
        Self::decode(&text)
            .map(Some)
            .map_err(|reason| DirectoryError::Invalid { path, reason })
    }

    /// Replaces the identity of a directory, durably. Its owner only: nothing else keeps two writers apart.
    ///
    /// # Errors
    /// `Storage`.
    pub fn write(&self, file_system: &dyn FileSystem, directory: &Path) -> Result<(), DirectoryError> {
        let path = directory.join(FILE_NAME);
        write_file_atomically(file_system, &path, self.encode().as_bytes()).during("write", &path)
    }
}

impl LogDirectory {
    /// The identity; `None` when the directory is new.
    ///
    /// # Errors
    /// `Invalid` when the file is there but odd: nobody guesses an identity. `Storage`.
    pub fn meta_properties(&self) -> Result<Option<MetaProperties>, DirectoryError> {
        MetaProperties::read(self.file_system(), self.path())
    }

    /// Replaces the identity, durably.
    ///
    /// # Errors
    /// `Storage`.
    pub fn write_meta_properties(&self, properties: &MetaProperties) -> Result<(), DirectoryError> {
        properties.write(self.file_system(), self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_file_is_read() {
        let text = "#\n#Mon Jan 01 00:00:00 UTC 2026\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n";
        let read = MetaProperties::decode(text).unwrap();
        assert_eq!(read.node_id, Some(BrokerId(1)));
        assert_eq!(MetaProperties::decode(&read.encode()), Ok(read));
        assert!(MetaProperties::decode("version=9\n").is_err());
        assert!(MetaProperties::decode("version=1\nnode.id=x\n").is_err());
    }
}
