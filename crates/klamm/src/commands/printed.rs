//! Records on their way to standard output, and how far they go in each partition.
//!
//! PRINT-1: an offset is stored, and so can be committed, only after the records before it were written. A reader that
//! goes away with the pipe would otherwise cost the group what it never saw.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Context as _, Result};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};

use super::quiet::Quiet;

/// Printed at once when no further record is waiting, and at the latest when so much has gathered.
const BUFFER_BYTES: usize = 64 * 1024;
/// The same for records that take no bytes, so that signals are heard between them.
const RECORDS_MAX: usize = 10_000;

/// What has gathered since the last flush.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    bytes: Vec<u8>,
    records: usize,
    /// By topic and partition: the last record's offset.
    offsets: BTreeMap<String, BTreeMap<i32, i64>>,
}

impl Printed {
    /// Where a record is written to.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// A record was written. Only a group's offsets are remembered.
    pub(crate) fn add(&mut self, record: &BorrowedMessage<'_>, in_group: bool) {
        self.records += 1;
        if in_group {
            self.remember(record.topic(), record.partition(), record.offset());
        }
    }

    fn remember(&mut self, topic: &str, partition: i32, offset: i64) {
        match self.offsets.get_mut(topic) {
            Some(partitions) => {
                partitions.insert(partition, offset);
            }
            None => {
                let first = BTreeMap::from([(partition, offset)]);
                self.offsets.insert(topic.to_owned(), first);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether it must be flushed before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BUFFER_BYTES || self.records >= RECORDS_MAX
    }

    /// Writes it to standard output, and lets the consumer commit it then.
    pub(crate) fn flush(&mut self, consumer: &StreamConsumer<Quiet>) -> Result<()> {
        self.flush_to(&mut io::stdout().lock(), |topic, partition, offset| {
            match consumer.store_offset(topic, partition, offset) {
                // Another member has the partition by now, and reads those records again.
                Ok(()) | Err(KafkaError::StoreOffset(RDKafkaErrorCode::State)) => Ok(()),
                Err(error) => Err(error).context("storing an offset failed"),
            }
        })
    }

    fn flush_to(&mut self, out: &mut impl Write, store: impl Fn(&str, i32, i64) -> Result<()>) -> Result<()> {
        out.write_all(&self.bytes)?;
        out.flush()?;
        self.bytes.clear();
        self.records = 0;
        for (topic, partitions) in std::mem::take(&mut self.offsets) {
            for (partition, offset) in partitions {
                store(&topic, partition, offset)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Whose reader has gone.
    struct BrokenPipe;

    impl Write for BrokenPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn two_records() -> Printed {
        let mut printed = Printed::default();
        for offset in [7, 8] {
            printed.bytes().extend_from_slice(b"record\n");
            printed.records += 1;
            printed.remember("t", 3, offset);
        }
        printed
    }

    #[test]
    fn an_offset_is_stored_after_its_record_was_written() {
        let mut printed = two_records();
        let (mut out, stored) = (Vec::new(), RefCell::new(Vec::new()));
        let store = |topic: &str, partition, offset| {
            stored.borrow_mut().push((topic.to_owned(), partition, offset));
            Ok(())
        };
        printed.flush_to(&mut out, store).unwrap();
        assert_eq!(out, b"record\nrecord\n");
        assert_eq!(*stored.borrow(), [("t".to_owned(), 3, 8)]);
        assert!(printed.is_empty());
        printed.flush_to(&mut out, store).unwrap();
        assert_eq!(stored.borrow().len(), 1);
    }

    #[test]
    fn an_offset_is_not_stored_when_nobody_reads_the_record() {
        let stored = RefCell::new(0);
        let store = |_: &str, _, _| {
            *stored.borrow_mut() += 1;
            Ok(())
        };
        two_records().flush_to(&mut BrokenPipe, store).unwrap_err();
        assert_eq!(*stored.borrow(), 0);
    }

    #[test]
    fn records_without_bytes_fill_it_too() {
        let printed = Printed {
            records: RECORDS_MAX,
            ..Printed::default()
        };
        assert!(printed.is_full() && !printed.is_empty());
    }
}
