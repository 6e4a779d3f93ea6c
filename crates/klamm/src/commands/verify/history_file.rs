//! The history as a file: one event a line, as JSON, compressed by gzip.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use history::Entry;

/// Its name below `--out`.
pub(super) const HISTORY_FILE: &str = "history.jsonl.gz";

/// How gzip's files begin.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A history that is being written.
#[derive(Debug)]
pub(super) struct HistoryWriter {
    out: GzEncoder<BufWriter<File>>,
    line: Vec<u8>,
}

impl HistoryWriter {
    /// Begins one.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
        Ok(Self {
            // The clients need the processor more than the disk needs the space.
            out: GzEncoder::new(BufWriter::new(file), Compression::fast()),
            line: Vec::new(),
        })
    }

    /// Adds an event.
    pub(super) fn write(&mut self, entry: &Entry) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, entry)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line).context("can't write the history")
    }

    /// Ends it.
    pub(super) fn finish(self) -> Result<()> {
        let mut file = self.out.finish().context("can't write the history")?;
        file.flush().context("can't write the history")
    }
}

/// Gives each event of a history to `take`. Uncompressed ones are read, too: somebody may have looked into one.
pub(super) fn read_history(path: &Path, mut take: impl FnMut(&Entry) -> Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("can't read {}", path.display()))?;
    let mut plain = BufReader::new(file);
    let compressed = plain
        .fill_buf()
        .with_context(|| format!("can't read {}", path.display()))?
        .starts_with(&GZIP);
    let lines: Box<dyn BufRead> = if compressed {
        Box::new(BufReader::new(MultiGzDecoder::new(plain)))
    } else {
        Box::new(plain)
    };
    for (at, line) in lines.lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), at + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let entry: Entry = serde_json::from_str(&line).with_context(place)?;
        take(&entry).with_context(place)?;
    }
    Ok(())
}
