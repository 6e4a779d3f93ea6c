//! Joins what one reader gets into runs of neighbouring records, so that a history holds a line a batch, not a line a record.

use history::{Event, Identity, Records};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use super::recorder::Recorder;

/// Records of a run at most: what a reader got shall stand in the history soon.
const RUN_MAX: u32 = 1_000;

/// What one reader gets.
#[derive(Debug)]
pub(super) struct ReadRuns {
    recorder: Recorder,
    reader: u16,
    run_id: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    us: u64,
    offset: u64,
    records: Records,
}

impl ReadRuns {
    /// Of this reader in this run of `klamm verify`.
    pub(super) fn new(recorder: Recorder, reader: u16, run_id: u64) -> Self {
        Self {
            recorder,
            reader,
            run_id,
            open: None,
        }
    }

    /// The reader got a record.
    pub(super) fn add(&mut self, message: &BorrowedMessage<'_>) {
        let (Ok(partition), Ok(offset)) = (u32::try_from(message.partition()), u64::try_from(message.offset())) else {
            return;
        };
        match self.identity(message, partition) {
            Ok(identity) => self.extend(identity, offset),
            Err(why) => {
                self.flush();
                let reader = self.reader;
                self.recorder.record(Event::Foreign {
                    reader,
                    partition,
                    offset,
                    why,
                });
            }
        }
    }

    /// Writes down what was got so far.
    pub(super) fn flush(&mut self) {
        if let Some(open) = self.open.take() {
            let event = Event::Read {
                reader: self.reader,
                offset: open.offset,
                records: open.records,
            };
            self.recorder.record_at(open.us, event);
        }
    }

    fn identity(&self, message: &BorrowedMessage<'_>, partition: u32) -> Result<Identity, String> {
        let value = message.payload().ok_or("a record without a value")?;
        let identity = Identity::read(message.key(), value).map_err(|damage| damage.to_string())?;
        if identity.run != self.run_id {
            return Err(format!("a record of run {:x}", identity.run));
        }
        if identity.partition != partition {
            return Err(format!(
                "a record of partition {}, producer {}, sequence {}",
                identity.partition, identity.producer, identity.sequence
            ));
        }
        Ok(identity)
    }

    fn extend(&mut self, identity: Identity, offset: u64) {
        if let Some(open) = &mut self.open {
            let count = u64::from(open.records.count);
            let records = &mut open.records;
            let follows = records.producer == identity.producer
                && records.partition == identity.partition
                && records.sequence + count == identity.sequence
                && open.offset + count == offset;
            if follows && records.count < RUN_MAX {
                records.count += 1;
                return;
            }
        }
        self.flush();
        self.open = Some(Open {
            us: self.recorder.us(),
            offset,
            records: Records {
                producer: identity.producer,
                partition: identity.partition,
                sequence: identity.sequence,
                count: 1,
            },
        });
    }
}
