//! What every [`FileSystem`] has to do alike, as far as it shows without cutting the power.

use std::io::{ErrorKind, IoSlice};
use std::path::Path;

use crate::file_system::{FileSystem, OpenMode};
use crate::{create_dir_durably, read_file, write_file_atomically};

/// Runs the suite beneath `root`, which is made; panics with the rule that is broken.
///
/// # Panics
/// When the implementation doesn't conform.
#[expect(clippy::expect_used, reason = "a conformance suite fails by panicking")]
pub fn file_system_conformance(fs: &dyn FileSystem, root: &Path) {
    let root = root.join("suite/deep");
    create_dir_durably(fs, &root).expect("directories are made with their ancestors");
    assert!(
        fs.exists(&root).expect("exists") && fs.is_dir(&root).expect("is_dir"),
        "a made directory is there"
    );
    let path = root.join("file");
    let missing = fs
        .open(&path, OpenMode::READ)
        .map(drop)
        .expect_err("a missing file isn't opened");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(!fs.exists(&path).expect("exists") && !fs.is_dir(&path).expect("is_dir"));

    let file = fs.open(&path, OpenMode::CREATE).expect("a file is made");
    file.write_all_at(b"hello", 0).expect("write");
    let slices = [
        IoSlice::new(b", "),
        IoSlice::new(b""),
        IoSlice::new(b"wor"),
        IoSlice::new(b"ld"),
    ];
    file.write_all_vectored_at(&slices, 5).expect("vectored write");
    assert_eq!(file.len().expect("len"), 12);
    let mut buffer = [0; 32];
    let other = fs.open(&path, OpenMode::READ).expect("a second handle");
    assert_eq!(
        other.read_at(&mut buffer, 7).expect("read"),
        5,
        "a read stops at the end"
    );
    assert_eq!(&buffer[..5], b"world");
    assert_eq!(
        other.read_at(&mut buffer, 12).expect("read"),
        0,
        "nothing is read at the end"
    );
    assert_eq!(
        other.read_at(&mut buffer, 99).expect("read"),
        0,
        "nothing is read past the end"
    );
    match other.read_cached_at(&mut buffer, 7) {
        Ok(read) => assert_eq!(
            (read, &buffer[..5]),
            (5, &b"world"[..]),
            "memory holds what the disk does"
        ),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
    file.set_len(3).expect("cut");
    file.set_len(5).expect("extend");
    assert_eq!(other.read_at(&mut buffer, 0).expect("read"), 5);
    assert_eq!(&buffer[..5], b"hel\0\0", "an extension is zeroes");
    file.write_all_at(b"!", 8).expect("a write past the end");
    assert_eq!(fs.file_len(&path).expect("file_len"), 9, "a gap is filled");
    file.sync_data().expect("sync");
    let aside = fs.open(&root.join("aside"), OpenMode::CREATE).expect("create");
    aside.allocate(1 << 16).expect("allocate");
    assert_eq!(aside.len().expect("len"), 1 << 16, "what is set aside counts");
    aside.set_len(0).expect("cut");
    assert_eq!(aside.len().expect("len"), 0, "what is set aside is given back");
    fs.remove_file(&root.join("aside")).expect("remove");
    assert!(other.write_all_at(b"x", 0).is_err(), "a read-only handle doesn't write");
    drop(fs.open(&path, OpenMode::CREATE).expect("create of an existing file"));
    assert_eq!(fs.file_len(&path).expect("file_len"), 9, "create doesn't truncate");

    let renamed = root.join("renamed");
    write_file_atomically(fs, &renamed, b"old").expect("atomic write");
    fs.rename(&path, &renamed).expect("a rename replaces its target");
    assert_eq!(
        read_file(fs, &renamed).expect("read").map(|content| content.len()),
        Some(9)
    );
    assert_eq!(fs.read_dir(&root).expect("list"), ["renamed"], "names after a rename");
    write_file_atomically(fs, &renamed, b"new").expect("atomic write");
    assert_eq!(read_file(fs, &renamed).expect("read").as_deref(), Some(&b"new"[..]));
    assert_eq!(read_file(fs, &path).expect("read"), None);

    let held = fs.lock(&root.join(".lock")).expect("lock");
    let refused = fs.lock(&root.join(".lock")).map(drop).expect_err("a lock is held once");
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    drop(held);
    drop(fs.lock(&root.join(".lock")).expect("a dropped lock is free"));

    fs.rename(&root, &root.with_file_name("moved"))
        .expect("a directory is renamed with its content");
    let moved = root.with_file_name("moved");
    assert_eq!(
        read_file(fs, &moved.join("renamed")).expect("read").as_deref(),
        Some(&b"new"[..])
    );
    fs.remove_file(&moved.join("renamed")).expect("remove");
    let gone = fs
        .remove_file(&moved.join("renamed"))
        .expect_err("a removed file is gone");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    fs.remove_dir_all(&moved).expect("remove a directory with its content");
    assert_eq!(
        fs.read_dir(&moved).map(drop).expect_err("gone").kind(),
        ErrorKind::NotFound
    );
    let parent = root.parent().unwrap_or(&root);
    let free = fs.free_bytes(parent).expect("free_bytes");
    assert!(free > 0 && fs.total_bytes(parent).expect("total_bytes") >= free);
}
