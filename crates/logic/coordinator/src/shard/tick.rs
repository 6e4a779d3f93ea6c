//! The shard's timer.

use types::TimestampMs;

use super::GroupShard;
use crate::Effects;
use crate::consumer::ClusterView;
use crate::effects::Undo;

impl GroupShard {
    /// Does everything that is due at `now`: sessions, join phases, missing syncs, late commits, expired offsets.
    /// Set the timer to [`GroupShard::next_deadline`] afterwards.
    pub fn tick(&mut self, now: TimestampMs, cluster: &dyn ClusterView) -> Effects {
        let mut effects = Effects::default();
        let mut consumers = Vec::new();
        while let Some(group_id) = self.next_due_group(now) {
            if self.consumer_timers.contains_key(&group_id) {
                effects
                    .records
                    .extend(self.tick_consumer_group(now, &group_id, cluster));
                self.arm(&group_id);
                consumers.push(group_id);
                continue;
            }
            let mut turn = self.turn(now);
            if let Some(group) = self.groups.get_mut(&group_id) {
                // Each step removes a timer or moves it past `now`, so this ends.
                while let Some((_, due)) = group.next_due().filter(|(at, _)| *at <= now) {
                    group.on_due(&mut turn, due);
                }
            }
            let done = self.settle(&group_id, turn);
            effects.records.extend(done.records);
            effects.replies.extend(done.replies);
        }
        if !consumers.is_empty() {
            effects.undo = Undo::Consumers(consumers);
        }
        if self.expiry_at.is_some_and(|at| at <= now) {
            self.expire_offsets(now, &mut effects.records);
        }
        effects
    }
}
