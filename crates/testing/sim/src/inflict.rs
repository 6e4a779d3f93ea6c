//! Making faults happen, within what the promises allow, and ending them.

use std::sync::Arc;
use std::time::Duration;

use crate::fabric::NodeId;
use crate::faults::{Fault, FaultPlan, crash_kind};
use crate::invariants::Violation;
use crate::view::voters;
use crate::world::{End, Host, STOPPED, World};

impl World {
    /// Makes a fault happen, unless it would take more than the promises allow.
    pub(crate) fn inflict(&mut self, fault: Fault) -> Result<(), Violation> {
        let allowed = match &fault {
            Fault::PowerCut(cuts) => self.may_cut_power(cuts.iter().map(|(node, _)| *node).collect()),
            Fault::Wipe(..) => self.may_wipe(),
            _ => true,
        };
        if !allowed {
            return Ok(());
        }
        self.look()?;
        *self.faults.entry(fault.kind()).or_default() += 1;
        self.trace.event(self.now_ms, format_args!("{fault:?}"));
        let heal_in = |world: &mut Self, ms: u64| {
            let at = world.now_ms + ms;
            world.heal_at = Some(world.heal_at.map_or(at, |earlier| earlier.max(at)));
        };
        match fault {
            Fault::Kill(kills) => kills
                .into_iter()
                .for_each(|(node, again)| self.end(node, End::Kill, again)),
            Fault::PowerCut(cuts) => cuts
                .into_iter()
                .for_each(|(node, again)| self.end(node, End::PowerCut, again)),
            Fault::Stop(node, again) => self.stop(node, again),
            Fault::Freeze(node, ms) => {
                let until = self.now_ms + ms;
                if let Some(host) = self.hosts.get_mut(&node).filter(|host| host.running.is_some()) {
                    host.frozen_until = Some(until);
                }
            }
            Fault::Isolate(node, ms) => {
                for other in 0..=self.scenario.nodes {
                    if other != node {
                        self.fabric.cut(node, other);
                        self.fabric.cut(other, node);
                    }
                }
                heal_in(self, ms);
            }
            Fault::CutOneWay(from, to, ms) => {
                self.fabric.cut(from, to);
                heal_in(self, ms);
            }
            Fault::CutPair(one, other, ms) => {
                self.fabric.cut(one, other);
                self.fabric.cut(other, one);
                heal_in(self, ms);
            }
            Fault::Slow(node, extra, ms) => {
                self.fabric.set_slow(node, extra);
                heal_in(self, ms);
            }
            Fault::BadWeather(ms) => {
                let weather = FaultPlan::weather(&mut self.dice);
                self.fabric.set_weather(weather);
                heal_in(self, ms);
            }
            Fault::Reset(node) => self.fabric.break_some(|from, to| from == node || to == node, 2),
            Fault::DiskFull(node, room, ms) => self.ail(node, ms, |host| {
                host.disk.set_capacity(Some(host.disk.size_bytes() + room));
            }),
            Fault::DiskError(node, operation, place, ms) => self.ail(node, ms, |host| {
                host.disk.fail(operation, place, std::io::ErrorKind::Other);
            }),
            Fault::DiskStall(node, ms) => self.ail(node, ms, |host| {
                host.gate.send_replace(false);
            }),
            Fault::Crash(node, crash) => {
                if let Some(host) = self.hosts.get_mut(&node).filter(|host| host.running.is_some()) {
                    host.disk.stop_at(Some(crash.step));
                    host.crash = Some(crash);
                }
            }
            Fault::Wipe(node, again) => self.end(node, End::Wipe, again),
        }
        Ok(())
    }

    /// Without synced acknowledgements a second host may lose its power only when the first has everything again.
    fn may_cut_power(&self, cuts: Vec<NodeId>) -> bool {
        if self.scenario.synced {
            return true;
        }
        cuts.len() == 1
            && self.hosts.iter().all(|(node, host)| !host.dirty || cuts.contains(node))
            && self.all_in_sync()
    }

    /// A disk may be lost while every other host has everything, the quorum's log included.
    fn may_wipe(&self) -> bool {
        let views = self.views();
        let voting = voters(&views);
        views.len() == self.hosts.len()
            && self.hosts.values().all(|host| !host.dirty)
            && self.hosts.keys().all(|node| voting.contains(node))
            && self.all_in_sync()
    }

    fn ail(&mut self, node: NodeId, ms: u64, what: impl FnOnce(&mut Host)) {
        let until = self.now_ms + ms;
        if let Some(host) = self.hosts.get_mut(&node).filter(|host| host.running.is_some()) {
            what(host);
            host.ailing = true;
            host.heals_at = Some(host.heals_at.map_or(until, |earlier| earlier.max(until)));
        }
    }

    /// A process that has come to the step that was drawn for it ends.
    pub(crate) fn crash(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(host) = self.hosts.get_mut(&node).filter(|host| host.disk.is_stopped()) else {
            return Ok(());
        };
        let Some(crash) = host.crash.take() else { return Ok(()) };
        self.look()?;
        let how = if crash.with_power && self.may_cut_power(vec![node]) {
            End::PowerCut
        } else {
            End::Kill
        };
        self.trace.event(
            self.now_ms,
            format_args!("node {node} ends ({how:?}) at {:?}", crash.step),
        );
        *self.faults.entry(crash_kind(crash.step.operation)).or_default() += 1;
        self.end(node, how, crash.again_ms);
        Ok(())
    }

    /// A disk's trouble is over when its time has come.
    pub(crate) fn heal_disk(&mut self, node: NodeId) {
        let now = self.now_ms;
        if let Some(host) = self.hosts.get_mut(&node)
            && host.heals_at.is_some_and(|at| at <= now)
        {
            host.heals_at = None;
            host.disk.heal();
            host.disk.set_capacity(None);
            host.gate.send_replace(true);
            self.trace
                .event(now, format_args!("the disk of node {node} is whole again"));
        }
    }

    fn stop(&mut self, node: NodeId, again_ms: u64) {
        let now = self.now_ms;
        let Some(host) = self.hosts.get_mut(&node) else { return };
        let Some(running) = host
            .running
            .as_ref()
            .filter(|_| host.stopping.is_none() && host.frozen_until.is_none())
        else {
            return;
        };
        host.stopping = Some((now, again_ms));
        let parts = Arc::clone(&running.parts);
        running.scope.handle().spawn(async move {
            let (broker, entrance, quorum) = {
                let parts = parts.lock();
                (parts.broker(), parts.entrance.clone(), parts.quorum.clone())
            };
            if let Some(broker) = broker {
                broker.begin_shutdown();
                let mut session = broker.session();
                let moved = session.wait_for(|state| state.may_stop || state.rejected.is_some());
                let _ = tokio::time::timeout(Duration::from_secs(2), moved).await;
                if let Some(entrance) = entrance {
                    entrance.stop();
                }
                if let Err(error) = broker.close().await {
                    parts.lock().failure.get_or_insert(format!("close: {error}"));
                }
            }
            if let Some(quorum) = quorum {
                quorum.resign().await;
                quorum.shutdown().await;
            }
            parts.lock().failure.get_or_insert(STOPPED.to_owned());
        });
    }
}
