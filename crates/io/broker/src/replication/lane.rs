//! The follower's end of one replication stream: one leader's broker, one lane.
//!
//! The task keeps the stream open while it has partitions to follow; when it breaks, every partition follows anew under
//! a new follow id. Pushes are written in the task, acknowledgements of several pushes go in one message.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rpc::proto::follower_to_leader::Message as ToLeader;
use rpc::proto::leader_to_follower::Message as FromLeader;
use rpc::proto::{
    Ack, AckBatch, FollowPartition, FollowRefused, FollowerToLeader, Lane, LeaderToFollower, Probe, Push,
    ReplicationHello, Unfollow,
};
use rpc::{Link, PeerAddress};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use types::{BrokerId, EpochEnd, ErrorCode, FollowId, LeaderEpoch, Offset, TopicIdPartition};

use super::ack_queue::AckQueue;
use super::replica_fetchers::FetcherShared;
use crate::partition::{Partition, PushError};

/// Opening a stream takes at most this.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause before a broken stream is opened again: short, because a leader that restarts is back within milliseconds.
const REOPEN_PAUSE: Duration = Duration::from_millis(50);
/// The pause grows to this while the leader stays away.
const REOPEN_PAUSE_MAX: Duration = Duration::from_millis(500);
/// Pause before a refused follow is asked again: the leader's image may be a moment behind.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);
/// Pause before a replica whose directory is full looks whether there is room.
const FULL_PAUSE: Duration = Duration::from_millis(500);
/// Messages handled before acknowledgements are sent: many pushes make one message, none waits long.
const ACK_EVERY: usize = 16;

/// What the task is told.
#[derive(Debug)]
pub(super) enum LaneCommand {
    /// Follow a partition's leadership.
    Follow(FollowTurn),
    /// Follow it no more.
    Unfollow(TopicIdPartition),
}

/// A partition that is to be followed, on one lane at a time.
#[derive(Debug)]
pub(crate) struct FollowTurn {
    pub(crate) partition: Arc<Partition>,
    pub(crate) leader_epoch: LeaderEpoch,
    /// REPL-4: a lane that still holds an older turn, because it hasn't heard yet that the replica is followed elsewhere, can't take
    /// the follow from the lane with the newest one.
    pub(crate) number: u64,
}

#[derive(Debug)]
struct Followed {
    turn: FollowTurn,
    follow_id: Option<FollowId>,
}

/// One lane to one leader's broker.
#[derive(Debug)]
pub(super) struct LaneTask {
    shared: Arc<FetcherShared>,
    leader: BrokerId,
    lane: Lane,
    followed: HashMap<TopicIdPartition, Followed>,
    by_follow: HashMap<FollowId, TopicIdPartition>,
    retries: BTreeSet<(Instant, TopicIdPartition)>,
    acks: Arc<AckQueue>,
    /// Questions for a sign of life that went out over this stream, unanswered.
    questions: VecDeque<u64>,
}

type ToLeaderTx = mpsc::Sender<FollowerToLeader>;

impl LaneTask {
    pub(super) fn new(shared: Arc<FetcherShared>, leader: BrokerId, lane: Lane) -> Self {
        Self {
            shared,
            leader,
            lane,
            followed: HashMap::new(),
            by_follow: HashMap::new(),
            retries: BTreeSet::new(),
            acks: Arc::new(AckQueue::default()),
            questions: VecDeque::new(),
        }
    }

    /// Runs until the command channel closes.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<LaneCommand>) {
        let mut pause = REOPEN_PAUSE;
        loop {
            if self.followed.is_empty() {
                let Some(command) = commands.recv().await else { return };
                self.take(command);
                while let Ok(command) = commands.try_recv() {
                    self.take(command);
                }
                continue;
            }
            match self.open().await {
                Some(link) => {
                    pause = REOPEN_PAUSE;
                    self.shared.host.peers.on_reached(self.leader);
                    let goes_on = self.serve(link, &mut commands).await;
                    self.questions.clear();
                    if goes_on && !self.followed.is_empty() {
                        self.shared.host.peers.on_lost(self.leader);
                    }
                    self.shared.host.peers.on_closed(self.leader);
                    if !goes_on {
                        return;
                    }
                }
                None => self.shared.host.peers.on_lost(self.leader),
            }
            self.by_follow.clear();
            for followed in self.followed.values_mut() {
                followed.follow_id = None;
            }
            self.retries.clear();
            let until = Instant::now() + pause;
            pause = (pause * 2).min(REOPEN_PAUSE_MAX);
            loop {
                tokio::select! {
                    () = sleep_until(until) => break,
                    command = commands.recv() => match command {
                        Some(command) => self.take(command),
                        None => return,
                    },
                }
            }
        }
    }

    /// Outside a stream, commands only change what is wanted.
    fn take(&mut self, command: LaneCommand) {
        match command {
            // A partition handed over from the other lane may come after its next turn.
            LaneCommand::Follow(turn) if self.is_outdated(&turn) => {}
            LaneCommand::Follow(turn) => {
                let followed = Followed { turn, follow_id: None };
                self.followed.insert(followed.turn.partition.id(), followed);
            }
            LaneCommand::Unfollow(id) => {
                self.followed.remove(&id);
            }
        }
    }

    fn address(&self) -> Option<PeerAddress> {
        let image = self.shared.host.image.load();
        let listener = image
            .broker(self.leader)?
            .listener(&self.shared.inter_broker_listener)?
            .clone();
        Some(PeerAddress::new(&listener.host, listener.port))
    }

    async fn open(&self) -> Option<Link<FollowerToLeader, LeaderToFollower>> {
        let address = self.address()?;
        let mut link = match self.shared.network.replication(&address, self.lane, OPEN_TIMEOUT).await {
            Ok(link) => link,
            Err(error) => {
                tracing::debug!(leader = %self.leader, %error, "no replication stream");
                return None;
            }
        };
        let header = Some(self.shared.identity.header(self.shared.host.broker_epoch()));
        let hello = ToLeader::Hello(ReplicationHello {
            header,
            lane: self.lane.into(),
        });
        link.tx.send(FollowerToLeader { message: Some(hello) }).await.ok()?;
        match timeout(OPEN_TIMEOUT, link.rx.recv()).await {
            Ok(Some(LeaderToFollower {
                message: Some(FromLeader::Accepted(_)),
            })) => Some(link),
            _ => None,
        }
    }

    /// Follows over an open stream until it breaks; false when the task is to end.
    async fn serve(
        &mut self,
        link: Link<FollowerToLeader, LeaderToFollower>,
        commands: &mut mpsc::Receiver<LaneCommand>,
    ) -> bool {
        let Link { tx, mut rx } = link;
        let acks = Arc::clone(&self.acks);
        let mut questions = self.shared.host.peers.questions();
        let ids: Vec<TopicIdPartition> = self.followed.keys().copied().collect();
        for id in ids {
            if !self.follow(id, &tx).await {
                return true;
            }
        }
        loop {
            let retry = self.retries.first().map(|(at, _)| *at);
            tokio::select! {
                message = rx.recv() => {
                    let Some(message) = message else { return true };
                    self.shared.host.peers.on_heard(self.leader);
                    if !self.handle(message, &tx).await {
                        return true;
                    }
                    for _ in 1..ACK_EVERY {
                        let Some(message) = rx.try_recv() else { break };
                        if !self.handle(message, &tx).await {
                            return true;
                        }
                    }
                    if !self.send_acks(&tx).await {
                        return true;
                    }
                }
                Ok(()) = questions.changed() => {
                    let question = *questions.borrow_and_update();
                    self.questions.push_back(question);
                    if !send(&tx, ToLeader::Probe(Probe {})).await {
                        return true;
                    }
                }
                () = acks.marked() => {
                    if !self.send_acks(&tx).await {
                        return true;
                    }
                }
                command = commands.recv() => {
                    let Some(command) = command else { return false };
                    if !self.obey(command, &tx).await {
                        return true;
                    }
                    if self.followed.is_empty() {
                        // Nothing left to follow here: the stream closes until there is.
                        return true;
                    }
                }
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                    let now = Instant::now();
                    while let Some((_, id)) = self.retries.first().copied().filter(|(at, _)| *at <= now) {
                        self.retries.pop_first();
                        let waits = self.followed.get(&id).is_some_and(|followed| followed.follow_id.is_none());
                        if waits && !self.follow(id, &tx).await {
                            return true;
                        }
                    }
                }
            }
        }
    }

    async fn obey(&mut self, command: LaneCommand, tx: &ToLeaderTx) -> bool {
        match command {
            LaneCommand::Follow(turn) if self.is_outdated(&turn) => true,
            LaneCommand::Follow(turn) => {
                let id = turn.partition.id();
                self.forget(id);
                self.take(LaneCommand::Follow(turn));
                self.follow(id, tx).await
            }
            LaneCommand::Unfollow(id) => {
                let before = self.forget(id);
                self.followed.remove(&id);
                unfollow(tx, before).await
            }
        }
    }

    fn is_outdated(&self, turn: &FollowTurn) -> bool {
        let followed = self.followed.get(&turn.partition.id());
        followed.is_some_and(|followed| followed.turn.number > turn.number)
    }

    fn forget(&mut self, id: TopicIdPartition) -> Option<FollowId> {
        let follow_id = self.followed.get_mut(&id)?.follow_id.take()?;
        self.by_follow.remove(&follow_id);
        Some(follow_id)
    }

    /// Asks to follow under a new follow id; false when the stream is broken.
    async fn follow(&mut self, id: TopicIdPartition, tx: &ToLeaderTx) -> bool {
        let before = self.forget(id);
        let Some(followed) = self.followed.get_mut(&id) else {
            return true;
        };
        let partition = &followed.turn.partition;
        let is_full = partition.health().is_full().then_some(FULL_PAUSE);
        if let Some(wait) = is_full.or_else(|| self.shared.must_wait(partition)) {
            self.retry_after(id, wait);
            return unfollow(tx, before).await;
        }
        let follow_id = self.shared.next_follow_id();
        let Some(request) = partition.begin_follow(&followed.turn, follow_id, &self.acks) else {
            // Another leadership, none, or another turn: somebody else was, or will be, told.
            self.followed.remove(&id);
            return unfollow(tx, before).await;
        };
        followed.follow_id = Some(follow_id);
        self.by_follow.insert(follow_id, id);
        let message = FollowPartition {
            topic_id: id.topic_id.0.as_bytes().to_vec().into(),
            partition: id.partition.0,
            leader_epoch: request.leader_epoch.0,
            follow_id: follow_id.0,
            offset: request.offset.0,
            acknowledgeable_end: request.acknowledgeable_end.0,
            last_epoch: request.last_epoch.0,
            log_start_offset: partition.status().log_start_offset.0,
        };
        send(tx, ToLeader::Follow(message)).await
    }

    async fn handle(&mut self, message: LeaderToFollower, tx: &ToLeaderTx) -> bool {
        match message.message {
            Some(FromLeader::Pushes(batch)) => {
                for push in batch.pushes {
                    if !self.on_push(&push, tx).await {
                        return false;
                    }
                }
                true
            }
            Some(FromLeader::Truncate(truncate)) => {
                let end = EpochEnd {
                    epoch: LeaderEpoch(truncate.epoch),
                    end_offset: Offset(truncate.end_offset),
                };
                let follow_id = FollowId(truncate.follow_id);
                let Some(partition) = self.partition_of(follow_id) else {
                    return true;
                };
                let done = partition.on_truncate(follow_id, end);
                self.follow_again(partition.id(), done, tx).await
            }
            Some(FromLeader::Restart(restart)) => {
                let follow_id = FollowId(restart.follow_id);
                let Some(partition) = self.partition_of(follow_id) else {
                    return true;
                };
                let done = partition.on_restart(follow_id, Offset(restart.log_start_offset));
                self.follow_again(partition.id(), done, tx).await
            }
            Some(FromLeader::Refused(refused)) => {
                self.on_refused(&refused);
                true
            }
            Some(FromLeader::Behind(behind)) => self.move_to(Lane::CatchUp, FollowId(behind.follow_id), tx).await,
            Some(FromLeader::Probed(_)) => {
                if let Some(question) = self.questions.pop_front() {
                    self.shared.host.peers.on_answered(self.leader, question);
                }
                true
            }
            Some(FromLeader::Appends(_) | FromLeader::Accepted(_)) | None => true,
        }
    }

    fn partition_of(&self, follow_id: FollowId) -> Option<Arc<Partition>> {
        let id = self.by_follow.get(&follow_id)?;
        self.followed
            .get(id)
            .map(|followed| Arc::clone(&followed.turn.partition))
    }

    async fn follow_again(&mut self, id: TopicIdPartition, done: Result<bool, PushError>, tx: &ToLeaderTx) -> bool {
        match done {
            Ok(recovery_point_lowered) => {
                if recovery_point_lowered {
                    // Else a recovery after a power cut would trust what is written from here on.
                    let directory = self
                        .followed
                        .get(&id)
                        .map(|followed| followed.turn.partition.directory());
                    if let Some(directory) = directory {
                        self.shared.write_checkpoints(directory).await;
                    }
                }
                self.follow(id, tx).await
            }
            Err(error) => {
                tracing::warn!(%id, %error, "could not follow the leader's answer");
                self.retry(id);
                true
            }
        }
    }

    async fn on_push(&mut self, push: &Push, tx: &ToLeaderTx) -> bool {
        let follow_id = FollowId(push.follow_id);
        let Some(partition) = self.partition_of(follow_id) else {
            return true;
        };
        match partition.on_push(follow_id, push) {
            Ok(written) => {
                if !push.records.is_empty() {
                    self.acks.mark(follow_id);
                    if let Some(wait) = self.shared.taken(&partition, push, written.log_end) {
                        return self.pause(partition.id(), wait, tx).await;
                    }
                    if push.near && self.lane == Lane::CatchUp {
                        return self.move_to(Lane::Tail, follow_id, tx).await;
                    }
                }
                true
            }
            Err(PushError::NotFollower) => {
                self.forget(partition.id());
                self.followed.remove(&partition.id());
                true
            }
            Err(PushError::Refused(refusal)) => {
                tracing::debug!(id = %partition.id(), %refusal, "follows anew");
                self.follow(partition.id(), tx).await
            }
            Err(PushError::DiskFull) => {
                // It falls behind until there is room; the leader must not count on it meanwhile.
                tracing::debug!(id = %partition.id(), "no room: does not follow until there is");
                self.pause(partition.id(), FULL_PAUSE, tx).await
            }
            Err(error) => {
                // REPL-2: the others on this stream go on.
                tracing::warn!(id = %partition.id(), %error, "a push was not written");
                self.retry(partition.id());
                true
            }
        }
    }

    fn on_refused(&mut self, refused: &FollowRefused) {
        let Some(id) = self.by_follow.get(&FollowId(refused.follow_id)).copied() else {
            return;
        };
        let code = ErrorCode::from_code(i16::try_from(refused.error_code).unwrap_or(-1));
        tracing::debug!(%id, %code, message = refused.message, "follow refused");
        self.retry(id);
    }

    fn retry(&mut self, id: TopicIdPartition) {
        self.forget(id);
        self.retry_after(id, REFUSED_PAUSE);
    }

    /// Doesn't follow for a while; false when the stream is broken.
    async fn pause(&mut self, id: TopicIdPartition, pause: Duration, tx: &ToLeaderTx) -> bool {
        let before = self.forget(id);
        self.retry_after(id, pause);
        unfollow(tx, before).await
    }

    fn retry_after(&mut self, id: TopicIdPartition, pause: Duration) {
        self.retries.insert((Instant::now() + pause, id));
    }

    async fn move_to(&mut self, lane: Lane, follow_id: FollowId, tx: &ToLeaderTx) -> bool {
        let Some(id) = self.by_follow.get(&follow_id).copied() else {
            return true;
        };
        let before = self.forget(id);
        let alive = unfollow(tx, before).await;
        if let Some(followed) = self.followed.remove(&id) {
            self.shared.hand_over(self.leader, lane, followed.turn);
        }
        alive
    }

    async fn send_acks(&self, tx: &ToLeaderTx) -> bool {
        let acks: Vec<Ack> = self
            .acks
            .drain()
            .into_iter()
            .filter_map(|follow_id| {
                let outcome = self.partition_of(follow_id)?.current_ack(follow_id)?;
                Some(Ack {
                    follow_id: follow_id.0,
                    end: outcome.acknowledgeable_end.0,
                    log_end: outcome.log_end.0,
                    log_start_offset: outcome.log_start.0,
                })
            })
            .collect();
        acks.is_empty() || send(tx, ToLeader::Acks(AckBatch { acks })).await
    }
}

async fn send(tx: &ToLeaderTx, message: ToLeader) -> bool {
    tx.send(FollowerToLeader { message: Some(message) }).await.is_ok()
}

/// Tells the leader that a follow is over; true when the stream still stands.
async fn unfollow(tx: &ToLeaderTx, follow_id: Option<FollowId>) -> bool {
    match follow_id {
        Some(follow_id) => send(tx, ToLeader::Unfollow(Unfollow { follow_id: follow_id.0 })).await,
        None => true,
    }
}
