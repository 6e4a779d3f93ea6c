//! Golden bytes, round trips through every codec, hostile bytes.

use bytes::Bytes;
use proptest::prelude::*;
use types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::*;

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// Written by hand from the format's description: one record `k` -> `v` with the header `h` -> null, at offset 5.
const GOLDEN: [u8; 73] = [
    0, 0, 0, 0, 0, 0, 0, 5, // base offset
    0, 0, 0, 61, // batch length: 49 + 12
    0, 0, 0, 3, // leader epoch
    2, // magic
    0, 0, 0, 0, // crc, filled in below
    0, 0x10, // attributes: transactional
    0, 0, 0, 0, // last offset delta
    0, 0, 0, 0, 0, 0, 3, 0xe8, // base timestamp 1000
    0, 0, 0, 0, 0, 0, 3, 0xe8, // max timestamp
    0, 0, 0, 0, 0, 0, 0, 9, // producer id
    0, 1, // producer epoch
    0, 0, 0, 4, // base sequence
    0, 0, 0, 1,  // record count
    22, // length 11
    0,  // attributes
    0,  // timestamp delta
    0,  // offset delta
    2, b'k', // key
    2, b'v', // value
    2,    // one header
    2, b'h', // its key
    1,    // its null value
];

fn golden() -> Bytes {
    let mut bytes = GOLDEN.to_vec();
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

fn parse(bytes: &Bytes) -> Batch {
    let batch = Batch::parse(bytes).unwrap();
    assert_eq!(batch.bytes.len(), bytes.len());
    batch.check_crc().unwrap();
    batch
}

fn read(batch: &Batch) -> Vec<Record> {
    batch.records().unwrap().collect::<Result<_, _>>().unwrap()
}

fn simple(count: usize) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for at in 0..count {
        builder.append(NewRecord::new(TimestampMs(1000 + at as i64), format!("k{at}"), "v"));
    }
    builder
}

fn built(builder: BatchBuilder) -> Batch {
    parse(&builder.finish().unwrap())
}

/// Wraps a payload that a codec made elsewhere.
fn around(payload: &[u8], compression: Compression, count: i32) -> Batch {
    let mut header = built(simple(1)).header;
    header.batch_length = (49 + payload.len()) as i32;
    header.attributes = header.attributes.with_compression(compression);
    header.record_count = count;
    header.last_offset_delta = (count - 1).max(0);
    let mut bytes = header.encode().to_vec();
    bytes.extend(payload);
    Batch::parse(&bytes.into()).unwrap()
}

fn rules() -> AppendRules {
    AppendRules {
        max_message_bytes: 1 << 20,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        now: TimestampMs(2000),
    }
}

#[test]
fn a_batch_written_by_hand_is_read_and_written_alike() {
    let batch = parse(&golden());
    let header = batch.header;
    assert_eq!(header.leader_epoch, LeaderEpoch(3));
    assert_eq!(
        (header.last_offset(), header.next_offset(), header.last_sequence()),
        (Offset(5), Offset(6), 4)
    );
    assert!(header.is_transactional() && header.has_producer_id() && !header.is_control());
    assert_eq!(&header.encode()[..], &golden()[..BATCH_HEADER_BYTES]);
    let record = Record {
        offset: Offset(5),
        timestamp: TimestampMs(1000),
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::from_static(b"v")),
        headers: EncodedHeaders(Bytes::from_static(&[2, 2, b'h', 1])),
    };
    assert_eq!(read(&batch), std::slice::from_ref(&record));
    let again = BatchBuilder::new()
        .base_offset(Offset(5))
        .leader_epoch(LeaderEpoch(3))
        .producer(ProducerId(9), ProducerEpoch(1), 4)
        .transactional(true)
        .with(NewRecord {
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers.iter().collect(),
        });
    assert_eq!(again.finish().unwrap(), golden());
}

/// From kafka-clients: CRC-32C of "123456789" is e3069283, so our checksum is Castagnoli's.
#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

/// `testdata` holds what kafka-clients 4.3.1 wrote with `MemoryRecords.builder`: three transactional records of producer
/// 4242, epoch 3, sequence 17, leader epoch 9, with one header each; and an abort marker at offset 33.
#[test]
fn batches_of_kafkas_own_client_are_read() {
    let captured: [(&[u8], Compression); 5] = [
        (include_bytes!("../testdata/none-3.bin"), Compression::None),
        (include_bytes!("../testdata/gzip-3.bin"), Compression::Gzip),
        (include_bytes!("../testdata/snappy-3.bin"), Compression::Snappy),
        (include_bytes!("../testdata/lz4-3.bin"), Compression::Lz4),
        (include_bytes!("../testdata/zstd-3.bin"), Compression::Zstd),
    ];
    for (bytes, codec) in captured {
        let batch = parse(&Bytes::from_static(bytes));
        assert_eq!(batch.header.compression(), Ok(codec));
        assert_eq!(batch.header.leader_epoch, LeaderEpoch(9));
        assert_eq!(
            (batch.header.producer_id, batch.header.last_sequence()),
            (ProducerId(4242), 19)
        );
        let records = read(&batch);
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].key.as_deref(), Some(&b"key-0"[..]));
        assert_eq!(records[1].key, None);
        assert_eq!(
            records[1].headers.iter().next().unwrap().value.as_deref(),
            Some(&[1, 2, 1][..])
        );
        assert_eq!(
            (records[2].offset, records[2].timestamp),
            (Offset(2), TimestampMs(1_700_000_000_020))
        );
        assert_eq!(records[2].value, None);
        let mut again = BatchBuilder::retaining(&batch.header).unwrap();
        records.iter().for_each(|record| again.retain(record));
        let again = again.finish().unwrap();
        assert_eq!(read(&parse(&again)), records);
        if codec == Compression::None {
            assert_eq!(again, bytes, "Kafka's bytes and ours are the same");
        }
    }
}

#[test]
fn kafkas_own_marker_is_read_and_written_alike() {
    let bytes = Bytes::from_static(include_bytes!("../testdata/marker.bin"));
    let marker = EndTransactionMarker {
        committed: false,
        coordinator_epoch: 12,
    };
    assert_eq!(parse(&bytes).end_transaction_marker(), Ok(Some(marker)));
    let ours = BatchBuilder::end_transaction(
        ProducerId(4242),
        ProducerEpoch(4),
        marker,
        TimestampMs(1_700_000_000_000),
    )
    .base_offset(Offset(33))
    .leader_epoch(LeaderEpoch(4));
    assert_eq!(ours.finish().unwrap(), bytes);
}

#[test]
fn uncompressed_records_share_the_batchs_buffer() {
    let batch = built(simple(1));
    let value = read(&batch)[0].value.clone().unwrap();
    let (start, at) = (batch.bytes.as_ptr() as usize, value.as_ptr() as usize);
    assert!((start..start + batch.bytes.len()).contains(&at));
}

#[test]
fn stamping_leaves_the_crc_valid() {
    let batch = built(simple(3));
    let shared = batch.clone();
    let stamped = batch.into_stamped(Offset(70), LeaderEpoch(9)).unwrap();
    stamped.check_crc().unwrap();
    assert_eq!(
        (stamped.header.base_offset, stamped.header.leader_epoch),
        (Offset(70), LeaderEpoch(9))
    );
    assert_eq!(read(&stamped)[2].offset, Offset(72));
    assert_eq!(shared.header.base_offset, Offset(0));
    assert_eq!(shared, parse(&shared.bytes), "another holder's bytes have not changed");
}

#[test]
fn an_unshared_batch_is_stamped_in_place() {
    let batch = built(simple(1));
    let at = batch.bytes.as_ptr();
    assert_eq!(
        batch.into_stamped(Offset(7), LeaderEpoch(1)).unwrap().bytes.as_ptr(),
        at
    );
}

#[test]
fn stamps_that_overflow_or_do_not_fit_are_refused() {
    let mut bytes = built(simple(2)).bytes.to_vec();
    assert!(stamp(&mut bytes, Offset(i64::MAX - 1), LeaderEpoch(0)).is_err());
    assert!(stamp(&mut bytes[..60], Offset(0), LeaderEpoch(0)).is_err());
    let cut = bytes.len() - 1;
    assert!(stamp_log_append_time(&mut bytes[..cut], TimestampMs(1)).is_err());
    parse(&bytes.into());
}

#[test]
fn log_append_time_becomes_every_records_timestamp() {
    let mut bytes = built(simple(3)).bytes.to_vec();
    stamp_log_append_time(&mut bytes, TimestampMs(5555)).unwrap();
    let batch = parse(&bytes.into());
    assert_eq!(batch.header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(batch.header.max_timestamp, TimestampMs(5555));
    assert!(read(&batch).iter().all(|record| record.timestamp == TimestampMs(5555)));
}

#[test]
fn a_cut_tail_ends_the_iteration_or_is_an_error() {
    let one = built(simple(2)).bytes;
    let mut bytes = one.to_vec();
    bytes.extend(&one[..one.len() - 1]);
    let bytes = Bytes::from(bytes);
    assert_eq!(batches(&bytes, Tail::MayBeTruncated).filter_map(Result::ok).count(), 1);
    let whole: Vec<_> = batches(&bytes, Tail::Whole).collect();
    assert!(matches!(whole.as_slice(), [Ok(_), Err(BatchError::Truncated { .. })]));
    assert_eq!(batches(&Bytes::new(), Tail::Whole).count(), 0);
    let mut iterator = batches(&bytes, Tail::MayBeTruncated);
    while iterator.next().is_some() {}
    assert_eq!(iterator.remaining().len(), one.len() - 1);
}

#[test]
fn headers_that_lie_are_refused() {
    let good = built(simple(1)).bytes;
    let with = |at: usize, field: &[u8]| {
        let mut bytes = good.to_vec();
        bytes[at..at + field.len()].copy_from_slice(field);
        BatchHeader::parse(&bytes)
    };
    assert_eq!(with(16, &[1]), Err(BatchError::UnsupportedMagic(1)));
    assert_eq!(with(8, &48_i32.to_be_bytes()), Err(BatchError::InvalidBatchLength(48)));
    assert_eq!(
        with(57, &(-1_i32).to_be_bytes()),
        Err(BatchError::InvalidRecordCount(-1))
    );
    assert!(matches!(
        with(23, &(-1_i32).to_be_bytes()),
        Err(BatchError::InvalidOffsetRange { .. })
    ));
    assert!(matches!(
        with(0, &i64::MAX.to_be_bytes()),
        Err(BatchError::InvalidOffsetRange { .. })
    ));
    assert!(matches!(
        BatchHeader::parse(&good[..16]),
        Err(BatchError::Truncated {
            needed: 61,
            available: 16
        })
    ));
    // A short message of the format before v2 isn't taken for a cut batch.
    let mut old = vec![0; 34];
    old[16] = 1;
    assert_eq!(BatchHeader::parse(&old), Err(BatchError::UnsupportedMagic(1)));
}

#[test]
fn a_producers_batch_is_checked_as_kafka_does() {
    let good = built(simple(2));
    assert_eq!(good.check_for_append(&rules()), Ok(()));
    let small = AppendRules {
        max_message_bytes: good.bytes.len() - 1,
        ..rules()
    };
    assert!(matches!(
        good.check_for_append(&small),
        Err(BatchError::MessageTooLarge { .. })
    ));
    let check = |builder: BatchBuilder| built(builder).check_for_append(&rules());
    assert_eq!(check(BatchBuilder::new()), Err(BatchError::EmptyBatch));
    assert_eq!(check(simple(1).control(true)), Err(BatchError::ControlBatchFromClient));
    assert_eq!(
        check(simple(1).base_offset(Offset(4))),
        Err(BatchError::NonZeroBaseOffset(4))
    );
    let no_sequence = simple(1).producer(ProducerId(1), ProducerEpoch(0), -1);
    assert_eq!(check(no_sequence), Err(BatchError::InvalidSequence(-1)));
    assert_eq!(
        check(simple(1).log_append_time(TimestampMs(1))),
        Err(BatchError::LogAppendTimeFromClient)
    );
    let mut gap = BatchBuilder::retaining(&built(simple(3)).header).unwrap();
    gap.retain(&read(&good)[0]);
    assert!(matches!(
        check(gap),
        Err(BatchError::InconsistentRecordCount {
            last_offset_delta: 2,
            record_count: 1
        })
    ));
}

#[test]
fn timestamps_out_of_bounds_are_refused_unless_the_log_stamps_them() {
    let late = built(BatchBuilder::new().with(NewRecord::new(TimestampMs(2000 + 3_600_001), "k", "v")));
    assert!(matches!(
        late.check_for_append(&rules()),
        Err(BatchError::TimestampOutOfRange { .. })
    ));
    let stamped = AppendRules {
        timestamp_type: TimestampType::LogAppendTime,
        ..rules()
    };
    assert_eq!(late.check_for_append(&stamped), Ok(()));
    let old = built(BatchBuilder::new().with(NewRecord::new(TimestampMs(10), "k", "v")));
    let young_only = AppendRules {
        timestamp_before_max_ms: 100,
        ..rules()
    };
    assert!(matches!(
        old.check_for_append(&young_only),
        Err(BatchError::TimestampOutOfRange { earliest: 1900, .. })
    ));
    let none = built(BatchBuilder::new().with(NewRecord::new(NO_TIMESTAMP, "k", "v")));
    assert_eq!(none.check_for_append(&young_only), Ok(()));
}

#[test]
fn a_produce_request_holds_one_batch_per_partition() {
    let one = built(simple(1)).bytes;
    let two = Bytes::from([one.as_ref(), one.as_ref()].concat());
    assert!(Batch::from_produce(&one).is_ok());
    assert_eq!(Batch::from_produce(&two), Err(BatchError::MoreThanOneBatch));
    assert_eq!(Batch::from_produce(&one.slice(..0)), Err(BatchError::NoBatch));
    assert!(matches!(
        Batch::from_produce(&one.slice(..one.len() - 1)),
        Err(BatchError::Truncated { .. })
    ));
    assert_eq!(
        Batch::from_produce(&Bytes::from([one.as_ref(), &[0]].concat())),
        Err(BatchError::MoreThanOneBatch)
    );
}

#[test]
fn deep_checks_find_missing_keys_and_wrong_counts() {
    let record_rules = RecordRules {
        compacted: true,
        max_decompressed_bytes: 1 << 20,
    };
    let keyless = NewRecord {
        value: Some(Bytes::from_static(b"v")),
        ..NewRecord::default()
    };
    let batch = built(simple(2).with(keyless));
    assert_eq!(
        batch.check_records(&rules(), &record_rules),
        Err(BatchError::MissingKey { index: 2 })
    );
    assert_eq!(
        batch.check_records(
            &rules(),
            &RecordRules {
                compacted: false,
                ..record_rules
            }
        ),
        Ok(())
    );
    let payload = built(simple(2)).payload();
    for count in [1, 3] {
        let lying = around(&payload, Compression::None, count);
        let found = lying.check_records(&rules(), &record_rules);
        assert!(matches!(found, Err(BatchError::InvalidRecord { .. })), "{found:?}");
    }
}

#[test]
fn records_whose_lengths_lie_are_refused() {
    for payload in [
        &[20, 0, 0, 0, 1, 1, 0][..],                            // longer than the batch
        &[1, 0][..],                                            // negative length
        &[12, 0, 0, 0, 40, b'k', 0][..],                        // key beyond the record
        &[12, 0, 0, 0, 1, 1, 0xfe][..],                         // header count never ends
        &[20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f][..], // two billion headers
        &[12, 0, 0, 2, 1, 1, 0][..],                            // offset outside the batch
        &[14, 0, 0, 0, 1, 1, 0, 0][..],                         // bytes after the headers
    ] {
        let batch = around(payload, Compression::None, 1);
        let read: Vec<_> = batch.records().unwrap().collect();
        assert!(
            matches!(read.as_slice(), [Err(BatchError::InvalidRecord { index: 0, .. })]),
            "{payload:?}: {read:?}"
        );
    }
}

#[test]
fn raw_and_repeated_snappy_streams_are_read() {
    let records = built(simple(200)).payload();
    let raw = snap::raw::Encoder::new().compress_vec(&records).unwrap();
    assert_eq!(read(&around(&raw, Compression::Snappy, 200)).len(), 200);
    let (left, right) = records.split_at(100);
    let mut twice = compress(Compression::Snappy, left.to_vec()).unwrap();
    twice.extend(compress(Compression::Snappy, right.to_vec()).unwrap());
    assert_eq!(read(&around(&twice, Compression::Snappy, 200)).len(), 200);
}

/// One xerial block of the literal "abc", written by hand.
#[test]
fn xerials_framing_has_its_golden_bytes() {
    let framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x05\x03\x08abc";
    let payload = Bytes::from_static(framed);
    assert_eq!(decompress(Compression::Snappy, &payload, 3).unwrap(), "abc");
    assert_eq!(compress(Compression::Snappy, b"abc".to_vec()).unwrap(), framed);
}

#[test]
fn lz4_frames_of_any_client_are_read() {
    use std::io::Write;
    let records = built(simple(20_000)).payload();
    for (mode, checksums, size) in [
        (lz4_flex::frame::BlockMode::Linked, true, Some(records.len() as u64)),
        (lz4_flex::frame::BlockMode::Independent, true, None),
        (lz4_flex::frame::BlockMode::Linked, false, Some(records.len() as u64)),
    ] {
        let info = lz4_flex::frame::FrameInfo::new()
            .block_mode(mode)
            .block_size(lz4_flex::frame::BlockSize::Max256KB)
            .block_checksums(checksums)
            .content_checksum(checksums)
            .content_size(size);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&records).unwrap();
        let frame = encoder.finish().unwrap();
        assert_eq!(
            decompress(Compression::Lz4, &frame.into(), records.len()).unwrap(),
            records
        );
    }
}

#[test]
fn concatenated_gzip_and_zstd_members_are_read() {
    let records = built(simple(100)).payload();
    let (left, right) = records.split_at(100);
    for codec in [Compression::Gzip, Compression::Zstd] {
        let mut both = compress(codec, left.to_vec()).unwrap();
        both.extend(compress(codec, right.to_vec()).unwrap());
        assert_eq!(decompress(codec, &both.into(), 1 << 20).unwrap(), records, "{codec}");
    }
}

#[test]
fn a_bomb_stops_at_the_bound() {
    let zeroes = vec![0; 4 << 20];
    for codec in CODECS.into_iter().skip(1) {
        let bomb = Bytes::from(compress(codec, zeroes.clone()).unwrap());
        assert_eq!(decompress(codec, &bomb, zeroes.len()).unwrap(), zeroes, "{codec}");
        let bounded = decompress(codec, &bomb, 1 << 20);
        assert_eq!(
            bounded,
            Err(BatchError::DecompressedTooLarge { max_bytes: 1 << 20 }),
            "{codec}"
        );
    }
}

#[test]
fn compressed_payloads_that_are_cut_are_refused() {
    let records = built(simple(100)).payload();
    for codec in CODECS.into_iter().skip(1) {
        let whole = compress(codec, records.to_vec()).unwrap();
        let cut = Bytes::from(whole).slice(..40);
        assert!(
            matches!(decompress(codec, &cut, 1 << 20), Err(BatchError::Decompression { .. })),
            "{codec}"
        );
    }
}

#[test]
fn unknown_codecs_are_refused() {
    for id in 5..8 {
        let mut batch = built(simple(1));
        batch.header.attributes = Attributes(id);
        assert_eq!(
            batch.records().err(),
            Some(BatchError::UnsupportedCompression(id as u8))
        );
    }
}

#[test]
fn a_compacted_batch_keeps_offsets_sequences_and_even_emptiness() {
    let original = built(
        simple(5)
            .base_offset(Offset(100))
            .producer(ProducerId(3), ProducerEpoch(1), 40),
    );
    let records = read(&original);
    let mut builder = BatchBuilder::retaining(&original.header)
        .unwrap()
        .delete_horizon(TimestampMs(9000));
    builder.retain(&records[1]);
    builder.retain(&records[3]);
    let compacted = built(builder);
    assert_eq!(read(&compacted), [records[1].clone(), records[3].clone()]);
    assert_eq!(compacted.header.last_offset(), Offset(104));
    assert_eq!(compacted.header.last_sequence(), 44);
    assert_eq!(compacted.header.delete_horizon(), Some(TimestampMs(9000)));
    let emptied = built(BatchBuilder::retaining(&compacted.header).unwrap());
    assert_eq!(read(&emptied), []);
    assert_eq!(
        (emptied.header.next_offset(), emptied.header.last_sequence()),
        (Offset(105), 44)
    );
    let mut backwards = BatchBuilder::retaining(&original.header).unwrap();
    backwards.retain(&records[3]);
    backwards.retain(&records[1]);
    assert!(matches!(backwards.finish(), Err(BatchError::Unbuildable(_))));
}

#[test]
fn a_transaction_marker_has_kafkas_key_and_value() {
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 6,
    };
    let batch = built(BatchBuilder::end_transaction(
        ProducerId(4),
        ProducerEpoch(2),
        marker,
        TimestampMs(77),
    ));
    assert!(batch.header.is_control() && batch.header.is_transactional());
    assert_eq!((batch.header.base_sequence, batch.header.last_sequence()), (-1, -1));
    assert_eq!(batch.end_transaction_marker(), Ok(Some(marker)));
    let record = &read(&batch)[0];
    assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1][..]));
    assert_eq!(record.value.as_deref(), Some(&[0, 0, 0, 0, 0, 6][..]));
    assert_eq!(
        ControlRecordType::parse(&[0, 0, 0, 9]),
        Some(ControlRecordType::Unknown(9))
    );
    assert_eq!(ControlRecordType::parse(&[0, 0, 0]), None);
    assert_eq!(ControlRecordType::parse(&[0xff, 0xff, 0, 0]), None);
    let leader_change = built(BatchBuilder::new().control(true).with(NewRecord::new(
        NO_TIMESTAMP,
        vec![0, 0, 0, 2],
        vec![0, 0],
    )));
    assert_eq!(leader_change.end_transaction_marker(), Ok(None));
    assert_eq!(built(simple(1)).end_transaction_marker(), Ok(None));
}

#[test]
fn sequences_wrap_to_zero() {
    let sequence = |first| {
        built(simple(3).producer(ProducerId(1), ProducerEpoch(0), first))
            .header
            .last_sequence()
    };
    assert_eq!(
        (
            sequence(0),
            sequence(i32::MAX - 2),
            sequence(i32::MAX - 1),
            sequence(i32::MAX)
        ),
        (2, i32::MAX, 0, 1)
    );
}

fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

prop_compose! {
    fn any_record()(
        timestamp in any::<i32>(),
        key in any_bytes(),
        value in any_bytes(),
        headers in proptest::collection::vec((any_bytes(), any_bytes()), 0..3),
    ) -> NewRecord {
        let headers = headers.into_iter().map(|(key, value)| RecordHeader { key: key.unwrap_or_default(), value });
        NewRecord { timestamp: TimestampMs(i64::from(timestamp)), key, value, headers: headers.collect() }
    }
}

proptest! {
    #[test]
    fn records_survive_every_codec(
        records in proptest::collection::vec(any_record(), 1..20),
        codec in proptest::sample::select(&CODECS[..]),
        base_offset in 0..1_i64 << 60,
    ) {
        let mut builder = BatchBuilder::new().base_offset(Offset(base_offset)).compression(codec);
        for record in &records {
            builder.append(record.clone());
        }
        let batch = built(builder);
        prop_assert_eq!(batch.header.compression(), Ok(codec));
        prop_assert_eq!(batch.header.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap().max(NO_TIMESTAMP));
        let expected: Vec<(Offset, NewRecord)> =
            (base_offset..).map(Offset).zip(records).collect();
        let found = read(&batch).into_iter().map(|record| {
            let headers = record.headers.iter().collect();
            let Record { offset, timestamp, key, value, .. } = record;
            (offset, NewRecord { timestamp, key, value, headers })
        });
        prop_assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_flipped_bit_is_seen(at in 0_usize..10_000, bit in 0_u32..8) {
        let mut bytes = built(simple(5)).bytes.to_vec();
        let covered = bytes.len() - 17;
        let at = 17 + at % covered;
        bytes[at] ^= 1_u8 << bit;
        let detected = Batch::parse(&bytes.into()).and_then(|batch| batch.check_crc());
        prop_assert!(detected.is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for batch in batches(&bytes.clone().into(), Tail::MayBeTruncated) {
            let _ = batch.map(|batch| batch.records().map(Iterator::count));
        }
        let payload = Bytes::from(bytes);
        for codec in CODECS {
            let batch = around(&payload, codec, 3);
            let _ = batch.check_for_append(&rules());
            let _ = batch.end_transaction_marker();
            let _ = batch.records_within(1 << 20).map(Iterator::count);
        }
        let _ = ControlRecordType::parse(&payload);
    }

    #[test]
    fn damaged_payloads_never_panic(
        codec in proptest::sample::select(&CODECS[..]),
        damage in proptest::collection::vec((0_usize..10_000, any::<u8>()), 1..6),
    ) {
        let mut payload = compress(codec, built(simple(50)).payload().to_vec()).unwrap();
        for (at, byte) in damage {
            let at = at % payload.len();
            payload[at] = byte;
        }
        let batch = around(&payload, codec, 50);
        let _ = batch.records_within(1 << 20).map(|records| records.take(100).count());
    }

    #[test]
    fn damaged_headers_never_panic(header in proptest::collection::vec(any::<u8>(), 61), magic in any::<bool>()) {
        let mut bytes = header;
        if magic {
            bytes[16] = 2;
            bytes[8..12].copy_from_slice(&49_i32.to_be_bytes());
        }
        if let Ok(header) = BatchHeader::parse(&bytes) {
            let _ = (header.last_offset(), header.next_offset(), header.last_sequence(), header.size_bytes());
            prop_assert_eq!(&header.encode()[..], &bytes[..]);
        }
        let _ = stamp_log_append_time(&mut bytes, TimestampMs(1));
    }
}
