//! The leader's end of a replication stream.
//!
//! Two halves: the reader takes follows and acknowledgements and never waits for the peer, the writer sends answers and
//! pushes. So a slow follower can't keep its own acknowledgements from being read.
//!
//! REPL-3: a mark that moved (the high watermark, the log's start) goes with the next records, or within [`MARK_DELAY`]: alone
//! and at once it would cost both nodes another message for each one of a small producer's.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use partition::{FollowAnswer, FollowRefusal, FollowRequest};
use rpc::proto::follower_to_leader::Message as FromFollower;
use rpc::proto::leader_to_follower::Message as ToFollower;
use rpc::proto::{
    AckBatch, FollowAppends, FollowBehind, FollowPartition, FollowRefused, FollowRestart, FollowTruncate,
    FollowerToLeader, Lane, LeaderToFollower, ProbeReply, PushBatch, ReplicationAccepted,
};
use rpc::{Link, PeerIdentity, ReplicationService};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use types::{BrokerEpoch, BrokerId, ErrorCode, FollowId, LeaderEpoch, Offset, TopicId, TopicIdPartition, Uuid};

use crate::partition::{ColdRead, FollowReply, NextPush, Partition};
use crate::replica_manager::ReplicaManager;

use super::throttle::Sending;

/// Bytes pushed and not yet acknowledged on a stream (REPL-1): enough to keep a fast disk busy, little enough to bound
/// what a stalled follower pins.
const IN_FLIGHT_BYTES: usize = 8 << 20;
/// Answers that wait for a follower to read them: far more than it has partitions.
const REPLIES_MAX: usize = 100_000;
/// How long a moved mark waits for records to go with. A follower that becomes the leader knows so much less of what is committed,
/// and finds out by its own followers.
const MARK_DELAY: Duration = Duration::from_millis(5);
/// Bytes of one message of pushes.
const MESSAGE_BYTES: usize = 1 << 20;

/// Follows that have something to be told, first come first served: a busy partition doesn't keep others waiting.
#[derive(Debug, Default)]
struct ReadyQueue {
    order: VecDeque<FollowId>,
    members: HashSet<FollowId>,
}

impl ReadyQueue {
    fn push(&mut self, follow: FollowId) {
        if self.members.insert(follow) {
            self.order.push_back(follow);
        }
    }

    fn remove(&mut self, follow: FollowId) -> bool {
        let is_there = self.members.remove(&follow);
        if is_there {
            self.order.retain(|one| *one != follow);
        }
        is_there
    }

    fn pop(&mut self) -> Option<FollowId> {
        let follow = self.order.pop_front()?;
        self.members.remove(&follow);
        Some(follow)
    }
}

/// The follows of one stream: one a partition, the newest.
#[derive(Debug, Default)]
struct Follows {
    by_id: HashMap<FollowId, Arc<Partition>>,
    of_partition: HashMap<TopicIdPartition, FollowId>,
}

impl Follows {
    fn insert(&mut self, follow: FollowId, partition: Arc<Partition>) {
        if let Some(older) = self.of_partition.insert(partition.id(), follow) {
            self.by_id.remove(&older);
        }
        self.by_id.insert(follow, partition);
    }

    fn remove(&mut self, follow: FollowId) -> Option<Arc<Partition>> {
        let partition = self.by_id.remove(&follow)?;
        if self.of_partition.get(&partition.id()) == Some(&follow) {
            self.of_partition.remove(&partition.id());
        }
        Some(partition)
    }
}

/// What reader, writer and partitions share of one stream.
#[derive(Debug)]
pub(crate) struct FollowerStream {
    ready: Mutex<ReadyQueue>,
    /// Follows whose marks have moved.
    moved: Mutex<ReadyQueue>,
    /// Whether the writer looks for them by itself soon.
    awaits_marks: AtomicBool,
    replies: Mutex<VecDeque<ToFollower>>,
    follows: Mutex<Follows>,
    in_flight: AtomicUsize,
    notify: Notify,
    /// Who follows.
    replica: BrokerId,
    held: Mutex<Held>,
}

/// Follows that a throttle holds back.
#[derive(Debug, Default)]
struct Held {
    follows: ReadyQueue,
    /// When to look again.
    until: Option<Instant>,
}

impl FollowerStream {
    fn new(replica: BrokerId) -> Self {
        Self {
            replica,
            held: Mutex::default(),
            ready: Mutex::default(),
            moved: Mutex::default(),
            awaits_marks: AtomicBool::new(false),
            replies: Mutex::default(),
            follows: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            notify: Notify::new(),
        }
    }

    /// The follow has something to be told.
    pub(crate) fn mark_ready(&self, follow: FollowId) {
        self.ready.lock().push(follow);
        self.notify.notify_one();
    }

    /// The follow's marks have moved (REPL-3).
    pub(crate) fn mark_moved(&self, follow: FollowId) {
        self.moved.lock().push(follow);
        if !self.awaits_marks.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }

    /// Moved marks are told with what is sent next.
    fn tell_marks(&self) {
        if self.awaits_marks.swap(false, Ordering::AcqRel) {
            let moved = std::mem::take(&mut *self.moved.lock());
            let mut ready = self.ready.lock();
            moved.order.into_iter().for_each(|follow| ready.push(follow));
        }
    }

    /// Waits until there may be something to be told.
    async fn has_news(&self) {
        let news = self.notify.notified();
        let held = self.held.lock().until;
        let marks = self.awaits_marks.load(Ordering::Acquire);
        let marks = marks.then(|| Instant::now() + MARK_DELAY);
        match [held, marks].into_iter().flatten().min() {
            None => news.await,
            Some(deadline) => {
                if timeout_at(deadline, news).await.is_err() && marks == Some(deadline) {
                    self.tell_marks();
                }
            }
        }
    }

    /// A throttle holds the follow back for so long.
    fn hold(&self, follow: FollowId, wait: Duration) {
        let mut held = self.held.lock();
        held.follows.push(follow);
        let until = Instant::now() + wait;
        held.until = Some(held.until.map_or(until, |earlier| earlier.min(until)));
    }

    /// Looks again at those that were held back, once that is due.
    fn release_held(&self) {
        let mut held = self.held.lock();
        if held.until.is_some_and(|until| until <= Instant::now()) {
            held.until = None;
            let follows = std::mem::take(&mut held.follows);
            let mut ready = self.ready.lock();
            follows.order.into_iter().for_each(|follow| ready.push(follow));
        }
    }

    /// The follow went on: perhaps nothing holds it back any more.
    fn release(&self, follow: FollowId) {
        if self.held.lock().follows.remove(follow) {
            self.mark_ready(follow);
        }
    }

    fn reply(&self, message: ToFollower) {
        self.replies.lock().push_back(message);
        self.notify.notify_one();
    }

    /// Pushed bytes were acknowledged, or their follow is over.
    pub(crate) fn freed(&self, bytes: usize) {
        if bytes > 0 && self.in_flight.fetch_sub(bytes, Ordering::AcqRel) >= IN_FLIGHT_BYTES {
            self.notify.notify_one();
        }
    }

    fn over_budget(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) >= IN_FLIGHT_BYTES
    }

    /// The next message of pushes, as far as the budget allows.
    async fn gather(&self, replicas: &ReplicaManager) -> PushBatch {
        let mut batch = PushBatch::default();
        let mut bytes = 0;
        self.release_held();
        if !self.ready.lock().order.is_empty() {
            self.tell_marks();
        }
        while bytes < MESSAGE_BYTES && !self.over_budget() {
            let Some(follow) = self.ready.lock().pop() else { break };
            let Some(partition) = self.follows.lock().by_id.get(&follow).cloned() else {
                continue;
            };
            if self.held.lock().follows.members.contains(&follow) {
                continue;
            }
            let sending = replicas.sending(&partition, self.replica, || partition.in_flight(self, follow));
            if let Sending::Held(wait) = sending {
                self.hold(follow, wait);
                continue;
            }
            let room = MESSAGE_BYTES - bytes;
            let mut next = partition.next_push(self, follow, room, None);
            while let NextPush::Cold(from, read) = next {
                // A follower that catches up waits for the disk; the thread, and the partition's lock, don't.
                let Some(read) = replicas.pool_of(partition.directory()).run(move || read.run()).await else {
                    return batch;
                };
                next = partition.next_push(self, follow, room, Some(ColdRead { from, read }));
            }
            let push = match next {
                NextPush::Push(push) => push,
                NextPush::Cold(..) => continue,
                NextPush::Nothing => continue,
                NextPush::Lost => {
                    self.follows.lock().remove(follow);
                    self.reply(refused(
                        follow.0,
                        ErrorCode::OffsetOutOfRange,
                        "the next record can't be read",
                    ));
                    continue;
                }
            };
            let length = push.records.len();
            if length > 0 {
                // Perhaps there is more; the next look tells.
                self.ready.lock().push(follow);
            }
            if sending == Sending::Counted {
                replicas.sent(length);
            }
            bytes += length;
            self.in_flight.fetch_add(length, Ordering::AcqRel);
            batch.pushes.push(push);
        }
        batch
    }
}

/// Serves followers.
#[derive(Debug)]
pub struct ReplicationServer {
    replicas: Arc<ReplicaManager>,
    identity: PeerIdentity,
}

impl ReplicationServer {
    /// Over this broker's replicas.
    #[must_use]
    pub fn new(replicas: Arc<ReplicaManager>, identity: PeerIdentity) -> Self {
        Self { replicas, identity }
    }
}

#[async_trait]
impl ReplicationService for ReplicationServer {
    async fn stream(&self, link: Link<LeaderToFollower, FollowerToLeader>) {
        let Link { tx, mut rx } = link;
        let Some(FollowerToLeader {
            message: Some(FromFollower::Hello(hello)),
        }) = rx.recv().await
        else {
            return;
        };
        let header = match self.identity.check(hello.header.as_ref()) {
            Ok(header) => header,
            Err(refusal) => {
                tracing::warn!(%refusal, "refused a replication stream");
                return;
            }
        };
        let peer = Peer {
            replica: BrokerId(header.node_id),
            broker_epoch: BrokerEpoch(header.broker_epoch),
            tail_lane: hello.lane() == Lane::Tail,
        };
        let stream = Arc::new(FollowerStream::new(peer.replica));
        let accepted = ReplicationAccepted {
            broker_epoch: self.replicas.host().broker_epoch().0,
        };
        stream.reply(ToFollower::Accepted(accepted));
        let read = async {
            while let Some(message) = rx.recv().await {
                if stream.replies.lock().len() > REPLIES_MAX {
                    tracing::warn!(replica = %peer.replica, "a follower asks and doesn't listen: its stream is closed");
                    break;
                }
                match message.message {
                    Some(FromFollower::Follow(follow)) => self.on_follow(&stream, &peer, &follow),
                    Some(FromFollower::Acks(acks)) => on_acks(&stream, &acks),
                    Some(FromFollower::Unfollow(unfollow)) => {
                        let follow_id = FollowId(unfollow.follow_id);
                        let followed = stream.follows.lock().remove(follow_id);
                        if let Some(partition) = followed {
                            partition.on_unfollow(&stream, follow_id);
                        }
                    }
                    Some(FromFollower::Probe(_)) => stream.reply(ToFollower::Probed(ProbeReply {})),
                    Some(FromFollower::Hello(_)) => break,
                    // Of a newer version: what it says there can be done without.
                    None => {}
                }
            }
        };
        let write = async {
            loop {
                let reply = stream.replies.lock().pop_front();
                let message = match reply {
                    Some(reply) => reply,
                    None => {
                        let batch = stream.gather(&self.replicas).await;
                        if batch.pushes.is_empty() {
                            stream.has_news().await;
                            continue;
                        }
                        if tx
                            .send(LeaderToFollower {
                                message: Some(ToFollower::Pushes(batch)),
                            })
                            .await
                            .is_err()
                        {
                            break;
                        }
                        // Its acknowledgements will move marks.
                        stream.awaits_marks.store(true, Ordering::Release);
                        continue;
                    }
                };
                if tx.send(LeaderToFollower { message: Some(message) }).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            // What was read may have to be answered: nobody else has to wake this task for that.
            biased;
            () = read => {}
            () = write => {}
        }
        let follows = std::mem::take(&mut stream.follows.lock().by_id);
        for (follow_id, partition) in follows {
            partition.on_unfollow(&stream, follow_id);
        }
    }
}

#[derive(Debug)]
struct Peer {
    replica: BrokerId,
    broker_epoch: BrokerEpoch,
    tail_lane: bool,
}

impl ReplicationServer {
    fn on_follow(&self, stream: &Arc<FollowerStream>, peer: &Peer, follow: &FollowPartition) {
        let follow_id = follow.follow_id;
        let Ok(topic_id) = <[u8; 16]>::try_from(follow.topic_id.as_ref()) else {
            stream.reply(refused(follow_id, ErrorCode::InvalidRequest, "a topic id has 16 bytes"));
            return;
        };
        let id = TopicIdPartition {
            topic_id: TopicId(Uuid::from_bytes(topic_id)),
            partition: types::PartitionIndex(follow.partition),
        };
        let Some(partition) = self.replicas.partition(id) else {
            stream.reply(refused(
                follow_id,
                ErrorCode::UnknownTopicId,
                "this broker hosts no such replica",
            ));
            return;
        };
        let request = FollowRequest {
            replica: peer.replica,
            broker_epoch: peer.broker_epoch,
            follow_id: FollowId(follow_id),
            leader_epoch: LeaderEpoch(follow.leader_epoch),
            offset: Offset(follow.offset),
            acknowledgeable_end: Offset(follow.acknowledgeable_end),
            last_epoch: LeaderEpoch(follow.last_epoch),
        };
        // Known before it is accepted: a push may be due the moment the partition's lock is released.
        stream
            .follows
            .lock()
            .insert(FollowId(follow_id), Arc::clone(&partition));
        let log_start = Offset(follow.log_start_offset);
        let reply = match partition.on_follow(&request, log_start, stream, peer.tail_lane) {
            FollowReply::Appends { log_end } => {
                stream.reply(ToFollower::Appends(FollowAppends {
                    follow_id,
                    leader_log_end: log_end.0,
                }));
                stream.mark_ready(FollowId(follow_id));
                return;
            }
            FollowReply::Behind => ToFollower::Behind(FollowBehind { follow_id }),
            FollowReply::Answer(FollowAnswer::Truncate(end)) => ToFollower::Truncate(FollowTruncate {
                follow_id,
                epoch: end.epoch.0,
                end_offset: end.end_offset.0,
            }),
            FollowReply::Answer(FollowAnswer::RestartAtLogStart(at) | FollowAnswer::Append(at)) => {
                ToFollower::Restart(FollowRestart {
                    follow_id,
                    log_start_offset: at.0,
                })
            }
            FollowReply::NotLeader => refused(follow_id, ErrorCode::NotLeaderOrFollower, "this broker does not lead"),
            FollowReply::Refused(refusal) => refused(follow_id, code_of(&refusal), &refusal.to_string()),
        };
        stream.follows.lock().remove(FollowId(follow_id));
        stream.reply(reply);
    }
}

fn on_acks(stream: &FollowerStream, acks: &AckBatch) {
    for ack in &acks.acks {
        let follow_id = FollowId(ack.follow_id);
        let partition = stream.follows.lock().by_id.get(&follow_id).cloned();
        if let Some(partition) = partition {
            partition.on_ack(stream, ack);
            stream.release(follow_id);
        }
    }
}

fn code_of(refusal: &FollowRefusal) -> ErrorCode {
    match refusal {
        FollowRefusal::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        FollowRefusal::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
        FollowRefusal::NotReplica(_) => ErrorCode::NotLeaderOrFollower,
        FollowRefusal::Superseded(_) => ErrorCode::StaleBrokerEpoch,
    }
}

fn refused(follow_id: u64, code: ErrorCode, message: &str) -> ToFollower {
    ToFollower::Refused(FollowRefused {
        follow_id,
        error_code: i32::from(code.code()),
        message: message.to_owned(),
    })
}
