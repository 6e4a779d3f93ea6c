//! What a stranger can make a node hold, seen from the socket.

use std::net::{IpAddr, Ipv4Addr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::connections::ConnectionLimits;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn connected(server: &GrpcServer, limits: &Arc<ConnectionLimits>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let slot = limits.open(HERE).unwrap();
    let server = server.clone();
    tokio::spawn(async move { server.serve(accepted, slot).await });
    client
}

async fn a_place_is_free(limits: &Arc<ConnectionLimits>) {
    let freed = async {
        while limits.open(HERE).is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), freed).await.unwrap();
}

/// The server's SETTINGS: what it says first.
async fn settings(client: &mut TcpStream) -> Vec<(u16, u32)> {
    let mut header = [0; 9];
    client.read_exact(&mut header).await.unwrap();
    assert_eq!(header[3], 4, "SETTINGS");
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let mut payload = vec![0; length as usize];
    client.read_exact(&mut payload).await.unwrap();
    let one = |bytes: &[u8]| {
        let value = u32::from_be_bytes(bytes[2..6].try_into().unwrap());
        (u16::from_be_bytes([bytes[0], bytes[1]]), value)
    };
    payload.chunks_exact(6).map(one).collect()
}

#[tokio::test]
async fn a_connection_holds_its_place_until_it_ends_and_is_told_its_limits() {
    let server = GrpcServer::start(Services::default());
    let limits = ConnectionLimits::new(1, 1);
    let mut client = connected(&server, &limits).await;
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let settings = settings(&mut client).await;
    for wanted in [(3, CONCURRENT_STREAMS), (5, FRAME_BYTES), (6, HEADER_LIST_BYTES)] {
        assert!(settings.contains(&wanted), "{wanted:?} of {settings:?}");
    }
    assert_eq!(limits.open(HERE).unwrap_err(), "max.connections");
    drop(client);
    a_place_is_free(&limits).await;
}

#[tokio::test]
async fn who_does_not_say_that_he_speaks_http2_is_closed() {
    let mut server = GrpcServer::start(Services::default());
    server.handshake = Duration::from_millis(100);
    let limits = ConnectionLimits::new(1, 1);
    for said in [&b""[..], b"PRI * HT", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1.1\r\n"] {
        let mut client = connected(&server, &limits).await;
        client.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        let end = timeout(Duration::from_secs(20), client.read_to_end(&mut rest))
            .await
            .unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        a_place_is_free(&limits).await;
    }
}

/// CVE-2023-44487: streams that are opened and reset at once cost their sender nothing.
#[tokio::test]
async fn who_resets_streams_without_end_is_closed() {
    let server = GrpcServer::start(Services::default());
    let limits = ConnectionLimits::new(1, 1);
    let mut client = connected(&server, &limits).await;
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut flood = Vec::new();
    for stream in (1..20_000_u32).step_by(2) {
        // HEADERS with END_HEADERS: POST, http, path /; then RST_STREAM with CANCEL.
        flood.extend_from_slice(&[0, 0, 3, 1, 4]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&[0x83, 0x86, 0x84]);
        flood.extend_from_slice(&[0, 0, 4, 3, 0]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&[0, 0, 0, 8]);
    }
    // The server may close it before everything is written.
    let (mut source, mut sink) = client.into_split();
    let writing = tokio::spawn(async move {
        let _ = sink.write_all(&flood).await;
        sink
    });
    let mut rest = Vec::new();
    let end = timeout(Duration::from_secs(20), source.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the connection stays open");
    drop((source, writing));
    a_place_is_free(&limits).await;
}
