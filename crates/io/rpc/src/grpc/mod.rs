//! The real network: gRPC by tonic.
//!
//! Settings that matter, each measured or suffered: HTTP/2 windows of 8 and 16 MiB (the default 64 KiB makes bulk ten
//! times slower), frames of 1 MiB, no Nagle, keep-alive while idle (a half-open peer would hang for ever), messages up
//! to 64 MiB (tonic's default of 4 MiB refuses one large batch), a connection of its own for control, tail and catch-up
//! (h2 has one lock per connection, and bulk must not delay a vote).

mod client;
mod counted;
mod push_body;
mod push_stream;
mod replication;
mod server;

pub use client::GrpcNetwork;
pub use server::GrpcServer;

use std::time::Duration;

/// Window of one stream.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// Window of one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Largest HTTP/2 frame.
const FRAME_BYTES: u32 = 1 << 20;
/// Calls and streams of one connection at a time; a peer's own client waits for its turn beyond. Everybody can connect before
/// anybody knows who it is, so this and the next three are what a stranger can make a node hold.
const CONCURRENT_STREAMS: u32 = 128;
/// Headers of one call. Ours are a few hundred bytes.
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// Streams opened and reset before the server has looked at them ("rapid reset"); beyond, the connection is closed.
const PENDING_RESETS: usize = 20;
/// A connection begins with HTTP/2's preface within this.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Largest request: only the quorum's entries come to a server in bulk, partitions' records go the other way.
const REQUEST_BYTES: usize = 16 << 20;
/// Largest message: well above the largest batch that a topic may allow by default, with room for raised limits.
const MESSAGE_BYTES: usize = 64 << 20;
/// A silent connection is probed this often.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// And given up when a probe stays unanswered this long.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// Making a connection takes at most this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
