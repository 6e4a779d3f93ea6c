//! One property a file. `log` holds ACK-1 to ACK-4, which are four questions of one walk over the final log.

pub(crate) mod ack_4;
pub(crate) mod grp_1;
pub(crate) mod grp_2;
pub(crate) mod live_1;
pub(crate) mod log;
pub(crate) mod vis_2;
pub(crate) mod vis_3;
pub(crate) mod vis_4;
