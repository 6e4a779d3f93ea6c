//! The replication stream over gRPC: tonic's connections, but bodies of our own, for the leader's records aren't copied.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codec::{Codec as _, EncodeBody};
use tonic::codegen::Service;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderValue, TE};
use tonic::codegen::http::{Method, Request, Response, StatusCode, Uri, Version};
use tonic::server::NamedService;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use super::push_body::PushBody;
use super::push_stream::PushStream;
use super::{MESSAGE_BYTES, REQUEST_BYTES};
use crate::link::{Link, LinkReceiver};
use crate::proto::{FollowerToLeader, LeaderToFollower};
use crate::services::ReplicationService;

/// The service and its call, as in nodes.proto.
const SERVICE: &str = "klamm.internal.Replication";
const STREAM: &str = "/klamm.internal.Replication/Stream";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The leader's end.
#[derive(Clone)]
pub(super) struct ReplicationCalls(pub(super) Arc<dyn ReplicationService>);

impl NamedService for ReplicationCalls {
    const NAME: &'static str = SERVICE;
}

impl Service<Request<Body>> for ReplicationCalls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != STREAM {
            return ready(Ok(Status::unimplemented("there is no such call").into_http()));
        }
        let decoder = ProstCodec::<LeaderToFollower, FollowerToLeader>::default().decoder();
        let messages = Streaming::new_request(decoder, request.into_body(), None, Some(REQUEST_BYTES));
        let (tx, outgoing) = mpsc::channel(Link::<LeaderToFollower, ()>::DEPTH);
        let rx = LinkReceiver::of_stream(messages);
        let service = Arc::clone(&self.0);
        tokio::spawn(async move { service.stream(Link { tx, rx }).await });
        let mut response = Response::new(Body::new(PushBody::new(outgoing)));
        response.headers_mut().insert(CONTENT_TYPE, GRPC);
        ready(Ok(response))
    }
}

/// The follower's end.
pub(super) async fn open_stream(mut channel: Channel) -> Result<Link<FollowerToLeader, LeaderToFollower>, Status> {
    let (tx, outgoing) = mpsc::channel(Link::<FollowerToLeader, ()>::DEPTH);
    let encoder = ProstCodec::<FollowerToLeader, LeaderToFollower>::default().encoder();
    let messages = ReceiverStream::new(outgoing).map(Ok);
    let body = EncodeBody::new_client(encoder, messages, None, Some(MESSAGE_BYTES));
    let mut request = Request::new(Body::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(STREAM);
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    request.headers_mut().insert(CONTENT_TYPE, GRPC);
    let broken = |error: tonic::transport::Error| Status::from_error(Box::new(error));
    poll_fn(|context| channel.poll_ready(context)).await.map_err(broken)?;
    let response = channel.call(request).await.map_err(broken)?;
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != Code::Ok
    {
        return Err(status);
    }
    if response.status() != StatusCode::OK {
        return Err(Status::unknown(format!("answered with {}", response.status())));
    }
    let rx = LinkReceiver::of_stream(PushStream::new(response.into_body()));
    Ok(Link { tx, rx })
}

#[cfg(test)]
mod tests;
