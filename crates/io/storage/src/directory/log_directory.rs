//! One entry of `log.dirs`, held exclusively.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::{TopicPartition, Uuid};

use crate::atomic_file::{create_dir_durably, ignore_not_found};
use crate::directory::directory_error::DirectoryContext;
use crate::directory::{DirectoryError, PartitionDirectory, partition_directory};
use crate::directory_health::DirectoryHealth;
use crate::file_names::LEFT;
use crate::file_system::{FileLock, FileSystem};
use crate::guarded_file_system::GuardedFileSystem;
use crate::log::read_topic_id;

const LOCK_FILE_NAME: &str = ".lock";

/// A log directory. The lock is held as long as this lives.
#[derive(Debug)]
pub struct LogDirectory {
    file_system: Arc<dyn FileSystem>,
    path: PathBuf,
    health: Arc<DirectoryHealth>,
    _lock: Box<dyn FileLock>,
}

/// Removes a partition's directory that was renamed. May take long: run it on a pool.
#[derive(Debug)]
#[must_use = "the space is freed when it runs"]
pub struct DirectoryRemoval {
    file_system: Arc<dyn FileSystem>,
    path: PathBuf,
}

/// What became of one partition's directory: to be removed, or missing.
pub type RetiredPartition = Result<Option<DirectoryRemoval>, DirectoryError>;

impl DirectoryRemoval {
    /// Removes the directory; one that is gone already is no error.
    ///
    /// # Errors
    /// `Storage`.
    pub fn run(self) -> Result<(), DirectoryError> {
        match self.file_system.remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.during("remove", &self.path),
        }
    }
}

impl LogDirectory {
    /// Makes the directory when it is missing and takes its lock.
    ///
    /// # Errors
    /// `Locked` when somebody else has it; `Storage`.
    pub fn open(file_system: Arc<dyn FileSystem>, path: &Path) -> Result<Self, DirectoryError> {
        create_dir_durably(&*file_system, path).during("create", path)?;
        let lock_path = path.join(LOCK_FILE_NAME);
        let lock = match file_system.lock(&lock_path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(DirectoryError::Locked { path: path.to_owned() });
            }
            other => other.during("lock", &lock_path)?,
        };
        let health = DirectoryHealth::new(Arc::clone(&file_system), path);
        health.hold_reserve();
        Ok(Self {
            file_system: Arc::new(GuardedFileSystem::new(file_system, Arc::clone(&health))),
            path: path.to_owned(),
            health,
            _lock: lock,
        })
    }

    /// How it stands; shared with everybody who uses it.
    #[must_use]
    pub fn health(&self) -> Arc<DirectoryHealth> {
        Arc::clone(&self.health)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk that it lies on, guarded by the directory's health.
    #[must_use]
    pub fn shared_file_system(&self) -> Arc<dyn FileSystem> {
        Arc::clone(&self.file_system)
    }

    pub(crate) fn file_system(&self) -> &dyn FileSystem {
        &*self.file_system
    }

    /// Where a partition's log belongs.
    #[must_use]
    pub fn partition_path(&self, partition: &TopicPartition) -> PathBuf {
        self.path.join(partition.to_string())
    }

    /// A place that nothing else has or had in this process's time, to which a partition's log may be copied from another directory
    /// (MOVE-2).
    ///
    /// # Errors
    /// `Storage`.
    pub fn future_path(&self, partition: &TopicPartition, unique: Uuid) -> Result<PathBuf, DirectoryError> {
        self.free_name(partition, unique, partition_directory::future_name)
    }

    /// A finished copy gets the partition's name; [`LogDirectory::sync_names`] makes it durable. Returns its directory.
    ///
    /// # Errors
    /// `Storage`: it has it not.
    pub fn adopt(&self, copy: &Path, partition: &TopicPartition) -> Result<PathBuf, DirectoryError> {
        let path = self.partition_path(partition);
        self.file_system.rename(copy, &path).during("rename", copy)?;
        Ok(path)
    }

    /// Makes the names of partitions durable.
    ///
    /// # Errors
    /// `Storage`.
    pub fn sync_names(&self) -> Result<(), DirectoryError> {
        self.file_system.sync_dir(&self.path).during("sync", &self.path)
    }

    /// Whether the partition's log is marked as left for another directory (MOVE-3).
    ///
    /// # Errors
    /// `Storage`.
    pub fn is_left(&self, partition: &TopicPartition) -> Result<bool, DirectoryError> {
        let mark = self.partition_path(partition).join(LEFT);
        self.file_system.exists(&mark).during("stat", &mark)
    }

    /// The partition's log lies nowhere else: it goes on here.
    ///
    /// # Errors
    /// `Storage`.
    pub fn take_back(&self, partition: &TopicPartition) -> Result<(), DirectoryError> {
        let mark = self.partition_path(partition).join(LEFT);
        ignore_not_found(self.file_system.remove_file(&mark)).during("remove", &mark)
    }

    /// The partitions that lie here, by directory name.
    ///
    /// # Errors
    /// `Storage`.
    pub fn partitions(&self) -> Result<Vec<PartitionDirectory>, DirectoryError> {
        let mut found = Vec::new();
        for name in self.file_system.read_dir(&self.path).during("list", &self.path)? {
            let Some(partition) = partition_directory::parse(&name) else {
                continue;
            };
            let path = self.path.join(&name);
            if !self.file_system.is_dir(&path).during("stat", &path)? {
                continue;
            }
            let topic_id = match read_topic_id(&*self.file_system, &path) {
                Ok(topic_id) => topic_id,
                Err(crate::LogError::Storage {
                    operation,
                    path,
                    source,
                }) => {
                    return Err(DirectoryError::Storage {
                        operation,
                        path,
                        source,
                    });
                }
                Err(_) => None,
            };
            found.push(PartitionDirectory {
                partition,
                topic_id,
                path,
            });
        }
        Ok(found)
    }

    /// Takes partitions' directories out of use (their topics were deleted, or they are stray): renamed at once and durably, so
    /// that new partitions of these names may be made; removed by the tasks, in the same order. Their logs must be dropped before.
    /// `None` for one that is missing; one that can't be renamed keeps none of the others.
    ///
    /// # Errors
    /// `Storage`: the renames are not durable.
    pub fn retire_partitions(
        &self,
        partitions: &[(&TopicPartition, Uuid)],
    ) -> Result<Vec<RetiredPartition>, DirectoryError> {
        let retired = partitions
            .iter()
            .map(|(partition, unique)| self.rename_away(partition, *unique));
        let retired = retired.collect();
        // Before any file goes: under its old name a directory must not lack some of them after a power cut.
        self.file_system.sync_dir(&self.path).during("sync", &self.path)?;
        Ok(retired)
    }

    fn rename_away(&self, partition: &TopicPartition, unique: Uuid) -> RetiredPartition {
        let from = self.partition_path(partition);
        let path = self.free_name(partition, unique, partition_directory::retired_name)?;
        match self.file_system.rename(&from, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            renamed => {
                renamed.during("rename", &from)?;
                Ok(Some(DirectoryRemoval {
                    file_system: Arc::clone(&self.file_system),
                    path,
                }))
            }
        }
    }

    /// The replica may have been here and gone before, and the older directory still be there.
    fn free_name(
        &self,
        partition: &TopicPartition,
        unique: Uuid,
        name_of: fn(&TopicPartition, Uuid) -> String,
    ) -> Result<PathBuf, DirectoryError> {
        let mut unique = unique.as_u128();
        loop {
            let name = name_of(partition, Uuid::from_u128(unique));
            let path = self.path.join(name);
            if !self.file_system.exists(&path).during("stat", &path)? {
                return Ok(path);
            }
            unique = unique.wrapping_add(1);
        }
    }

    /// What is left of partitions that were on their way out when the process ended.
    ///
    /// # Errors
    /// `Storage`.
    pub fn leftovers(&self) -> Result<Vec<DirectoryRemoval>, DirectoryError> {
        let names = self.file_system.read_dir(&self.path).during("list", &self.path)?;
        let retired = names.into_iter().filter(|name| partition_directory::is_retired(name));
        let removal = |name| DirectoryRemoval {
            file_system: Arc::clone(&self.file_system),
            path: self.path.join(name),
        };
        Ok(retired.map(removal).collect())
    }

    /// The volume's bytes.
    ///
    /// # Errors
    /// `Storage`.
    pub fn total_bytes(&self) -> Result<u64, DirectoryError> {
        self.file_system.total_bytes(&self.path).during("stat", &self.path)
    }

    /// Bytes that can still be written here.
    ///
    /// # Errors
    /// `Storage`.
    pub fn free_bytes(&self) -> Result<u64, DirectoryError> {
        self.file_system.free_bytes(&self.path).during("stat", &self.path)
    }
}
