use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

async fn first_error(bytes: &[u8], max_bytes: usize) -> FrameError {
    FrameReader::new(max_bytes).next(&mut &*bytes).await.unwrap_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn frames_come_out_as_they_went_in_however_the_bytes_are_split(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20_000), 1..6),
        pipe_bytes in 9_usize..9_000,
    ) {
        let wire: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        block_on(async {
            let (mut near, mut far) = tokio::io::duplex(pipe_bytes);
            let send = async move { near.write_all(&wire).await.unwrap() };
            let receive = async {
                let mut reader = FrameReader::new(1 << 20);
                let mut frames = Vec::new();
                while let Some(frame) = reader.next(&mut far).await.unwrap() {
                    frames.push(frame.to_vec());
                }
                frames
            };
            let ((), frames) = tokio::join!(send, receive);
            assert_eq!(frames, bodies);
        });
    }

    #[test]
    fn arbitrary_bytes_give_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        block_on(async {
            let mut reader = FrameReader::new(64);
            let mut source = &bytes[..];
            while let Ok(Some(frame)) = reader.next(&mut source).await {
                assert!(!frame.is_empty() && frame.len() <= 64);
            }
        });
    }
}

#[tokio::test]
async fn several_frames_that_arrived_together_need_one_read() {
    let wire = [framed(b"one"), framed(b"two"), framed(b"three"), vec![0, 0]].concat();
    let mut reader = FrameReader::new(100);
    let mut source = &wire[..];
    assert_eq!(reader.next(&mut source).await.unwrap().unwrap(), "one");
    assert!(source.is_empty());
    assert_eq!(reader.buffered().unwrap().unwrap(), "two");
    assert_eq!(reader.buffered().unwrap().unwrap(), "three");
    assert_eq!(reader.buffered().unwrap(), None);
    let error = reader.next(&mut source).await.unwrap_err();
    assert!(matches!(error, FrameError::Cut { received_bytes: 2 }), "{error}");
}

#[tokio::test]
async fn a_close_between_frames_is_the_end_and_no_error() {
    assert_eq!(FrameReader::new(100).next(&mut &[][..]).await.unwrap(), None);
}

#[tokio::test]
async fn sizes_out_of_bounds_are_refused_before_anything_follows() {
    assert!(matches!(
        first_error(&[0, 0, 0, 0], 100).await,
        FrameError::NotPositive { size: 0 }
    ));
    assert!(matches!(
        first_error(&[0xff; 4], 100).await,
        FrameError::NotPositive { size: -1 }
    ));
    assert!(matches!(
        first_error(&[0, 0, 0, 101], 100).await,
        FrameError::TooLarge {
            size: 101,
            max_bytes: 100
        }
    ));
    assert!(matches!(
        first_error(&[0, 0, 0, 100], 100).await,
        FrameError::Cut { received_bytes: 4 }
    ));
}

#[tokio::test]
async fn a_large_size_without_bytes_costs_a_small_buffer() {
    let mut reader = FrameReader::new(SOCKET_REQUEST_MAX_BYTES_DEFAULT);
    let mut source: &[u8] = &[0x06, 0x40, 0, 0, 1, 2, 3];
    assert!(reader.next(&mut source).await.is_err());
    assert!(reader.buffer.capacity() <= 64 * 1024, "{}", reader.buffer.capacity());
}

#[tokio::test]
async fn a_large_frame_gets_its_room_in_one_step_and_is_its_buffers_only_owner() {
    let body = vec![7; 1_000_000];
    let wire = [framed(&body), framed(b"next")].concat();
    let (mut near, mut far) = tokio::io::duplex(10_000);
    let send = tokio::spawn(async move { near.write_all(&wire).await });
    let mut reader = FrameReader::new(SOCKET_REQUEST_MAX_BYTES_DEFAULT);
    let frame = reader.next(&mut far).await.unwrap().unwrap();
    let alone = frame.try_into_mut().unwrap();
    assert_eq!(alone, body);
    assert_eq!(alone.capacity(), body.len());
    assert_eq!(reader.next(&mut far).await.unwrap().unwrap(), "next");
    send.await.unwrap().unwrap();
}

#[tokio::test]
async fn other_protocols_are_named_on_the_first_bytes_only() {
    for (start, expected) in [
        (&b"PRI * HTTP/2.0\r\n"[..], NotKafka::Http2),
        (b"GET / HTTP/1.1\r\n", NotKafka::Http1),
        (b"HTTP/1.1 400 Bad Request\r\n", NotKafka::Http1),
        (&[0x16, 0x03, 0x01, 0x02, 0x00], NotKafka::Tls),
        (&[0x15, 0x03, 0x03, 0x00, 0x02], NotKafka::Tls),
    ] {
        let error = first_error(start, SOCKET_REQUEST_MAX_BYTES_DEFAULT).await;
        assert!(
            matches!(error, FrameError::NotKafka(found) if found == expected),
            "{error}"
        );
    }
    let wire = [framed(b"kafka"), b"GET / HTTP/1.1".to_vec()].concat();
    let mut reader = FrameReader::new(100);
    let mut source = &wire[..];
    assert!(reader.next(&mut source).await.is_ok());
    assert!(matches!(
        reader.next(&mut source).await.unwrap_err(),
        FrameError::TooLarge { .. }
    ));
}
