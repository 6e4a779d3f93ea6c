//! Reports about partitions that nobody clean is left of (design, "If nobody clean is left").
//!
//! LAST-1: a partition is decided on only when every member of its last known ISR has reported under its present
//! incarnation; a missing one could hold acknowledged records that nobody else has.

use std::collections::BTreeMap;

use metadata::MetadataImage;
use metadata::control::is_waiting_for_reports;
use metadata::proto::{ElectLastKnownRequest, LastKnownItem, LogEndReport, ReplicaLogEnd};
use parking_lot::Mutex;
use types::{BrokerEpoch, BrokerId, TopicIdPartition};

/// What the brokers have reported so far.
#[derive(Debug, Default)]
pub(crate) struct LogEnds(Mutex<BTreeMap<TopicIdPartition, BTreeMap<BrokerId, LogEndReport>>>);

impl LogEnds {
    /// Takes a broker's reports; gives those partitions that can be decided on now.
    pub(crate) fn gather(
        &self,
        image: &MetadataImage,
        broker: BrokerId,
        epoch: BrokerEpoch,
        ends: &[ReplicaLogEnd],
    ) -> ElectLastKnownRequest {
        let mut reports = self.0.lock();
        reports.retain(|id, _| {
            image
                .partition(*id)
                .is_some_and(|partition| is_waiting_for_reports(partition))
        });
        let mut partitions = Vec::new();
        for end in ends {
            let Some(id) = end
                .partition
                .as_ref()
                .and_then(|id| TopicIdPartition::try_from(id).ok())
            else {
                continue;
            };
            let Some(partition) = image
                .partition(id)
                .filter(|partition| is_waiting_for_reports(partition))
            else {
                continue;
            };
            let of_partition = reports.entry(id).or_default();
            of_partition.insert(
                broker,
                LogEndReport {
                    broker_id: broker.0,
                    broker_epoch: epoch.0,
                    last_epoch: end.last_epoch,
                    log_end_offset: end.log_end_offset,
                },
            );
            if partition
                .last_known_elr
                .iter()
                .all(|member| of_partition.contains_key(member))
            {
                partitions.push(LastKnownItem {
                    partition: Some(id.into()),
                    reports: of_partition.values().cloned().collect(),
                });
            }
        }
        ElectLastKnownRequest { partitions }
    }
}
