//! `.kafka_cleanshutdown`: written when every log of the directory was closed in good order, removed before any is opened
//! for writing. Kafka 4 puts the broker epoch into it.

use types::BrokerEpoch;

use crate::atomic_file::{ignore_not_found, read_text, write_file_atomically};
use crate::directory::directory_error::DirectoryContext;
use crate::directory::{DirectoryError, LogDirectory};

const FILE_NAME: &str = ".kafka_cleanshutdown";

impl LogDirectory {
    /// Whether the marker is there: the broker epoch that was shut down, `BrokerEpoch::NONE` where the marker names none.
    ///
    /// # Errors
    /// `Storage`.
    pub fn clean_shutdown(&self) -> Result<Option<BrokerEpoch>, DirectoryError> {
        let path = self.path().join(FILE_NAME);
        let text = match read_text(self.file_system(), &path) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Some(String::new()),
            other => other.during("read", &path)?,
        };
        Ok(text.map(|text| parse(&text)))
    }

    /// Removes the marker, durably. To be done after loading has succeeded and before the first append: a crash during
    /// loading must not turn a clean shutdown into an unclean one, nor a crash after it into a clean one.
    ///
    /// # Errors
    /// `Storage`.
    pub fn remove_clean_shutdown(&self) -> Result<(), DirectoryError> {
        let path = self.path().join(FILE_NAME);
        ignore_not_found(self.file_system().remove_file(&path)).during("remove", &path)?;
        self.file_system().sync_dir(self.path()).during("sync", self.path())
    }

    /// Writes the marker, durably. Only after every log returned from `close_clean` and the checkpoints were written.
    ///
    /// # Errors
    /// `Storage`.
    pub fn write_clean_shutdown(&self, broker_epoch: BrokerEpoch) -> Result<(), DirectoryError> {
        let path = self.path().join(FILE_NAME);
        let content = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
        write_file_atomically(self.file_system(), &path, content.as_bytes()).during("write", &path)
    }
}

/// The number after `"brokerEpoch":`; the marker's being there is what counts.
fn parse(text: &str) -> BrokerEpoch {
    text.split_once("\"brokerEpoch\"")
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(|rest| rest.trim_start().trim_end_matches(|c: char| !c.is_ascii_digit()))
        .and_then(|number| number.parse().ok())
        .map_or(BrokerEpoch::NONE, BrokerEpoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_kafkas() {
        assert_eq!(parse("{\"version\":0,\"brokerEpoch\":42}"), BrokerEpoch(42));
        assert_eq!(parse("{ \"brokerEpoch\" : 7 }\n"), BrokerEpoch(7));
        assert_eq!(parse(""), BrokerEpoch::NONE);
    }
}
