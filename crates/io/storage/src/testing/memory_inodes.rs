//! Files and directories in memory: what everybody sees, what is durable, and the changes between the two.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform enough in `0..=most`.
    fn up_to(&mut self, most: usize) -> usize {
        (self.next() % (most as u64 + 1)) as usize
    }
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(Arc<Mutex<FileNode>>),
    Directory(Arc<Mutex<DirectoryNode>>),
}

#[derive(Debug)]
enum FileChange {
    Write { position: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) current: Vec<u8>,
    /// Bytes set aside, beyond those written: they count, nobody reads them.
    pub(super) allocated: u64,
    synced: Vec<u8>,
    unsynced: Vec<FileChange>,
}

impl FileNode {
    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        write_into(&mut self.current, position, bytes);
        self.unsynced.push(FileChange::Write {
            position,
            bytes: bytes.to_vec(),
        });
    }

    pub(super) fn set_len(&mut self, length: usize) {
        self.allocated = self.allocated.min(length as u64);
        // What is only set aside takes no memory.
        if length < self.current.len() || self.allocated < length as u64 {
            self.current.resize(length, 0);
            self.unsynced.push(FileChange::SetLen(length));
        }
    }

    pub(super) fn allocate(&mut self, length: u64) {
        self.allocated = self.len().max(length);
    }

    pub(super) fn len(&self) -> u64 {
        self.allocated.max(self.current.len() as u64)
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply(&mut self.synced, &change);
        }
    }

    /// Keeps what is durable and a prefix of the other changes; the first one that is lost may be torn: a part of its
    /// bytes, and sometimes zeroes where the rest would be (the length was durable before the content).
    pub(super) fn power_cut(&mut self, dice: &mut Dice) {
        let changes = std::mem::take(&mut self.unsynced);
        let kept = dice.up_to(changes.len());
        for change in changes.iter().take(kept) {
            apply(&mut self.synced, change);
        }
        if let Some(FileChange::Write { position, bytes }) = changes.get(kept) {
            let part = dice.up_to(bytes.len());
            let zeroes = if dice.up_to(3) == 0 { bytes.len() - part } else { 0 };
            write_into(&mut self.synced, *position, &bytes[..part]);
            write_into(&mut self.synced, position + part, &vec![0; zeroes]);
        }
        self.current = self.synced.clone();
    }
}

fn apply(content: &mut Vec<u8>, change: &FileChange) {
    match change {
        FileChange::Write { position, bytes } => write_into(content, *position, bytes),
        FileChange::SetLen(length) => content.resize(*length, 0),
    }
}

fn write_into(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = position + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[position..end].copy_from_slice(bytes);
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, Node),
    Unlink(String),
    Rename { from: String, to: String },
}

#[derive(Debug, Default)]
pub(super) struct DirectoryNode {
    pub(super) current: BTreeMap<String, Node>,
    synced: BTreeMap<String, Node>,
    unsynced: Vec<NameChange>,
}

impl DirectoryNode {
    pub(super) fn link(&mut self, name: &str, node: Node) {
        self.change(NameChange::Link(name.to_owned(), node));
    }

    pub(super) fn unlink(&mut self, name: &str) {
        self.change(NameChange::Unlink(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.change(NameChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }

    fn change(&mut self, change: NameChange) {
        apply_name(&mut self.current, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply_name(&mut self.synced, &change);
        }
    }

    /// Keeps what is durable and a prefix of the other changes: a journal writes names in order.
    pub(super) fn power_cut(&mut self, dice: &mut Dice) {
        let changes = std::mem::take(&mut self.unsynced);
        let kept = dice.up_to(changes.len());
        for change in changes.iter().take(kept) {
            apply_name(&mut self.synced, change);
        }
        self.current = self.synced.clone();
        for node in self.current.values() {
            match node {
                Node::File(file) => file.lock().power_cut(dice),
                Node::Directory(directory) => directory.lock().power_cut(dice),
            }
        }
    }

    /// Bytes of all files beneath.
    pub(super) fn size_bytes(&self) -> u64 {
        let sizes = self.current.values().map(|node| match node {
            Node::File(file) => file.lock().len(),
            Node::Directory(directory) => directory.lock().size_bytes(),
        });
        sizes.sum()
    }
}

fn apply_name(names: &mut BTreeMap<String, Node>, change: &NameChange) {
    match change {
        NameChange::Link(name, node) => {
            names.insert(name.clone(), node.clone());
        }
        NameChange::Unlink(name) => {
            names.remove(name);
        }
        NameChange::Rename { from, to } => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
    }
}
