//! A client's connection to a broker: typed requests out, answers in, in order.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use rpc::Link;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use wire::messages::RequestHeader;
use wire::protocol::{Decodable, Encodable, Request, StrBytes};
use wire::{request_header_version, response_header_version};

use crate::fabric::NodeId;
use crate::history::History;
use crate::stream::Breakable;

/// No answer came: what the request did isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

#[derive(Debug, Default)]
struct Pending {
    next: i32,
    /// Correlation ids in the order in which they were sent.
    waiting: VecDeque<(i32, oneshot::Sender<Bytes>)>,
    closed: bool,
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    tx: mpsc::Sender<Bytes>,
    pending: Arc<Mutex<Pending>>,
    wire: Arc<dyn Breakable>,
}

/// An answer that is due.
#[derive(Debug)]
pub(crate) struct Due<R> {
    frame: oneshot::Receiver<Bytes>,
    version: i16,
    wire: Arc<dyn Breakable>,
    request: PhantomData<fn() -> R>,
}

impl Connection {
    /// Takes over a connected wire; answers are read by a task of their own.
    pub(crate) fn new(link: Link<Bytes, Bytes>, wire: Arc<dyn Breakable>, node: NodeId, history: History) -> Self {
        let Link { tx, mut rx } = link;
        let pending = Arc::new(Mutex::new(Pending::default()));
        let answered = Arc::clone(&pending);
        tokio::spawn(async move {
            while let Some(mut frame) = rx.recv().await {
                let correlation = frame.try_get_i32().unwrap_or(-1);
                let due = answered.lock().waiting.pop_front();
                match due {
                    // Whoever waited may have given up.
                    Some((id, waiting)) if id == correlation => drop(waiting.send(frame)),
                    other => history.odd(
                        "CONN-2",
                        format!(
                            "node {node} answered request {correlation}, due was {:?}",
                            other.map(|(id, _)| id)
                        ),
                    ),
                }
            }
            let mut pending = answered.lock();
            pending.closed = true;
            pending.waiting.clear();
        });
        Self { tx, pending, wire }
    }

    /// Whether the other end closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.pending.lock().closed
    }

    /// Sends a request; requests arrive in the order in which they were sent.
    pub(crate) async fn send<R: Request + Encodable>(&self, version: i16, request: &R) -> Result<Due<R>, Gone> {
        let (answer, frame) = oneshot::channel();
        let correlation = {
            let mut pending = self.pending.lock();
            if pending.closed {
                return Err(Gone);
            }
            let correlation = pending.next;
            pending.next += 1;
            pending.waiting.push_back((correlation, answer));
            correlation
        };
        self.tx
            .send(encode(correlation, version, request)?)
            .await
            .map_err(|_| Gone)?;
        Ok(Due {
            frame,
            version,
            wire: Arc::clone(&self.wire),
            request: PhantomData,
        })
    }
}

impl<R: Request> Due<R> {
    /// Waits for the answer. One that is late breaks the connection, as a client's `request.timeout.ms` does.
    pub(crate) async fn answer(self, within: Duration) -> Result<R::Response, Gone> {
        let mut frame = match timeout(within, self.frame).await {
            Ok(frame) => frame.map_err(|_| Gone)?,
            Err(_) => {
                self.wire.break_now();
                return Err(Gone);
            }
        };
        if response_header_version(R::KEY, self.version) == Some(1) {
            frame.advance(1);
        }
        R::Response::decode(&mut frame, self.version).map_err(|_| Gone)
    }
}

fn encode<R: Request + Encodable>(correlation: i32, version: i16, request: &R) -> Result<Bytes, Gone> {
    let header_version = request_header_version(R::KEY, version).ok_or(Gone)?;
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("sim")));
    let mut body = BytesMut::new();
    header.encode(&mut body, header_version).map_err(|_| Gone)?;
    request.encode(&mut body, version).map_err(|_| Gone)?;
    let mut frame = BytesMut::with_capacity(4 + body.len());
    frame.extend_from_slice(&i32::try_from(body.len()).map_err(|_| Gone)?.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame.freeze())
}
