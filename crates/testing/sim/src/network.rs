//! The network as a node sees it: every call goes to the other node's services, or is lost.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rpc::proto::{
    BrokerToController, ChangeVotersCall, ChangeVotersReply, ControlCall, ControlReply, ControllerToBroker,
    FollowerToLeader, Lane, LeaderToFollower, QuorumStatusCall, QuorumStatusReply, RaftCall, RaftReply,
};
use rpc::{DialOutcome, Link, Network, NetworkError, PeerAddress, Refused, Services};
use tokio::sync::oneshot;

use crate::clock::SimClock;
use crate::fabric::{BROKER_PORT, Fabric, NodeId, Passage, Process, Target, TellOnDrop, host_name};
use crate::stream::{Breakable, End, connect};

/// The wires as one node has them.
#[derive(Debug, Clone)]
pub(crate) struct SimNetwork {
    node: NodeId,
    clock: SimClock,
    handle: tokio::runtime::Handle,
    fabric: Arc<Fabric>,
}

/// What the caller learns of its call.
enum Reply<T> {
    /// It arrives at this time.
    At(u64, T),
    /// The call or its answer was lost.
    Lost,
}

impl SimNetwork {
    pub(crate) fn new(node: NodeId, clock: SimClock, handle: tokio::runtime::Handle, fabric: Arc<Fabric>) -> Self {
        Self {
            node,
            clock,
            handle,
            fabric,
        }
    }

    /// This end's wall clock.
    pub(crate) fn now(&self) -> types::TimestampMs {
        broker::Clock::now(&self.clock)
    }

    fn unreachable(to: &PeerAddress, reason: &str) -> NetworkError {
        NetworkError::Unreachable {
            to: to.clone(),
            reason: reason.to_owned(),
        }
    }

    async fn time_out<T>(&self, to: &PeerAddress, until: u64, deadline: Duration) -> Result<T, NetworkError> {
        self.clock.sleep_until(until).await;
        let after_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        Err(NetworkError::Timeout {
            to: to.clone(),
            after_ms,
        })
    }

    /// One call: `serve` makes the future that runs at the other end, in its runtime, when the call arrives.
    async fn call<T, S, F>(&self, to: &PeerAddress, deadline: Duration, serve: S) -> Result<T, NetworkError>
    where
        T: Send + 'static,
        S: FnOnce(Process) -> F + Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let sent = self.clock.now_ms();
        let until = sent + u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX / 2);
        let (node, process) = match self.fabric.target(to) {
            Target::Silent => return self.time_out(to, until, deadline).await,
            Target::Refuses(node) => {
                return match self.fabric.passage(self.node, node) {
                    Passage::Lost => self.time_out(to, until, deadline).await,
                    Passage::Arrives(delay) => {
                        self.clock.sleep_until(sent + 2 * delay).await;
                        Err(Self::unreachable(to, "connection refused"))
                    }
                };
            }
            Target::Process(node, process) => (node, *process),
        };
        let Passage::Arrives(delay) = self.fabric.passage(self.node, node) else {
            return self.time_out(to, until, deadline).await;
        };
        let arrives = sent + delay;
        self.fabric.trace.mix(&[
            arrives,
            u64::from(self.node.unsigned_abs()),
            u64::from(node.unsigned_abs()),
            1,
        ]);
        let (tx, rx) = oneshot::channel();
        let tx = Arc::new(Mutex::new(Some(tx)));
        let unanswered = Arc::clone(&tx);
        // The caller learns of the other process's end by the loss of its answer.
        let farewell = TellOnDrop::new(&self.fabric, move || drop(unanswered.lock().take()));
        let (fabric, origin) = (Arc::clone(&self.fabric), self.node);
        let there = process.clock.clone();
        process.handle.clone().spawn(async move {
            let _farewell = farewell;
            there.sleep_until(arrives).await;
            // As it is then: a server that came up meanwhile, or has more services by now.
            let Some(process) = fabric.process(node) else { return };
            let answer = serve(process).await;
            let reply = match fabric.passage(node, origin) {
                Passage::Arrives(delay) => Reply::At(there.now_ms() + delay, answer),
                Passage::Lost => Reply::Lost,
            };
            if let Some(tx) = tx.lock().take() {
                let _ = tx.send(reply);
            }
        });
        let reply = tokio::select! {
            biased;
            reply = rx => reply,
            () = self.clock.sleep_until(until) => return self.time_out(to, until, deadline).await,
        };
        match reply {
            Ok(Reply::At(at, answer)) if at <= until => {
                self.clock.sleep_until(at).await;
                Ok(answer)
            }
            Ok(Reply::At(..) | Reply::Lost) => self.time_out(to, until, deadline).await,
            // The other process ended meanwhile.
            Err(_) => match self.fabric.passage(node, self.node) {
                Passage::Arrives(delay) if !self.fabric.is_dark(node) => {
                    self.clock.sleep_until((self.clock.now_ms() + delay).min(until)).await;
                    Err(Self::unreachable(to, "connection reset"))
                }
                _ => self.time_out(to, until, deadline).await,
            },
        }
    }

    /// A client's connection to a broker; requests are framed, answers come without their size.
    pub(crate) async fn connect_client(
        &self,
        node: NodeId,
        deadline: Duration,
    ) -> Result<(Link<Bytes, Bytes>, Arc<dyn Breakable>), NetworkError> {
        let to = PeerAddress::new(&host_name(node), BROKER_PORT);
        self.open(&to, deadline, |process, link| {
            let entrance = process.entrance.clone()?;
            Some(async move { entrance.serve(link).await })
        })
        .await
    }

    async fn open<A, B, S, F>(
        &self,
        to: &PeerAddress,
        deadline: Duration,
        serve: S,
    ) -> Result<(Link<A, B>, Arc<dyn Breakable>), NetworkError>
    where
        A: Send + std::fmt::Debug + 'static,
        B: Send + std::fmt::Debug + 'static,
        S: FnOnce(&Process, Link<B, A>) -> Option<F> + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let near = End {
            node: self.node,
            handle: self.handle.clone(),
            clock: self.clock.clone(),
        };
        let fabric = Arc::clone(&self.fabric);
        let address = to.clone();
        let opened = self.call(to, deadline, move |process| async move {
            let node = match fabric.target(&address) {
                Target::Process(node, _) => node,
                Target::Refuses(_) | Target::Silent => return None,
            };
            let far = End {
                node,
                handle: process.handle.clone(),
                clock: process.clock.clone(),
            };
            let connected = connect::<A, B>(&fabric, &near, &far);
            let serving = serve(&process, connected.far)?;
            process.handle.spawn(serving);
            Some((connected.near, connected.wire))
        });
        opened
            .await?
            .ok_or_else(|| Self::unreachable(to, "nothing serves that here"))
    }
}

fn services_at(process: &Process, port: u16) -> Option<Services> {
    if port == BROKER_PORT {
        process.broker.clone()
    } else {
        process.controller.clone()
    }
}

fn served<T>(to: &PeerAddress, answer: Option<Result<T, Refused>>) -> Result<T, NetworkError> {
    match answer {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(Refused(reason))) => Err(NetworkError::Refused { to: to.clone(), reason }),
        None => Err(NetworkError::Refused {
            to: to.clone(),
            reason: "not served here".to_owned(),
        }),
    }
}

#[async_trait]
impl Network for SimNetwork {
    async fn raft(&self, to: &PeerAddress, call: RaftCall, deadline: Duration) -> Result<RaftReply, NetworkError> {
        let port = to.port;
        let answer = self.call(to, deadline, move |process| async move {
            match services_at(&process, port).and_then(|services| services.raft) {
                Some(raft) => Some(raft.call(call).await),
                None => None,
            }
        });
        served(to, answer.await?)
    }

    async fn control(
        &self,
        to: &PeerAddress,
        call: ControlCall,
        deadline: Duration,
    ) -> Result<ControlReply, NetworkError> {
        let port = to.port;
        let answer = self.call(to, deadline, move |process| async move {
            match services_at(&process, port).and_then(|services| services.controller) {
                Some(controller) => Some(controller.call(call).await),
                None => None,
            }
        });
        served(to, answer.await?)
    }

    async fn quorum_status(
        &self,
        to: &PeerAddress,
        call: QuorumStatusCall,
        deadline: Duration,
    ) -> Result<QuorumStatusReply, NetworkError> {
        let port = to.port;
        let answer = self.call(to, deadline, move |process| async move {
            match services_at(&process, port).and_then(|services| services.controller) {
                Some(controller) => Some(controller.quorum_status(call).await),
                None => None,
            }
        });
        served(to, answer.await?)
    }

    async fn change_voters(
        &self,
        to: &PeerAddress,
        call: ChangeVotersCall,
        deadline: Duration,
    ) -> Result<ChangeVotersReply, NetworkError> {
        let port = to.port;
        let answer = self.call(to, deadline, move |process| async move {
            match services_at(&process, port).and_then(|services| services.controller) {
                Some(controller) => Some(controller.change_voters(call).await),
                None => None,
            }
        });
        served(to, answer.await?)
    }

    async fn session(
        &self,
        to: &PeerAddress,
        deadline: Duration,
    ) -> Result<Link<BrokerToController, ControllerToBroker>, NetworkError> {
        let port = to.port;
        let opened = self.open(to, deadline, move |process, link| {
            let controller = services_at(process, port)?.controller?;
            Some(async move { controller.session(link).await })
        });
        Ok(opened.await?.0)
    }

    async fn replication(
        &self,
        to: &PeerAddress,
        _lane: Lane,
        deadline: Duration,
    ) -> Result<Link<FollowerToLeader, LeaderToFollower>, NetworkError> {
        let port = to.port;
        let opened = self.open(to, deadline, move |process, link| {
            let replication = services_at(process, port)?.replication?;
            Some(async move { replication.stream(link).await })
        });
        Ok(opened.await?.0)
    }

    async fn dial(&self, to: &PeerAddress, deadline: Duration) -> DialOutcome {
        match self.call(to, deadline, |_| async {}).await {
            Ok(()) => DialOutcome::Accepted,
            Err(NetworkError::Unreachable { .. } | NetworkError::Refused { .. }) => DialOutcome::Refused,
            Err(NetworkError::Timeout { .. }) => DialOutcome::Silent,
        }
    }
}
