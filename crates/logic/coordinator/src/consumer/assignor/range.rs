//! `range`: each topic's partitions are cut into as many stretches as it has subscribers. Static members come first, by their instance
//! ids, so that a restart under another member id changes nothing.

use std::collections::BTreeMap;

use types::{PartitionIndex, TopicId};

use super::Subscriber;
use crate::record::Assignment;

pub(super) fn assign(
    subscribers: &[Subscriber<'_>],
    partitions: &BTreeMap<TopicId, i32>,
) -> BTreeMap<String, Assignment> {
    let mut assigned: BTreeMap<String, Assignment> = subscribers
        .iter()
        .map(|subscriber| (subscriber.member_id.to_owned(), Assignment::new()))
        .collect();
    let mut sorted: Vec<&Subscriber<'_>> = subscribers.iter().collect();
    sorted.sort_by_key(|subscriber| {
        let instance = subscriber.instance_id;
        (instance.is_none(), instance.unwrap_or(subscriber.member_id))
    });
    for (topic, count) in partitions {
        let readers: Vec<&&Subscriber<'_>> = sorted
            .iter()
            .filter(|subscriber| subscriber.topics.contains(topic))
            .collect();
        let Ok(among) = i32::try_from(readers.len()) else {
            continue;
        };
        if among == 0 {
            continue;
        }
        let (each, mut extra) = (count / among, count % among);
        let mut from = 0;
        for reader in readers {
            let share = each + i32::from(extra > 0);
            extra -= i32::from(extra > 0);
            if share == 0 {
                break;
            }
            if let Some(assigned) = assigned.get_mut(reader.member_id) {
                let range = (from..from + share).map(PartitionIndex);
                assigned.insert(*topic, range.collect());
            }
            from += share;
        }
    }
    assigned
}
