//! Bytes as they are on Kafka's wire, for what clients meet first: `ApiVersions` in every version, and Produce.

#![expect(clippy::unwrap_used, reason = "what test functions call is part of the test")]

use bytes::{BufMut, Bytes, BytesMut};
use wire::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, OffsetCommitRequest, ProduceRequest, SaslHandshakeRequest,
};
use wire::protocol::StrBytes;
use wire::{DecodeError, MalformedReason, RequestHeader, Violation, decode_body, decode_header, encode_response};

const CORRELATION_ID: i32 = 0x0102_0304;

fn response() -> ApiVersionsResponse {
    let entry = |key, max| ApiVersion::default().with_api_key(key).with_max_version(max);
    ApiVersionsResponse::default().with_api_keys(vec![entry(0, 13), entry(18, 4)])
}

fn encoded(version: i16, response: &ApiVersionsResponse) -> Bytes {
    encode_response(18, version, CORRELATION_ID, response)
        .unwrap()
        .to_bytes()
}

#[test]
fn api_versions_0_has_no_throttle_time() {
    let expected = [
        0, 0, 0, 22, 1, 2, 3, 4, // size, correlation id
        0, 0, 0, 0, 0, 2, // no error, two entries
        0, 0, 0, 0, 0, 13, 0, 18, 0, 0, 0, 4,
    ];
    assert_eq!(encoded(0, &response())[..], expected);
}

#[test]
fn api_versions_1_and_2_end_with_the_throttle_time() {
    let expected = [
        0, 0, 0, 26, 1, 2, 3, 4, //
        0, 0, 0, 0, 0, 2, //
        0, 0, 0, 0, 0, 13, 0, 18, 0, 0, 0, 4, //
        0, 0, 0, 9,
    ];
    for version in [1, 2] {
        assert_eq!(encoded(version, &response().with_throttle_time_ms(9))[..], expected);
    }
}

/// The header stays that of version 0: one byte more and a client reads the error code where none is.
#[test]
fn api_versions_3_and_4_are_flexible_behind_a_header_that_is_not() {
    let name = StrBytes::from_static_str("ab");
    let supported = SupportedFeatureKey::default()
        .with_name(name.clone())
        .with_min_version(1)
        .with_max_version(7);
    let finalized = FinalizedFeatureKey::default()
        .with_name(name)
        .with_max_version_level(7)
        .with_min_version_level(1);
    let response = response()
        .with_supported_features(vec![supported])
        .with_finalized_features_epoch(5)
        .with_finalized_features(vec![finalized]);
    let expected = [
        0, 0, 0, 58, 1, 2, 3, 4, //
        0, 0, 3, // no error, two entries
        0, 0, 0, 0, 0, 13, 0, //
        0, 18, 0, 0, 0, 4, 0, //
        0, 0, 0, 0, // throttle time
        3, // tagged fields
        0, 9, 2, 3, b'a', b'b', 0, 1, 0, 7, 0, // supported: name, min, max
        1, 8, 0, 0, 0, 0, 0, 0, 0, 5, // epoch
        2, 9, 2, 3, b'a', b'b', 0, 7, 0, 1, 0, // finalized: name, max, min
    ];
    for version in [3, 4] {
        assert_eq!(encoded(version, &response)[..], expected[..], "version {version}");
    }
}

#[test]
fn api_versions_requests_of_every_served_version_are_read() {
    for version in 0..=4_i16 {
        let mut frame = BytesMut::new();
        frame.put_i16(18);
        frame.put_i16(version);
        frame.put_i32(CORRELATION_ID);
        frame.put_slice(&[0, 2, b'm', b'e']);
        if version >= 3 {
            frame.put_slice(&[0, 5, b'r', b'u', b's', b't', 2, b'1', 0]);
        }
        let mut frame = frame.freeze();
        let header = decode_header(&mut frame).unwrap();
        let client_id = Some("me".to_owned());
        let expected = RequestHeader {
            api_key: 18,
            api_version: version,
            correlation_id: CORRELATION_ID,
            client_id,
        };
        assert_eq!(header, expected);
        let request: ApiVersionsRequest = decode_body(version, frame).unwrap();
        assert_eq!(&*request.client_software_name, if version >= 3 { "rust" } else { "" });
    }
}

/// Later clients than Kafka 4.4's open with a version above 5; what follows the correlation id may be anything by then.
#[test]
fn api_versions_of_an_unknown_version_get_a_correlation_id_and_the_fallback() {
    for version in [6, 99, i16::MAX, -1] {
        let mut frame = BytesMut::new();
        frame.put_i16(18);
        frame.put_i16(version);
        frame.put_i32(CORRELATION_ID);
        frame.put_slice(&[0xff, 0xff, 0xff, 0x7f, 0xee]);
        let mut frame = frame.freeze();
        let header = decode_header(&mut frame).unwrap();
        assert_eq!(
            (header.api_version, header.correlation_id, header.client_id),
            (version, CORRELATION_ID, None)
        );
        assert_eq!(
            decode_body::<ApiVersionsRequest>(version, frame),
            Err(DecodeError::UnsupportedVersion { api_key: 18, version })
        );
    }
    let expected = [0, 0, 0, 16, 1, 2, 3, 4, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5];
    assert_eq!(wire::api_versions_fallback(CORRELATION_ID).to_bytes()[..], expected);
}

fn produce_frame(version: i16, records: &[u8]) -> Bytes {
    let length = u32::try_from(records.len()).unwrap();
    let mut frame = BytesMut::new();
    frame.put_i16(0);
    frame.put_i16(version);
    frame.put_i32(CORRELATION_ID);
    frame.put_i16(-1); // client id: null
    if version < 9 {
        frame.put_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 5, 0xdc]); // no transaction, acks -1, timeout 1500
        frame.put_slice(&[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 3]); // topic t, partition 3
        frame.put_u32(length);
        frame.put_slice(records);
    } else {
        frame.put_slice(&[0, 0, 0xff, 0xff, 0, 0, 5, 0xdc, 2]); // header tags, no transaction, one topic
        if version < 13 {
            frame.put_slice(&[2, b't']);
        } else {
            frame.put_slice(&[9; 16]);
        }
        frame.put_slice(&[2, 0, 0, 0, 3]);
        assert!((127..16_383).contains(&length), "the varint below has two bytes");
        frame.put_slice(&[
            u8::try_from((length + 1) & 0x7f).unwrap() | 0x80,
            u8::try_from((length + 1) >> 7).unwrap(),
        ]);
        frame.put_slice(records);
        frame.put_slice(&[0, 0, 0]);
    }
    frame.freeze()
}

/// WIRE-3 on the way in.
#[test]
fn records_of_a_produce_request_are_a_slice_of_its_frame() {
    let records = vec![0x5a; 5000];
    for version in [3, 9, 13] {
        let whole = produce_frame(version, &records);
        let mut frame = whole.clone();
        let header = decode_header(&mut frame).unwrap();
        assert_eq!(
            (header.api_key, header.api_version, header.client_id),
            (0, version, None)
        );
        let request: ProduceRequest = decode_body(version, frame).unwrap();
        assert_eq!((request.acks, request.timeout_ms), (-1, 1500));
        let partition = &request.topic_data[0].partition_data[0];
        assert_eq!(partition.index, 3);
        let decoded = partition.records.as_ref().unwrap();
        assert_eq!(decoded[..], records[..]);
        let (outer, inner) = (whole.as_ptr_range(), decoded.as_ptr_range());
        assert!(
            outer.start <= inner.start && inner.end <= outer.end,
            "version {version} copied its records"
        );
    }
}

#[test]
fn what_is_not_served_is_told_apart_from_what_is_malformed() {
    let unsupported = DecodeError::UnsupportedVersion { api_key: 0, version: 2 };
    assert_eq!(decode_body::<ProduceRequest>(2, Bytes::new()), Err(unsupported));
    let unsupported = DecodeError::UnsupportedVersion {
        api_key: 8,
        version: 11,
    };
    assert_eq!(decode_body::<OffsetCommitRequest>(11, Bytes::new()), Err(unsupported));
    assert_eq!(
        decode_body::<SaslHandshakeRequest>(1, Bytes::new()),
        Err(DecodeError::UnknownApi { api_key: 17 })
    );
    assert_eq!(
        decode_header(&mut Bytes::from_static(&[0x7f, 0, 0, 0, 0, 0, 0, 1, 0, 0])),
        Err(DecodeError::UnknownApi { api_key: 0x7f00 })
    );
    let error = decode_body::<MetadataRequest>(1, Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff])).unwrap_err();
    let DecodeError::Malformed {
        api_key: 3,
        version: 1,
        reason: MalformedReason::Guard(guard),
    } = error
    else {
        panic!("{error}");
    };
    assert!(matches!(guard.violation, Violation::CountExceedsBytes { .. }));
    assert_eq!(guard.field, "topics");
    for cut in 0..9 {
        let mut frame = produce_frame(9, &[0; 200]).slice(..cut);
        assert!(
            matches!(decode_header(&mut frame), Err(DecodeError::Malformed { .. })),
            "cut at {cut}"
        );
    }
}
