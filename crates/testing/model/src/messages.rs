//! What is on its way between nodes. Each message arrives at any later time, or never; streams keep no order among them.

use partition::{FollowRequest, IsrProposal};
use types::{BrokerEpoch, FollowId, Offset};

/// A replica asks to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Follow {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) request: FollowRequest,
}

/// A follower acknowledges, to one process: a stream doesn't outlive either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ack {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) to_epoch: BrokerEpoch,
    pub(crate) follow_id: FollowId,
    pub(crate) end: Offset,
}

/// A leader asks the controller for another ISR.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Alter {
    pub(crate) from: usize,
    pub(crate) broker_epoch: BrokerEpoch,
    pub(crate) proposal: IsrProposal,
    /// Its sender waits for this answer. It has given up on an earlier copy, which may be taken all the same.
    pub(crate) awaited: bool,
}

/// Everything on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct InFlight {
    pub(crate) follows: Vec<Follow>,
    pub(crate) acks: Vec<Ack>,
    pub(crate) alters: Vec<Alter>,
}

impl InFlight {
    /// A stream's acknowledgements are in order and each includes the ones before.
    pub(crate) fn ack(&mut self, ack: Ack) {
        self.acks
            .retain(|sent| (sent.from, sent.to, sent.follow_id) != (ack.from, ack.to, ack.follow_id));
        self.acks.push(ack);
    }
}
