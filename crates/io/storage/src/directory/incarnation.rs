//! `klamm.incarnation`: under which boot and which broker epoch this directory was last written (design, section 4).
//!
//! Another boot id without a clean-shutdown marker means that unsynced writes may be gone: an unclean shutdown. It is
//! rewritten only after the controller has committed the registration, else a second crash would look clean.

use std::path::Path;

use types::{BootId, BrokerEpoch};

use crate::FileSystem;
use crate::atomic_file::{read_text, write_file_atomically};
use crate::directory::directory_error::DirectoryContext;
use crate::directory::{DirectoryError, LogDirectory};

const FILE_NAME: &str = "klamm.incarnation";

/// The last incarnation of a broker that wrote here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation {
    /// The boot of the operating system.
    pub boot_id: BootId,
    /// The registration.
    pub broker_epoch: BrokerEpoch,
}

impl Incarnation {
    fn encode(&self) -> String {
        format!(
            "version=0\nboot.id={}\nbroker.epoch={}\n",
            self.boot_id.0, self.broker_epoch
        )
    }

    fn decode(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(str::trim)
        };
        if value("version")? != "0" {
            return None;
        }
        let boot_id = value("boot.id").filter(|id| !id.is_empty())?;
        let broker_epoch = value("broker.epoch")?.parse().ok()?;
        Some(Self {
            boot_id: BootId(boot_id.to_owned()),
            broker_epoch: BrokerEpoch(broker_epoch),
        })
    }
}

impl Incarnation {
    /// The last incarnation of a directory that isn't taken into use; `None` when the file is missing or odd.
    ///
    /// # Errors
    /// `Storage`.
    pub fn read(file_system: &dyn FileSystem, directory: &Path) -> Result<Option<Self>, DirectoryError> {
        let path = directory.join(FILE_NAME);
        match read_text(file_system, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
            other => Ok(other.during("read", &path)?.as_deref().and_then(Self::decode)),
        }
    }
}

impl LogDirectory {
    /// The last incarnation; `None` when the file is missing or odd, which counts as unclean.
    ///
    /// # Errors
    /// `Storage`.
    pub fn read_incarnation(&self) -> Result<Option<Incarnation>, DirectoryError> {
        Incarnation::read(self.file_system(), self.path())
    }

    /// Replaces the incarnation, durably.
    ///
    /// # Errors
    /// `Storage`.
    pub fn write_incarnation(&self, incarnation: &Incarnation) -> Result<(), DirectoryError> {
        let path = self.path().join(FILE_NAME);
        write_file_atomically(self.file_system(), &path, incarnation.encode().as_bytes()).during("write", &path)
    }
}
