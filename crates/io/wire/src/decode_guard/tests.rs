//! The schemas against the codec, in every served version, with well-formed and with mutilated bodies.

mod allocation;
mod bodies;
mod codec;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use proptest::prelude::*;

use self::bodies::{Entropy, body_of};
use self::codec::decode;
use super::*;
use crate::apis::served_apis;
use crate::beyond_codec::request_codec_version;

/// Every API in every served version that the codec reads as it is.
fn all() -> impl Iterator<Item = (i16, i16)> {
    served_apis()
        .iter()
        .flat_map(|api| (api.min..=api.max).map(|version| (api.key, version)))
        .filter(|(key, version)| request_codec_version(*key, *version) == *version)
}

fn violation(key: ApiKey, version: i16, body: &[u8]) -> Violation {
    check_body(key as i16, version, body).unwrap_err().violation
}

#[test]
fn each_served_api_has_a_schema_and_no_other_has() {
    for key in -1..200 {
        assert_eq!(
            schemas::of(key).is_some(),
            crate::apis::served_api(key).is_some(),
            "key {key}"
        );
    }
    assert_eq!(check_body(17, 0, &[]).unwrap_err().violation, Violation::NoSchema);
}

#[test]
fn the_default_request_of_the_codec_is_accepted_in_every_version() {
    for (key, version) in all() {
        if let Some(body) = codec::encode_default(key, version) {
            assert_eq!(
                check_body(key, version, &body),
                Ok(body.len()),
                "key {key} version {version}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// GUARD-1. A schema that missed, misplaced or mistyped a field in some version would make the codec stop
    /// elsewhere in the bytes built from it.
    #[test]
    fn the_codec_and_the_guard_take_the_same_bytes(entropy in prop::collection::vec(any::<u8>(), 0..600)) {
        for (key, version) in all() {
            let body = body_of(schemas::of(key).unwrap(), version, &mut Entropy::new(&entropy));
            prop_assert_eq!(check_body(key, version, &body), Ok(body.len()), "key {} version {}", key, version);
            let decoded = decode(key, version, Bytes::from(body.clone()));
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(error) => return Err(TestCaseError::fail(format!("key {key} version {version}: {error}"))),
            };
            prop_assert_eq!(decoded.taken, body.len(), "key {} version {}", key, version);
            let again = decoded.encoded;
            prop_assert_eq!(check_body(key, version, &again), Ok(again.len()), "key {} version {}", key, version);
        }
    }

    /// GUARD-2, and no panic: whatever the guard lets through costs the codec a bounded multiple of its length.
    #[test]
    fn mutilated_bodies_are_refused_or_decoded_within_bounds(
        entropy in prop::collection::vec(any::<u8>(), 0..300),
        mutations in prop::collection::vec((any::<u16>(), any::<u8>(), 0_usize..8), 1..4),
    ) {
        for (key, version) in all() {
            let mut body = body_of(schemas::of(key).unwrap(), version, &mut Entropy::new(&entropy));
            for &(at, byte, kind) in &mutations {
                mutilate(&mut body, at as usize, byte, kind);
            }
            let Ok(taken) = check_body(key, version, &body) else { continue };
            prop_assert!(taken <= body.len());
            let body = Bytes::from(body);
            let length = body.len();
            let (decoded, allocated) = allocation::peak(|| decode(key, version, body));
            if let Ok(decoded) = decoded {
                prop_assert_eq!(decoded.taken, taken, "key {} version {}", key, version);
            }
            prop_assert!(allocated <= 256 * length + 65_536, "key {} version {}: {} for {}", key, version, allocated, length);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_decoded_within_bounds(body in prop::collection::vec(any::<u8>(), 0..64)) {
        for (key, version) in all() {
            if check_body(key, version, &body).is_ok() {
                let body = Bytes::from(body.clone());
                let (_, allocated) = allocation::peak(|| decode(key, version, body));
                prop_assert!(allocated <= 96 * 1024, "key {} version {}: {}", key, version, allocated);
            }
        }
    }

    #[test]
    fn a_header_is_read_or_refused(frame in prop::collection::vec(any::<u8>(), 0..40), version in 0_i16..3) {
        if let Ok(header) = check_header(version, &frame) {
            prop_assert!(header.length >= 8 && header.length <= frame.len());
        }
    }
}

fn mutilate(body: &mut Vec<u8>, at: usize, byte: u8, kind: usize) {
    if body.is_empty() {
        body.push(byte);
        return;
    }
    let at = at % body.len();
    let patch: &[u8] = match kind {
        0 => return body.truncate(at),
        1 => &[byte],
        2 => &[0, 0, 0, 0],
        3 => &[0x7f, 0xff, 0xff, 0xff],
        4 => &[0xff, 0xff, 0xff, 0xff],
        5 => &[0xff, 0xff, 0xff, 0xff, 0x0f],
        6 => &[0xff, 0xff, 0xff, 0x7f],
        _ => return body.insert(at, byte),
    };
    for (target, value) in body[at..].iter_mut().zip(patch) {
        *target = *value;
    }
}

/// The bodies that abort a process that decodes them with the codec alone.
#[test]
fn a_few_bytes_that_declare_millions_are_refused() {
    let max = [0x7f, 0xff, 0xff, 0xff];
    let compact_max = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(matches!(
        violation(ApiKey::Metadata, 1, &max),
        Violation::CountExceedsBytes { .. }
    ));
    assert!(matches!(
        violation(ApiKey::Metadata, 12, &compact_max),
        Violation::CountExceedsBytes { .. }
    ));
    assert!(matches!(
        violation(ApiKey::CreateTopics, 2, &max),
        Violation::CountExceedsBytes { .. }
    ));
    let produce = [&[0, 0, 1, 0, 0, 0, 1][..], &compact_max].concat();
    assert!(matches!(
        violation(ApiKey::Produce, 9, &produce),
        Violation::CountExceedsBytes { .. }
    ));
    assert!(matches!(
        violation(ApiKey::DescribeGroups, 5, &compact_max),
        Violation::CountExceedsBytes { .. }
    ));
    assert!(matches!(
        violation(ApiKey::ListGroups, 3, &compact_max),
        Violation::CountExceedsBytes { .. }
    ));
}

#[test]
fn lengths_are_refused_by_what_is_wrong_with_them() {
    assert_eq!(violation(ApiKey::Metadata, 0, &[0xff; 4]), Violation::Null);
    assert_eq!(check_body(ApiKey::Metadata as i16, 1, &[0xff; 4]), Ok(4));
    assert_eq!(
        violation(ApiKey::Metadata, 1, &[0xff, 0xff, 0xff, 0xfe]),
        Violation::NegativeLength { length: -2 }
    );
    assert_eq!(violation(ApiKey::Metadata, 9, &[0x80; 5]), Violation::VarintTooLong);
    assert_eq!(
        violation(ApiKey::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0x1f]),
        Violation::VarintTooLong
    );
    assert_eq!(
        violation(ApiKey::FindCoordinator, 0, &[0, 3, b'a']),
        Violation::Truncated {
            needed_bytes: 3,
            left_bytes: 1
        }
    );
    // 32768 as a compact length is 0x8001 on the wire's varint of one more.
    let long = [&[0x81, 0x80, 0x02][..], &[b'a'; 40_000]].concat();
    assert_eq!(
        violation(ApiKey::FindCoordinator, 3, &long),
        Violation::StringTooLong { length_bytes: 32_768 }
    );
    assert_eq!(
        violation(ApiKey::DescribeTopicPartitions, 0, &[1, 0, 0, 0, 1, 2]),
        Violation::PresenceMark { mark: 2 }
    );
}

#[test]
fn bytes_after_the_request_are_left_alone_as_kafka_does() {
    assert_eq!(check_body(ApiKey::Metadata as i16, 0, &[0, 0, 0, 0, 9, 9]), Ok(4));
}

#[test]
fn a_known_tagged_field_must_be_as_long_as_its_size_says() {
    // Fetch 15: wait, min, max, isolation, session, epoch, no topics, no forgotten topics, empty rack, one tag.
    let mut body = vec![0; 4 + 4 + 4 + 1 + 4 + 4];
    body.extend([1, 1, 1]);
    let replica_state = [&[1, 1, 13][..], &[0; 13]].concat();
    let key = ApiKey::Fetch;
    assert_eq!(
        check_body(key as i16, 15, &[&body[..], &replica_state].concat()),
        Ok(body.len() + 16)
    );
    let wrong = [&[1, 1, 12][..], &[0; 13]].concat();
    let expected = Violation::TagSize {
        tag: 1,
        declared_bytes: 12,
        taken_bytes: 13,
    };
    assert_eq!(violation(key, 15, &[&body[..], &wrong].concat()), expected);
    let early = [&[0; 4][..], &body, &replica_state].concat();
    assert_eq!(violation(key, 14, &early), Violation::TagNotInVersion { tag: 1 });
}

#[test]
fn elements_and_unknown_tags_are_bounded_per_request() {
    let count = u32::try_from(DECODED_ELEMENTS_MAX).unwrap() + 1;
    let names = [&count.to_be_bytes()[..], &vec![0; 2 * count as usize]].concat();
    assert_eq!(violation(ApiKey::DeleteGroups, 0, &names), Violation::TooManyElements);
    let fewer = (count - 1).to_be_bytes();
    let names = [&fewer[..], &names[4..names.len() - 2]].concat();
    assert_eq!(check_body(ApiKey::DeleteGroups as i16, 0, &names), Ok(names.len()));
    // An empty array, then 32768 tags of no length.
    let tags = [&[1, 0x80, 0x80, 0x02][..], &[0x64, 0].repeat(32_768)].concat();
    assert_eq!(
        violation(ApiKey::DeleteGroups, 2, &tags),
        Violation::TooManyTaggedFields
    );
}
