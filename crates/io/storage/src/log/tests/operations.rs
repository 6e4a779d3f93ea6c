use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use records::{BatchBuilder, NewRecord};
use types::{EpochEnd, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, Uuid};

use super::{NOW, batch, clean, fill, open, read_all, request, small_segments, try_open, unclean};
use crate::testing::{MemoryFileSystem, Operation};
use crate::{AbortedTransaction, FileSystem, LogConfig, LogError, PreparedRead};

#[test]
fn what_was_appended_is_read_back_from_any_offset() {
    for tail_cache_bytes in [0, 300, 1 << 20] {
        let config = LogConfig {
            tail_cache_bytes,
            ..small_segments()
        };
        let disk = MemoryFileSystem::new();
        let mut log = open(&disk, &config, unclean(Offset(0)));
        let batches = fill(&mut log, 40, 1);
        assert!(log.segments().count() > 3);
        for max_bytes in [1, 300, 1 << 20] {
            assert_eq!(read_all(&log, Offset(0), max_bytes), batches);
        }
        for offset in 0..log.log_end_offset().0 {
            let outcome = log.read(request(offset, 1)).unwrap();
            assert_eq!(outcome.base_offset, Offset(offset / 3 * 3));
            assert_eq!(outcome.into_bytes(), batches[(offset / 3) as usize]);
        }
    }
}

#[test]
fn a_read_keeps_below_its_bound_and_within_its_bytes() {
    let disk = MemoryFileSystem::new();
    for tail_cache_bytes in [0, 1 << 20] {
        disk.kill();
        let mut log = open(
            &disk,
            &LogConfig {
                tail_cache_bytes,
                ..LogConfig::default()
            },
            unclean(Offset(0)),
        );
        let start = log.log_end_offset().0;
        fill(&mut log, 4, 1);
        let bounded = crate::ReadRequest {
            up_to: Offset(start + 8),
            ..request(start, 1 << 20)
        };
        assert_eq!(log.read(bounded).unwrap().next_offset, Offset(start + 6));
        let nothing = crate::ReadRequest {
            min_one_batch: false,
            ..request(start, 10)
        };
        assert!(log.read(nothing).unwrap().is_empty());
        assert!(
            log.read(request(start + 12, 10)).unwrap().is_empty(),
            "the log end is no error"
        );
        assert!(matches!(
            log.read(request(start + 13, 10)),
            Err(LogError::OffsetOutOfRange { .. })
        ));
    }
}

#[test]
fn an_append_to_the_tail_is_read_without_the_disk() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    fill(&mut log, 4, 1);
    assert!(matches!(
        log.prepare_read(request(3, 1 << 20)).unwrap(),
        PreparedRead::Ready(_)
    ));
    let all = log.tail_bytes();
    log.release_tail_below(Offset(6));
    assert_eq!(log.tail_bytes(), all / 2);
    log.release_idle();
    assert_eq!(log.tail_bytes(), 0);
    assert!(matches!(
        log.prepare_read(request(3, 1 << 20)).unwrap(),
        PreparedRead::File(_)
    ));
    assert_eq!(log.read(request(3, 1 << 20)).unwrap().next_offset, Offset(12));
}

#[test]
fn one_call_is_one_write_unless_it_spans_segments() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    let batches: Vec<Bytes> = (0..5).map(|at| batch(at * 3, 1, 3, 20, 0)).collect();
    let before = disk.calls_made();
    let outcome = log.append(&batches, NOW).unwrap();
    assert_eq!(disk.calls_made() - before, 1);
    assert_eq!(
        (outcome.first_offset, outcome.last_offset, outcome.log_end_offset),
        (Offset(0), Offset(14), Offset(15))
    );

    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    let batches: Vec<Bytes> = (0..20).map(|at| batch(at * 3, 1, 3, 20, 0)).collect();
    assert!(log.append(&batches, NOW).unwrap().rolled);
    assert!(log.segments().all(|segment| segment.size_bytes <= 1000));
    assert_eq!(read_all(&log, Offset(0), 1 << 20), batches);
}

#[test]
fn what_is_not_a_whole_batch_in_order_is_refused_before_anything_is_written() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    fill(&mut log, 2, 1);
    let good = batch(6, 1, 3, 20, 0);
    let low = batch(5, 1, 3, 20, 0);
    assert!(matches!(
        log.append(&[good.clone(), low], NOW),
        Err(LogError::OutOfOrder { .. })
    ));
    assert!(matches!(
        log.append(&[good.slice(..good.len() - 1)], NOW),
        Err(LogError::BatchSize { .. })
    ));
    assert!(matches!(
        log.append(&[good.slice(..10)], NOW),
        Err(LogError::InvalidBatch(_))
    ));
    assert_eq!(log.log_end_offset(), Offset(6));
    log.append(&[good], NOW).unwrap();
}

#[test]
fn a_gap_between_batches_is_kept() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    for base in (0..300).step_by(10) {
        log.append(&[batch(base, 1, 3, 20, 0)], NOW).unwrap();
    }
    let outcome = log.read(request(5, 1)).unwrap();
    assert_eq!((outcome.base_offset, outcome.next_offset), (Offset(10), Offset(13)));
    let before = read_all(&log, Offset(0), 500);
    drop(log);
    disk.kill();
    assert_eq!(
        read_all(&open(&disk, &small_segments(), unclean(Offset(0))), Offset(0), 500),
        before
    );
}

#[test]
fn offsets_too_far_apart_for_one_segment_roll() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    log.append(&[batch(1 << 33, 1, 1, 20, 0)], NOW).unwrap();
    log.append(&[batch((1 << 33) + 5, 1, 1, 20, 0), batch(1 << 35, 1, 1, 20, 0)], NOW)
        .unwrap();
    assert_eq!(
        log.segments().map(|segment| segment.base_offset.0).collect::<Vec<_>>(),
        [1 << 33, 1 << 35]
    );
    assert_eq!(read_all(&log, Offset(0), 1).len(), 3);
}

#[test]
fn segments_roll_by_age() {
    let disk = MemoryFileSystem::new();
    let mut log = open(
        &disk,
        &LogConfig {
            segment_ms: 100,
            ..LogConfig::default()
        },
        unclean(Offset(0)),
    );
    log.append(&[batch(0, 1, 1, 20, 1000)], NOW).unwrap();
    log.append(&[batch(1, 1, 1, 20, 1100)], NOW).unwrap();
    log.append(&[batch(2, 1, 1, 20, 1101)], NOW).unwrap();
    assert_eq!(log.segments().count(), 2);
}

#[test]
fn a_failed_write_poisons_the_log_but_reads_go_on() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    let batches = fill(&mut log, 3, 1);
    disk.fail(Operation::Write, ".log", ErrorKind::Other);
    let next = batch(9, 1, 3, 20, 0);
    assert!(matches!(
        log.append(std::slice::from_ref(&next), NOW),
        Err(LogError::Storage { .. })
    ));
    disk.heal();
    let again = log.append(&[next], NOW);
    assert!(matches!(&again, Err(LogError::Poisoned { .. })) && again.unwrap_err().is_storage_fault());
    assert!(log.flush_task().is_none());
    assert_eq!(read_all(&log, Offset(0), 1 << 20), batches);
}

#[test]
fn a_failed_sync_is_never_retried() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    fill(&mut log, 3, 1);
    let (first, second) = (log.flush_task().unwrap(), log.flush_task().unwrap());
    disk.fail(Operation::SyncData, ".log", ErrorKind::Other);
    assert!(matches!(first.run(), Err(LogError::Storage { .. })));
    disk.heal();
    assert!(matches!(second.run(), Err(LogError::Poisoned { .. })));
    assert!(matches!(
        log.append(&[batch(9, 1, 1, 1, 0)], NOW),
        Err(LogError::Poisoned { .. })
    ));
    assert_eq!(log.synced_end(), Offset(0));
}

#[test]
fn a_flush_moves_the_recovery_point_to_what_was_appended_before_it() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    fill(&mut log, 20, 1);
    let task = log.flush_task().unwrap();
    fill(&mut log, 1, 1);
    assert_eq!(task.up_to(), Offset(60));
    let flushed = task.run().unwrap();
    log.on_flushed(flushed);
    assert_eq!((log.recovery_point(), log.log_end_offset()), (Offset(60), Offset(63)));
    log.flush_now().unwrap();
    assert_eq!(log.recovery_point(), Offset(63));
    assert!(log.flush_task().is_none());
}

#[test]
fn a_flush_that_a_truncation_overtook_counts_for_nothing() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    fill(&mut log, 20, 1);
    let task = log.flush_task().unwrap();
    let outcome = log.truncate_to(Offset(30), NOW).unwrap();
    assert!(!outcome.recovery_point_lowered);
    fill(&mut log, 20, 2);
    let flushed = task.run().unwrap();
    log.on_flushed(flushed);
    assert_eq!(log.recovery_point(), Offset(0));
}

#[test]
fn truncation_leaves_a_log_that_goes_on() {
    for cut in 0..=60 {
        let disk = MemoryFileSystem::new();
        let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
        let mut batches = fill(&mut log, 10, 1);
        batches.extend(fill(&mut log, 10, 2));
        log.flush_now().unwrap();
        let outcome = log.truncate_to(Offset(cut), NOW).unwrap();
        let end = cut / 3 * 3;
        assert_eq!(
            (outcome.log_end_offset, log.log_end_offset()),
            (Offset(end), Offset(end))
        );
        assert_eq!(outcome.recovery_point_lowered, end < 60);
        batches.truncate((end / 3) as usize);
        assert_eq!(read_all(&log, Offset(0), 400), batches);
        let epoch = if end > 30 { Some(2) } else { (end > 0).then_some(1) };
        assert_eq!(log.latest_epoch(), epoch.map(LeaderEpoch));
        batches.extend(fill(&mut log, 5, 7));
        assert_eq!(read_all(&log, Offset(0), 400), batches);
        if let Some(deletion) = outcome.deletion {
            deletion.run().unwrap();
        }
        let recovery_point = log.recovery_point();
        let epochs = log.epochs().to_vec();
        drop(log);
        disk.kill();
        let log = open(&disk, &small_segments(), unclean(recovery_point));
        assert_eq!(read_all(&log, Offset(0), 400), batches);
        assert_eq!(log.epochs(), epochs);
    }
}

#[test]
fn starting_over_leaves_nothing_behind() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    fill(&mut log, 20, 1);
    let outcome = log.truncate_fully_and_start_at(Offset(500), NOW).unwrap();
    outcome.deletion.unwrap().run().unwrap();
    assert_eq!(
        (log.log_start_offset(), log.log_end_offset(), log.latest_epoch()),
        (Offset(500), Offset(500), None)
    );
    assert!(matches!(
        log.read(request(59, 1)),
        Err(LogError::OffsetOutOfRange { .. })
    ));
    let batches = fill(&mut log, 3, 4);
    drop(log);
    disk.kill();
    let log = open(&disk, &small_segments(), unclean(Offset(500)));
    assert_eq!(log.log_start_offset(), Offset(500));
    assert_eq!(read_all(&log, Offset(500), 1), batches);
}

#[test]
fn epochs_come_from_batches_and_survive_a_restart() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    for epoch in [1, 2, 2, 5] {
        fill(&mut log, 5, epoch);
    }
    log.assign_epoch_start(LeaderEpoch(8), Offset(60));
    let end = |epoch, end_offset| {
        Some(EpochEnd {
            epoch: LeaderEpoch(epoch),
            end_offset: Offset(end_offset),
        })
    };
    assert_eq!(log.end_offset_for_epoch(LeaderEpoch(2)), end(2, 45));
    assert_eq!(log.end_offset_for_epoch(LeaderEpoch(4)), end(2, 45));
    assert_eq!(log.end_offset_for_epoch(LeaderEpoch(8)), end(8, 60));
    assert_eq!(log.start_offset_of_latest_epoch(), Some(Offset(60)));
    fill(&mut log, 1, 8);
    let epochs = log.epochs().to_vec();
    log.close_clean().unwrap();
    assert_eq!(open(&disk, &small_segments(), clean()).epochs(), epochs);
    let checkpoint = Path::new(super::DIRECTORY).join("leader-epoch-checkpoint");
    assert_eq!(
        crate::read_text(&disk, &checkpoint).unwrap().as_deref(),
        Some("0\n4\n1 0\n2 15\n5 45\n8 60\n")
    );
    // The file is only a shortcut.
    disk.remove_file(&checkpoint).unwrap();
    assert_eq!(open(&disk, &small_segments(), clean()).epochs(), epochs);
    disk.remove_file(&checkpoint).ok();
    assert_eq!(open(&disk, &small_segments(), unclean(Offset(30))).epochs(), epochs);
}

#[test]
fn indexes_are_rebuilt_when_they_are_missing_or_odd() {
    for damage in 0..4 {
        let disk = MemoryFileSystem::new();
        let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
        let batches = fill(&mut log, 40, 1);
        log.close_clean().unwrap();
        for name in disk.read_dir(Path::new(super::DIRECTORY)).unwrap() {
            let path = Path::new(super::DIRECTORY).join(&name);
            if !name.ends_with("index") {
                continue;
            }
            let file = disk.open(&path, crate::OpenMode::READ_WRITE).unwrap();
            let length = file.len().unwrap();
            match damage {
                0 => disk.remove_file(&path).unwrap(),
                1 => file.write_all_at(&vec![0; length as usize], 0).unwrap(),
                2 => file.write_all_at(&vec![0x7f; length as usize], 0).unwrap(),
                _ => file.set_len(length / 2 + 3).unwrap(),
            }
        }
        for input in [clean(), unclean(Offset(100))] {
            let log = open(&disk, &small_segments(), input);
            assert_eq!(read_all(&log, Offset(0), 300), batches, "damage {damage}");
            for offset in 0..log.log_end_offset().0 {
                assert_eq!(
                    log.read(request(offset, 1)).unwrap().base_offset,
                    Offset(offset / 3 * 3)
                );
            }
        }
    }
}

#[test]
fn offsets_are_found_by_time() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    fill(&mut log, 40, 1);
    let check = |log: &crate::Log| {
        for base in (0..120).step_by(3) {
            let (at, offset) = log.find_by_timestamp(TimestampMs(base * 10 + 1)).unwrap().unwrap();
            assert_eq!((at, offset), (TimestampMs(base * 10 + 1), Offset(base + 1)));
            let (_, offset) = log.find_by_timestamp(TimestampMs(base * 10 - 5)).unwrap().unwrap();
            assert_eq!(offset, Offset(base));
        }
        assert_eq!(log.find_by_timestamp(TimestampMs(1173)).unwrap(), None);
        assert_eq!(
            log.max_timestamp_offset().unwrap(),
            Some((TimestampMs(1172), Offset(119)))
        );
    };
    check(&log);
    log.close_clean().unwrap();
    check(&open(&disk, &small_segments(), clean()));
    let mut log = open(&disk, &small_segments(), unclean(Offset(50)));
    check(&log);
    log.append(&[batch(120, 1, 3, 20, 600)], NOW).unwrap();
    assert_eq!(
        log.max_timestamp_offset().unwrap(),
        Some((TimestampMs(1172), Offset(119)))
    );
    let _ = log.advance_log_start(Offset(50), NOW).unwrap();
    assert_eq!(
        log.find_by_timestamp(TimestampMs(0)).unwrap(),
        Some((TimestampMs(482), Offset(50)))
    );
}

#[test]
fn retention_takes_whole_segments_below_the_high_watermark() {
    let disk = MemoryFileSystem::new();
    let config = LogConfig {
        retention_ms: None,
        retention_bytes: Some(2000),
        ..small_segments()
    };
    let mut log = open(&disk, &config, unclean(Offset(0)));
    fill(&mut log, 40, 1);
    let nothing = log.delete_retired_segments(NOW, Offset(0)).unwrap();
    assert_eq!((nothing.segments, log.log_start_offset()), (0, Offset(0)));
    let retired = log.delete_retired_segments(NOW, Offset(120)).unwrap();
    assert!(log.size_bytes() >= 2000 && log.size_bytes() < 3000);
    let start = log.log_start_offset();
    assert_eq!(start, log.segments().next().unwrap().base_offset);
    let before = disk.size_bytes();
    retired.deletion.unwrap().run().unwrap();
    assert!(before - disk.size_bytes() >= retired.size_bytes);

    log.set_config(LogConfig {
        retention_ms: Some(100),
        ..small_segments()
    });
    let all = log.delete_retired_segments(TimestampMs(10_000), Offset(120)).unwrap();
    assert_eq!(
        (log.log_start_offset(), log.segments().count()),
        (Offset(120), 1),
        "the active one is rolled and goes, too"
    );
    drop(all.deletion);
    drop(log);
    disk.kill();
    let log = open(&disk, &config, unclean(Offset(0)));
    assert_eq!(
        (log.log_start_offset(), log.log_end_offset()),
        (Offset(120), Offset(120))
    );
    assert!(
        disk.read_dir(Path::new(super::DIRECTORY))
            .unwrap()
            .iter()
            .all(|name| !name.ends_with(".deleted"))
    );
}

#[test]
fn deleted_records_are_out_of_range_at_once_and_after_a_restart() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    fill(&mut log, 40, 1);
    let retired = log.advance_log_start(Offset(61), NOW).unwrap();
    assert!(retired.segments > 0);
    assert!(matches!(
        log.read(request(60, 1)),
        Err(LogError::OffsetOutOfRange { .. })
    ));
    assert_eq!(log.read(request(61, 1)).unwrap().base_offset, Offset(60));
    assert!(log.advance_log_start(Offset(121), NOW).is_err());
    let input = crate::OpenInput {
        log_start_offset: Offset(61),
        ..unclean(Offset(0))
    };
    drop(log);
    disk.kill();
    assert_eq!(open(&disk, &small_segments(), input).log_start_offset(), Offset(61));
}

#[test]
fn a_directory_of_another_topic_is_refused() {
    let disk = MemoryFileSystem::new();
    drop(open(&disk, &LogConfig::default(), unclean(Offset(0))));
    let other = crate::Log::open(
        std::sync::Arc::new(disk.clone()),
        Path::new(super::DIRECTORY),
        TopicId(Uuid::from_u128(43)),
        LogConfig::default(),
        unclean(Offset(0)),
    );
    assert!(matches!(other, Err(LogError::InconsistentTopicId { .. })));
}

fn produced(base: i64, sequence: i32, transactional: bool) -> Bytes {
    BatchBuilder::new()
        .base_offset(Offset(base))
        .leader_epoch(LeaderEpoch(1))
        .producer(ProducerId(9), ProducerEpoch(0), sequence)
        .transactional(transactional)
        .with(NewRecord::new(TimestampMs(5), Bytes::new(), Bytes::from_static(b"v")))
        .finish()
        .unwrap()
}

fn marker(base: i64, committed: bool) -> Bytes {
    let marker = records::EndTransactionMarker {
        committed,
        coordinator_epoch: 0,
    };
    BatchBuilder::end_transaction(ProducerId(9), ProducerEpoch(0), marker, TimestampMs(6))
        .base_offset(Offset(base))
        .leader_epoch(LeaderEpoch(1))
        .finish()
        .unwrap()
}

#[test]
fn producers_and_aborted_transactions_survive_restarts() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), unclean(Offset(0)));
    let mut at = 0;
    for round in 0..12 {
        log.append(
            &[produced(at, round * 2, true), produced(at + 1, round * 2 + 1, true)],
            NOW,
        )
        .unwrap();
        assert_eq!(log.producers().first_undecided_offset(), Some(Offset(at)));
        let outcome = log.append(&[marker(at + 2, round % 2 == 0)], NOW).unwrap();
        assert_eq!(outcome.completed.len(), 1);
        at += 3;
        if round == 6 {
            log.flush_now().unwrap();
        }
    }
    log.append(&[produced(at, 24, true)], NOW).unwrap();
    let aborted = log.aborted_transactions(Offset(0), Offset(100)).unwrap();
    assert_eq!(aborted.len(), 6);
    let second = AbortedTransaction {
        producer_id: ProducerId(9),
        first_offset: Offset(3),
        last_offset: Offset(5),
        last_stable_offset: Offset(6),
    };
    assert_eq!(aborted[0], second);
    assert_eq!(log.aborted_transactions(Offset(6), Offset(9)).unwrap(), []);
    assert_eq!(log.aborted_transactions(Offset(4), Offset(9)).unwrap(), [second]);
    let recovery_point = log.recovery_point();
    let sequence = log.producers().entry(ProducerId(9)).unwrap().last_sequence();
    drop(log);
    for recovery_point in [recovery_point, Offset(0)] {
        disk.kill();
        let log = open(&disk, &small_segments(), unclean(recovery_point));
        assert_eq!(log.aborted_transactions(Offset(0), Offset(100)).unwrap(), aborted);
        assert_eq!(log.producers().entry(ProducerId(9)).unwrap().last_sequence(), sequence);
        assert_eq!(log.producers().first_undecided_offset(), Some(Offset(36)));
    }
    let mut log = open(&disk, &small_segments(), unclean(recovery_point));
    let _ = log.truncate_to(Offset(20), NOW).unwrap();
    assert_eq!(log.producers().first_undecided_offset(), Some(Offset(18)));
    assert_eq!(log.aborted_transactions(Offset(0), Offset(100)).unwrap(), aborted[..3]);
    log.close_clean().unwrap();
    let log = open(&disk, &small_segments(), clean());
    assert_eq!(log.producers().first_undecided_offset(), Some(Offset(18)));
    assert_eq!(log.aborted_transactions(Offset(0), Offset(100)).unwrap(), aborted[..3]);
}

#[test]
fn a_restart_after_a_kill_reads_only_what_lies_past_the_recovery_point() {
    let disk = MemoryFileSystem::new();
    let config = LogConfig {
        index_interval_bytes: 200,
        ..LogConfig::default()
    };
    let mut log = open(&disk, &config, unclean(Offset(0)));
    fill(&mut log, 400, 1);
    log.flush_now().unwrap();
    let (recovery_point, synced_bytes) = (log.recovery_point(), log.size_bytes());
    drop(log);
    disk.kill();
    // A wrong byte in the middle isn't met by recovery, so it wasn't read.
    let path = Path::new(super::DIRECTORY).join("00000000000000000000.log");
    let file = disk.open(&path, crate::OpenMode::READ_WRITE).unwrap();
    file.write_all_at(b"x", synced_bytes / 2 + 70).unwrap();
    let log = open(&disk, &config, unclean(recovery_point));
    assert_eq!(log.log_end_offset(), Offset(1200));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_that_are_no_log_open_as_an_empty_one(bytes in prop::collection::vec(any::<u8>(), 0..400), index: Vec<u8>) {
        let disk = MemoryFileSystem::new();
        drop(open(&disk, &LogConfig::default(), unclean(Offset(0))));
        for (name, content) in [("log", &bytes), ("index", &index), ("timeindex", &index), ("txnindex", &index)] {
            let path = Path::new(super::DIRECTORY).join(format!("{:020}.{name}", 0));
            disk.open(&path, crate::OpenMode::CREATE).unwrap().write_all_at(content, 0).unwrap();
        }
        for name in ["leader-epoch-checkpoint", "00000000000000000000.snapshot"] {
            let path = Path::new(super::DIRECTORY).join(name);
            disk.open(&path, crate::OpenMode::CREATE).unwrap().write_all_at(&index, 0).unwrap();
        }
        for input in [clean(), unclean(Offset(0)), unclean(Offset(77))] {
            let log = try_open(&disk, &LogConfig::default(), input).unwrap();
            prop_assert_eq!(log.log_end_offset(), Offset(0));
        }
    }
}

#[test]
fn an_epoch_that_got_no_record_is_forgotten_by_a_follower() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &small_segments(), clean());
    fill(&mut log, 1, 4);
    let end = log.log_end_offset();
    let last = log.latest_epoch();
    log.assign_epoch_start(LeaderEpoch(8), end);
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(8)));
    let _ = log.truncate_to(end, NOW).unwrap();
    assert_eq!(log.latest_epoch(), last);
    assert_eq!(log.log_end_offset(), end);
}

/// FLUSH-4: the directory of a deleted topic's partition may belong to a new one of the same name by then.
#[test]
fn a_flush_that_was_planned_writes_nothing_when_the_directory_was_given_up() {
    let disk = MemoryFileSystem::new();
    let mut log = open(&disk, &LogConfig::default(), unclean(Offset(0)));
    fill(&mut log, 4, 1);
    let planned = log.flush_task().unwrap();
    log.end_flushes().run();
    let before = disk.calls_made();
    let _ = planned.run().unwrap();
    assert_eq!(disk.calls_made(), before, "it touched the disk");
}
