//! The generated messages of `proto/raft.proto`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated: the comments of the proto file document them"
)]

include!(concat!(env!("OUT_DIR"), "/klamm.raft.rs"));
