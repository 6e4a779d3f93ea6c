//! One client's connection: reads requests ahead, answers in their order.
//!
//! CONN-1: each request's work is polled once as it arrives, before the next one is taken: appends keep their order.
//! CONN-2: answers are written in the requests' order. CONN-3: at most [`IN_FLIGHT_MAX`] requests, twice the largest request in
//! bytes, and one Fetch are in work at a time, so that a client that doesn't read its answers holds little.
//! CONN-4: a task waiting for the node's budget goes on answering, so that the budget comes back. CONN-5: Metadata is looked up when
//! everything before it is answered. Behind produced records that wait for a dead follower to leave the ISR, an answer that was made
//! at once would name leaders of the past. CONN-6: a client that used more than its quota is read no more until it has waited.

mod in_flight;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout};
use wire::messages::{ApiKey, ApiVersionsRequest};
use wire::{FrameError, FrameReader, RequestHeader, decode_body, decode_header, write_frame};

use self::in_flight::{Done, InFlight, Started};
use super::dispatcher::Dispatcher;
use super::limits::RequestBudget;
use crate::apis::ApiFault;
use crate::context::{ApiRequest, ClientConnection, ClientSoftware};
use crate::metrics::{ApiLabels, BrokerMetrics};

/// Requests in work at a time. Java's producer sends five ahead.
const IN_FLIGHT_MAX: usize = 8;

/// The same for all connections.
#[derive(Debug, Clone)]
pub(super) struct ConnectionSettings {
    /// `socket.request.max.bytes`.
    pub(super) request_max_bytes: usize,
    /// `connections.max.idle.ms`; also how long a client may leave its answers unread.
    pub(super) max_idle: Duration,
    /// The node's.
    pub(super) budget: RequestBudget,
}

/// A client's connection.
pub(super) struct Connection {
    dispatcher: Arc<dyn Dispatcher>,
    settings: ConnectionSettings,
    metrics: Arc<BrokerMetrics>,
    client: Arc<ClientConnection>,
    client_id: Option<String>,
}

/// A request that has arrived but may not be worked on yet.
enum Held {
    /// A Fetch, while another one is in work.
    BehindFetch(Bytes),
    /// Metadata, while anything is in work (CONN-5).
    BehindAll(Bytes),
    /// The node's budget is used up.
    ForRoom(Bytes, BoxFuture<'static, Option<OwnedSemaphorePermit>>),
}

/// Why a connection ended.
enum End {
    /// The client went, was idle, or this node stops.
    Quiet(&'static str),
    Frame(FrameError),
    Fault(ApiFault),
    Write(io::Error),
    /// The client doesn't read its answers.
    Stalled,
}

impl Connection {
    pub(super) fn new(
        dispatcher: Arc<dyn Dispatcher>,
        settings: ConnectionSettings,
        metrics: Arc<BrokerMetrics>,
        client: ClientConnection,
    ) -> Self {
        Self {
            dispatcher,
            settings,
            metrics,
            client: Arc::new(client),
            client_id: None,
        }
    }

    /// Serves until the connection ends.
    pub(super) async fn run<R, W>(mut self, source: R, sink: W, shutdown: watch::Receiver<bool>)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let end = self.converse(source, sink, shutdown).await;
        self.log(&end);
    }

    async fn converse<R, W>(&mut self, mut source: R, mut sink: W, mut shutdown: watch::Receiver<bool>) -> End
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut reader = FrameReader::new(self.settings.request_max_bytes);
        let mut in_flight = InFlight::default();
        let mut held: Option<Held> = None;
        let mut closing: Option<End> = None;
        let mut last_active = Instant::now();
        loop {
            // What came before the reason to close is still answered.
            if let Some(end) = closing.take_if(|_| in_flight.is_empty()) {
                return end;
            }
            let open = closing.is_none();
            let muted = self.client.muted();
            let may_read = open && held.is_none() && muted.is_none() && self.has_room(&in_flight);
            let taken = tokio::select! {
                Some(done) = in_flight.next(), if !in_flight.is_empty() => {
                    if let Err(end) = self.answer(&mut sink, done).await {
                        return end;
                    }
                    last_active = Instant::now();
                    let its_turn = |held: &mut Held| match held {
                        Held::BehindFetch(_) => !in_flight.has_fetch(),
                        Held::BehindAll(_) => in_flight.is_empty(),
                        Held::ForRoom(..) => false,
                    };
                    match held.take_if(its_turn) {
                        Some(Held::BehindFetch(frame) | Held::BehindAll(frame)) => self.admit(frame, &in_flight),
                        _ => continue,
                    }
                }
                room = room(&mut held), if open && matches!(held, Some(Held::ForRoom(..))) => match held.take() {
                    Some(Held::ForRoom(frame, _)) => Ok((frame, room)),
                    _ => continue,
                },
                frame = reader.next(&mut source), if may_read => match frame {
                    Ok(Some(frame)) => {
                        last_active = Instant::now();
                        self.admit(frame, &in_flight)
                    }
                    Ok(None) => return End::Quiet("the client closed it"),
                    Err(error) => {
                        closing = Some(End::Frame(error));
                        continue;
                    }
                },
                () = sleep_until(muted.unwrap_or(last_active)), if muted.is_some() => {
                    last_active = Instant::now();
                    continue;
                }
                () = stopped(&mut shutdown), if open => {
                    closing = Some(End::Quiet("this node stops"));
                    continue;
                }
                () = sleep_until(last_active + self.settings.max_idle), if in_flight.is_empty() => {
                    return End::Quiet("it was idle");
                }
            };
            match taken {
                Ok((frame, room)) => closing = self.start(frame, room, &mut in_flight).await.err().or(closing),
                Err(waiting) => held = Some(waiting),
            }
        }
    }

    fn has_room(&self, in_flight: &InFlight) -> bool {
        in_flight.len() < IN_FLIGHT_MAX && in_flight.bytes() < self.settings.request_max_bytes.saturating_mul(2)
    }

    /// Whether a request may be worked on at once, with its share of the budget.
    fn admit(&self, frame: Bytes, in_flight: &InFlight) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Held> {
        if is(ApiKey::Fetch, &frame) && in_flight.has_fetch() {
            return Err(Held::BehindFetch(frame));
        }
        if is(ApiKey::Metadata, &frame) && !in_flight.is_empty() {
            return Err(Held::BehindAll(frame));
        }
        let length = frame.len();
        match self.settings.budget.try_take(length) {
            Some(room) => Ok((frame, Some(room))),
            None => Err(Held::ForRoom(
                frame,
                Box::pin(self.settings.budget.clone().take(length)),
            )),
        }
    }

    /// Hands a request over and polls its work once (CONN-1).
    async fn start(
        &mut self,
        mut frame: Bytes,
        room: Option<OwnedSemaphorePermit>,
        in_flight: &mut InFlight,
    ) -> Result<(), End> {
        let started = Instant::now();
        let (bytes, is_fetch) = (frame.len(), is(ApiKey::Fetch, &frame));
        let header = decode_header(&mut frame).map_err(|error| End::Fault(error.into()))?;
        self.remember(&header, &frame);
        let api = self.dispatcher.api_name(header.api_key);
        self.metrics.requests.get_or_create(&ApiLabels { api }).inc();
        let request = ApiRequest {
            header,
            body: frame,
            client: Arc::clone(&self.client),
        };
        let mut work = self.dispatcher.dispatch(request);
        let started = Started {
            api,
            started,
            bytes,
            is_fetch,
        };
        match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
            Poll::Ready(handled) => in_flight.push_done(Done { started, handled }),
            Poll::Pending => in_flight.push(started, work, room),
        }
        Ok(())
    }

    /// Who speaks, for the logs: the client's id, and the software that ApiVersions names from version 3 on.
    fn remember(&mut self, header: &RequestHeader, body: &Bytes) {
        if self.client_id != header.client_id && header.client_id.is_some() {
            self.client_id.clone_from(&header.client_id);
        }
        if header.api_key == ApiKey::ApiVersions as i16
            && header.api_version >= 3
            && let Ok(request) = decode_body::<ApiVersionsRequest>(header.api_version, body.clone())
        {
            let software = ClientSoftware {
                name: request.client_software_name.to_string(),
                version: request.client_software_version.to_string(),
            };
            // A second one changes nothing: a connection is one client's.
            let _ = self.client.software.set(software);
        }
    }

    async fn answer<W: AsyncWrite + Unpin>(&self, sink: &mut W, done: Done) -> Result<(), End> {
        let Started { api, started, .. } = done.started;
        self.metrics
            .request_seconds
            .get_or_create(&ApiLabels { api })
            .observe(started.elapsed().as_secs_f64());
        match done.handled {
            Ok(None) => Ok(()),
            Ok(Some(frame)) => match timeout(self.settings.max_idle, write_frame(sink, frame)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(End::Write(error)),
                Err(_) => Err(End::Stalled),
            },
            Err(fault) => Err(End::Fault(fault)),
        }
    }

    fn log(&self, end: &End) {
        let ClientConnection {
            listener, address, id, ..
        } = &*self.client;
        let client_id = self.client_id.as_deref().unwrap_or_default();
        let software = self.client.software.get();
        let (name, version) = software.map_or(("unknown", "unknown"), |software| (&software.name, &software.version));
        let reason: &dyn std::fmt::Display = match end {
            End::Quiet(reason) => {
                tracing::debug!(%listener, %address, id, client_id, reason, "a connection ended");
                return;
            }
            End::Frame(FrameError::Io(error)) | End::Write(error) => {
                tracing::debug!(%listener, %address, id, client_id, %error, "a connection broke");
                return;
            }
            End::Fault(ApiFault::Encode(error)) => {
                tracing::error!(%listener, %address, id, client_id, name, version, %error, "an answer can't be written");
                return;
            }
            End::Frame(error) => error,
            End::Fault(fault) => fault,
            End::Stalled => &"the client does not read its answers",
        };
        tracing::info!(%listener, %address, id, client_id, software = name, version, %reason, "closes a connection");
    }
}

/// Waits until this node stops.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that whoever could say so is gone: the same.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Waits for the room that a held request needs.
async fn room(held: &mut Option<Held>) -> Option<OwnedSemaphorePermit> {
    match held {
        Some(Held::ForRoom(_, room)) => room.await,
        Some(Held::BehindFetch(_) | Held::BehindAll(_)) | None => std::future::pending().await,
    }
}

/// Whether a request is of this API: its first two bytes are the API's key.
fn is(api: ApiKey, frame: &[u8]) -> bool {
    frame
        .first_chunk::<2>()
        .is_some_and(|key| i16::from_be_bytes(*key) == api as i16)
}

#[cfg(test)]
mod tests;
