use std::sync::{Arc, Mutex};

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{DescribeQuorumRequest, MetadataRequest, MetadataResponse, UnregisterBrokerRequest};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;
use crate::{ResponseFrame, api_versions_fallback, decode_header, encode_response, write_frame};

const TIMEOUT: Duration = Duration::from_secs(10);

/// What a scripted broker does with a request.
enum Answer {
    Send(ResponseFrame),
    Raw(&'static [u8]),
    Close,
}

/// A broker that answers by `script` and notes each request's key and version.
async fn broker(
    script: impl Fn(i16, i16, i32) -> Answer + Send + 'static,
) -> (String, Arc<Mutex<Vec<(i16, i16)>>>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut reader = FrameReader::new(1 << 20);
        while let Ok(Some(mut frame)) = reader.next(&mut stream).await {
            let header = decode_header(&mut frame).unwrap();
            noted.lock().unwrap().push((header.api_key, header.api_version));
            match script(header.api_key, header.api_version, header.correlation_id) {
                Answer::Send(frame) => write_frame(&mut stream, frame).await.unwrap(),
                Answer::Raw(bytes) => {
                    stream.write_all(bytes).await.unwrap();
                    let _ = stream.read(&mut [0; 64]).await;
                    return;
                }
                Answer::Close => return,
            }
        }
    });
    (address, seen, task)
}

fn versions(version: i16, correlation_id: i32) -> ResponseFrame {
    let entry = |key, min, max| {
        ApiVersion::default()
            .with_api_key(key)
            .with_min_version(min)
            .with_max_version(max)
    };
    let response = ApiVersionsResponse::default().with_api_keys(vec![entry(18, 0, 4), entry(3, 0, 8), entry(64, 1, 2)]);
    encode_response(18, version, correlation_id, &response).unwrap()
}

fn metadata(version: i16, correlation_id: i32) -> ResponseFrame {
    encode_response(
        3,
        version,
        correlation_id,
        &MetadataResponse::default().with_controller_id(7.into()),
    )
    .unwrap()
}

fn honest(key: i16, version: i16, correlation_id: i32) -> Answer {
    match key {
        18 => Answer::Send(versions(version, correlation_id)),
        3 => Answer::Send(metadata(version, correlation_id)),
        _ => Answer::Close,
    }
}

#[tokio::test]
async fn a_call_takes_the_newest_version_in_common_and_not_above_the_cap() {
    let (address, seen, _broker) = broker(honest).await;
    let mut client = Client::connect(&address, "test", TIMEOUT).await.unwrap();
    assert_eq!(client.ranges()[1], ApiRange { key: 3, min: 0, max: 8 });
    let response = client.call(&MetadataRequest::default(), TIMEOUT).await.unwrap();
    assert_eq!(response.controller_id.0, 7);
    client
        .call_up_to(&MetadataRequest::default(), 5, TIMEOUT)
        .await
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), [(18, 4), (3, 8), (3, 5)]);
}

#[tokio::test]
async fn without_a_common_version_nothing_is_sent_and_the_connection_stays() {
    let (address, _seen, _broker) = broker(honest).await;
    let mut client = Client::connect(&address, "test", TIMEOUT).await.unwrap();
    let error = client
        .call(&UnregisterBrokerRequest::default(), TIMEOUT)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Unsupported { min: 0, max: 0, .. }),
        "{error}"
    );
    let error = client
        .call(&DescribeQuorumRequest::default(), TIMEOUT)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("DescribeQuorum"), "{error}");
    client.call(&MetadataRequest::default(), TIMEOUT).await.unwrap();
}

#[tokio::test]
async fn an_older_broker_is_asked_again_in_a_version_that_it_names() {
    let (address, seen, _broker) = broker(|key, version, correlation_id| match (key, version) {
        (18, 4) => Answer::Send(fallback_up_to(2, correlation_id)),
        _ => honest(key, version, correlation_id),
    })
    .await;
    let client = Client::connect(&address, "test", TIMEOUT).await.unwrap();
    assert_eq!(client.version_of::<MetadataRequest>(i16::MAX), Some(8));
    assert_eq!(*seen.lock().unwrap(), [(18, 4), (18, 2)]);
}

/// The fallback of a broker whose newest `ApiVersions` is `max`.
fn fallback_up_to(max: u8, correlation_id: i32) -> ResponseFrame {
    let mut bytes = api_versions_fallback(correlation_id).to_bytes().to_vec();
    *bytes.last_mut().unwrap() = max;
    ResponseFrame {
        chunks: vec![bytes.into()],
    }
}

#[tokio::test]
async fn a_broker_that_refuses_every_version_is_reported_as_such() {
    let (address, _seen, _broker) =
        broker(|_, _, correlation_id| Answer::Send(api_versions_fallback(correlation_id))).await;
    let error = Client::connect(&address, "test", TIMEOUT).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Refused {
                error: ErrorCode::UnsupportedVersion,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_broker_is_told_apart() {
    let (address, _seen, _broker) = broker(|_, _, _| Answer::Close).await;
    let error = Client::connect(&address, "test", TIMEOUT).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");

    let (address, _seen, _broker) = broker(|_, _, _| Answer::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let error = Client::connect(&address, "test", TIMEOUT).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::NotKafka {
                protocol: NotKafka::Http1,
                ..
            }
        ),
        "{error}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::connect(&address, "test", TIMEOUT).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_to_another_request_is_not_decoded_and_breaks_the_connection() {
    let (address, _seen, _broker) = broker(|key, version, correlation_id| match key {
        18 => honest(key, version, correlation_id),
        _ => Answer::Send(metadata(version, correlation_id + 1)),
    })
    .await;
    let mut client = Client::connect(&address, "test", TIMEOUT).await.unwrap();
    let error = client.call(&MetadataRequest::default(), TIMEOUT).await.unwrap_err();
    assert!(matches!(error, ClientError::Decode { .. }), "{error}");
    let error = client.call(&MetadataRequest::default(), TIMEOUT).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_timeout_and_breaks_the_connection() {
    let (address, _seen, _broker) = broker(|key, version, correlation_id| match key {
        18 => honest(key, version, correlation_id),
        _ => Answer::Raw(&[]),
    })
    .await;
    let mut client = Client::connect(&address, "test", TIMEOUT).await.unwrap();
    let error = client
        .call(&MetadataRequest::default(), Duration::from_millis(20))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Timeout { step: "receive", .. }), "{error}");
    let error = client.call(&MetadataRequest::default(), TIMEOUT).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
}
