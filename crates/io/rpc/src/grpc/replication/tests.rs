//! Our ends of a stream against tonic's own: on the wire it is gRPC.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};

use super::*;
use crate::connections::ConnectionLimits;
use crate::grpc::{FRAME_BYTES, GrpcServer};
use crate::proto::follower_to_leader::Message as ToLeader;
use crate::proto::leader_to_follower::Message as ToFollower;
use crate::proto::replication_client::ReplicationClient;
use crate::proto::replication_server::{Replication, ReplicationServer};
use crate::proto::{ProbeReply, Push, PushBatch, Unfollow};
use crate::services::Services;

/// As many bytes as each unfollow's number says, in one push and another one, and then a reply without records.
fn answers(unfollow: &FollowerToLeader) -> [LeaderToFollower; 2] {
    let Some(ToLeader::Unfollow(Unfollow { follow_id })) = unfollow.message else {
        unreachable!()
    };
    let push = |byte, length| Push {
        follow_id,
        records: Bytes::from(vec![byte; length]),
        ..Push::default()
    };
    let pushes = vec![push(1, follow_id as usize), push(2, 10)];
    [
        ToFollower::Pushes(PushBatch { pushes }),
        ToFollower::Probed(ProbeReply {}),
    ]
    .map(|message| LeaderToFollower { message: Some(message) })
}

/// Across several frames, exactly one frame, and none to speak of.
const SIZES: [u64; 6] = [0, 1, 100_000, FRAME_BYTES as u64, 3_000_000, 5];

fn question(size: u64) -> FollowerToLeader {
    FollowerToLeader {
        message: Some(ToLeader::Unfollow(Unfollow { follow_id: size })),
    }
}

#[derive(Debug)]
struct Answering;

#[async_trait]
impl ReplicationService for Answering {
    async fn stream(&self, mut link: Link<LeaderToFollower, FollowerToLeader>) {
        while let Some(question) = link.rx.recv().await {
            for answer in answers(&question) {
                link.tx.send(answer).await.unwrap();
            }
        }
    }
}

async fn ours() -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = GrpcServer::start(Services {
        replication: Some(Arc::new(Answering)),
        ..Services::default()
    });
    tokio::spawn(async move {
        let limits = ConnectionLimits::new(10, 10);
        let (connection, peer) = listener.accept().await.unwrap();
        let slot = limits.open(peer.ip()).unwrap();
        server.serve(connection, slot).await;
    });
    connected(address.port())
}

fn connected(port: u16) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    endpoint.max_frame_size(FRAME_BYTES).connect_lazy()
}

#[async_trait]
impl Replication for Answering {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<LeaderToFollower, Status>> + Send>>;

    async fn stream(
        &self,
        request: tonic::Request<Streaming<FollowerToLeader>>,
    ) -> Result<tonic::Response<Self::StreamStream>, Status> {
        let questions = request.into_inner();
        let answers = futures::StreamExt::flat_map(questions, |question| {
            futures::stream::iter(answers(&question.unwrap()).map(Ok))
        });
        Ok(tonic::Response::new(Box::pin(answers)))
    }
}

async fn tonics() -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = ReplicationServer::new(Answering);
    let served = Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(served);
    connected(port)
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.unwrap()
}

#[tokio::test]
async fn our_follower_understands_our_leader_and_tonics() {
    for channel in [ours().await, tonics().await] {
        within(async {
            let mut link = open_stream(channel).await.unwrap();
            for size in SIZES {
                link.tx.send(question(size)).await.unwrap();
                for answer in answers(&question(size)) {
                    assert_eq!(link.rx.recv().await.unwrap(), answer, "{size}");
                }
            }
            drop(link.tx);
            assert_eq!(link.rx.recv().await, None);
        })
        .await;
    }
}

#[tokio::test]
async fn tonics_follower_understands_our_leader() {
    let mut client = ReplicationClient::new(ours().await).max_decoding_message_size(MESSAGE_BYTES);
    within(async {
        let questions = tokio_stream::iter(SIZES.map(question));
        let mut stream = client.stream(questions).await.unwrap().into_inner();
        for answer in SIZES.iter().flat_map(|size| answers(&question(*size))) {
            assert_eq!(stream.message().await.unwrap().unwrap(), answer);
        }
        // Its trailers say that all went well.
        assert_eq!(stream.message().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn who_has_no_replicas_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let other = tonic::service::Routes::default();
    let served = Server::builder()
        .add_routes(other)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(served);
    let refused = within(open_stream(connected(port))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}
