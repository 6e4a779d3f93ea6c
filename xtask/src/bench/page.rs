//! docs/performance.md: the table, what it was measured on and with, the pictures. Only numbers of the run that writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::machine::machine;
use super::nodes::{Programs, System};
use super::plot::{Pair, Scale, bars};
use super::results::{Line, Results};

const PAGE: &str = "docs/performance.md";
/// Of the pictures, beside the page.
const FOLDER: &str = "performance";

/// Writes the page and its pictures.
pub(super) fn write_page(root: &Path, programs: &Programs, runs: u32, results: &Results) -> anyhow::Result<()> {
    let folder = root.join("docs").join(FOLDER);
    fs::create_dir_all(&folder)?;
    for (name, picture) in pictures(results) {
        let path = folder.join(name);
        fs::write(&path, picture).with_context(|| format!("can't write {}", path.display()))?;
    }
    let text = page(&machine(root, &programs.klamm), runs, results);
    fs::write(root.join(PAGE), text).with_context(|| format!("can't write {PAGE}"))?;
    eprintln!("written: {PAGE}");
    Ok(())
}

fn page(machine: &[(&str, String)], runs: u32, results: &Results) -> String {
    let mut text = format!(
        "# How fast it is\n\n\
         Klamm beside Apache Kafka on one machine: three nodes each, broker and controller, the same properties files, RF 3, \
         `min.insync.replicas=2`, `acks=all`, everything else by default, no TLS, loopback, one disk. Written by `cargo xtask \
         bench --against kafka --write`; every number is of that one run of {runs} turns, in which the systems took turns to be \
         first. Cells are least / middle / most of the {runs}. A ratio's middle is that of the medians, its spread that of \
         neighbouring runs.\n\n\
         Brokers and load generator share the cores, so MB/s depends on both; what the brokers cost is in the lines *broker CPU*: \
         CPU seconds of all three for a GB (1e9 bytes) of records before replication, or, with a codec, of compressed batches. \
         *Others* are the cores that neither brokers nor load generator used, at most: where they were busy, trust the ratio \
         of the medians only.\n\n## The table\n\n"
    );
    table(&mut text, results);
    text += "\n## The pictures\n\n";
    for (name, title) in [
        ("throughput.svg", "Throughput"),
        ("latency.svg", "Latency"),
        ("end-to-end.svg", "End to end"),
    ] {
        let _ = writeln!(text, "![{title}]({FOLDER}/{name})\n");
    }
    text += "## The machine\n\n| | |\n| --- | --- |\n";
    for (name, value) in machine {
        let _ = writeln!(text, "| {name} | {} |", cell(value));
    }
    text += LIMITS;
    text += GROWTH;
    text += METHOD;
    text
}

/// What stands in the way of the goals that were missed so far. Whoever writes the page anew looks whether that still holds.
const LIMITS: &str = "
## Goals that are missed, and why

- *Idle: CPU.* The controllers and the brokers' sessions have four heartbeats a second, so that whoever hangs is missed within a
  fraction of a second, and a sleeping thread costs 30 to 90 µs of this virtual machine to wake. Half as many from the brokers measured
  0.3 %; then their leases, at most a second long, would have room for one lost answer only.
- *Broker CPU for a GB, 1 KiB and 100 B.* Seven tenths of the data threads' time are the kernel's, and more than half of that copies bytes: into
  the page cache 21 % of the time, to and from sockets 20 %. Three replicas need these copies whatever the program does, so where memory is
  slow they weigh more in the smaller figure: on this processor Kafka takes 15.0 CPU seconds for a GB of 1 KiB records and Klamm 3.8; on an
  AMD EPYC on the same day, before the program had a quarter less code, 11.6 and 2.4 (0.21 ×; 100 B: 0.20 ×). Checksums are 6 %.
- *Produce 100 B: MB/s.* Load generator and brokers share two cores, and here the generator takes 7.5 CPU seconds for a GB, the three
  brokers 4.8: two cores make 163 MB/s of that at most, 150 were measured, Kafka's 84. One of the three turns was over 2 ×.
- *One record at a time.* 0.30 ms a record: four messages, one after the other (client, leader, follower, leader, client), each of which wakes a
  thread that sleeps. Kafka's 0.60 ms has the same four. One of the three turns was over 2 ×.
- *1,000 connections.* A batch of 500 B costs three brokers 108 µs, next to all of it for waking threads and for the sockets: client to
  leader and back, leader to two followers and back. Data threads wake each other: with two of them instead of four it is a sixth less, with
  one a third less, but a disk that hangs could hold both. To wait with small pushes for the answer to the one before (as TCP does) saved
  nothing: messages between brokers are few already, a third of the batches.
";

/// Measured apart from the rest, by `cargo bench`.
const GROWTH: &str = "
## What grows with the cluster

`cargo bench -p metadata -p coordinator -p partition -p storage`, medians on two cores of an AMD EPYC, 2026-11-22. 300 brokers, three replicas each.

| what | of | takes | goal |
| --- | --- | --- | --- |
| fencing one broker, until its partitions have other leaders and ISRs | 10,000 / 100,000 / 1,000,000 partitions | 0.06 / 0.66 / 17 ms | 1,000 ms |
| replaying the whole metadata | 10,000 / 100,000 / 1,000,000 partitions | 3 / 57 / 600 ms | |
| loading a group coordinator's shard | 10,000 / 100,000 / 1,000,000 commits | 1.7 / 14 / 146 ms | 3,000 ms |
| a high watermark that releases one waiting request | 10 / 1,000 / 10,000 / 100,000 waiting | 22 / 40 / 65 / 64 ns | the same for all |
| appending a batch | 1 / 16 / 1,000 records of 1 KiB | 2.1 / 8.9 / 216 µs | |
| reading a megabyte from a file in the page cache | batches of 1 / 16 / 1,000 records | 453 / 433 / 412 µs | |

The program that fences a broker of 1,000,000 partitions, records, image and decision in memory, has 658 MB at most (goal: 2 GB).
";

/// How it was measured, in the words of the commands.
const METHOD: &str = "
## The method

Apache Kafka runs with the JVM options of its own start script (1 GB heap, G1). The load is `klamm bench`, librdkafka inside,
for both; it can be pointed at any cluster:

```sh
klamm bench produce -b HOST:PORT,… --count 1000000                  # 1 KiB; --size 100 --count 5000000; --codec lz4; --codec zstd
klamm bench latency -b HOST:PORT,… --rate 2000 --every 2ms --duration 20s --warm-up 5s
klamm bench latency -b HOST:PORT,… --rate 2000 --every 2ms --duration 20s --warm-up 5s --topic-config flush.messages=1
klamm bench latency -b HOST:PORT,… --one-at-a-time --duration 10s --warm-up 3s
klamm bench end-to-end -b HOST:PORT,… --duration 15s --warm-up 5s
klamm bench consume -b HOST:PORT,… --records 1000000
klamm bench fan-out -b HOST:PORT,… --consumers 20 --rate 1000 --duration 15s
klamm bench connections -b HOST:PORT,… --connections 1000 --every 100ms --duration 15s     # five records of 100 B a batch
klamm bench topics -b HOST:PORT,… --partitions 1000      # 3000, 10000
```

*Kafka's own measuring program* is `ProducerPerformance --record-size 1024 --num-records 500000 --throughput -1` with `acks=all
linger.ms=10 batch.size=131072 buffer.memory=67108864`.

- Every turn starts fresh nodes on blank disks. *Start* is from running the programs to every node's listing all nodes in its
  metadata; Kafka's disks are formatted before. *Idle* comes next, before any load: 10 s left alone, 15 s watched.
- Then 1.5 million records warm both up. Before each measurement everything written so far is synced to the disk, free memory but 0.5 GB is
  filled with pages of a file of nothing, and the brokers are waited for until they are at rest; before the one with
  `flush.messages=1`, until the files of deleted topics are gone, too. Files fill the memory of every machine that has run for a
  day. Here the host takes back what is free, and the first touch of a page costs 2.4 s/GB, 20 times as much as a page that the kernel takes from
  an old file: with three replicas more than all the rest of a record's way, in some runs and not in others.
- Twelve partitions, one for end to end. Records are JSON-like text, the same for both. Producers linger 10 ms but for latencies:
  there 0, with five requests in flight at most, as Kafka's own producer has it. At the fixed rate, four records come every 2 ms, as
  Kafka's own measuring program sends them. A record's time counts from when it was due, so that a client which the machine keeps
  waiting hides nothing.
- 1,000 partitions are *there* when each has acknowledged a record: metadata that lists them proves nothing.
- Twenty consumers, and a thousand connections, ask for more than some brokers can do on such a machine. So the figure is what the
  brokers spend on each thousand of what was done, not on each second.
- The reader of data that no memory holds reads a topic of 1 GB, whose segments the kernel was made to forget, while a producer writes
  at the fixed rate to another topic.
- No fsync for each write, as in Kafka: acknowledged means in the page cache of every in-sync replica, but in the lines with
  `flush.messages=1`.
- A node that was killed is started again when the others have gone on without it for two seconds; the time counts from then, until
  each node sees every replica in sync.
";

fn table(text: &mut String, results: &Results) {
    let _ = writeln!(text, "| {} |", Line::HEADINGS.join(" | "));
    let _ = writeln!(text, "|{}", " --- |".repeat(Line::HEADINGS.len()));
    for line in results.lines() {
        let cells = line.cells().map(|text| cell(&text));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// Text that ends no cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn pictures(results: &Results) -> Vec<(&'static str, String)> {
    let throughput = [
        ("produce 1 KiB", "produce-1k"),
        ("produce 100 B", "produce-100"),
        ("produce 1 KiB, lz4", "produce-lz4"),
        ("produce 1 KiB, zstd", "produce-zstd"),
        ("consume 1 KiB", "consume"),
    ];
    let throughput = throughput.map(|(name, measurement)| (name, measurement, "mb"));
    let percentiles = |measurement| {
        [
            ("p50", "p50"),
            ("p90", "p90"),
            ("p99", "p99"),
            ("p99.9", "p999"),
            ("longest", "max"),
        ]
        .map(|(name, key)| (name, measurement, key))
    };
    vec![
        (
            "throughput.svg",
            bars(
                "Throughput, acks=all, three replicas",
                "MB/s",
                Scale::Linear,
                &pairs(results, &throughput),
            ),
        ),
        (
            "latency.svg",
            bars(
                "Acknowledgement at 2,000 records/s, linger 0",
                "ms",
                Scale::Logarithmic,
                &pairs(results, &percentiles("latency")),
            ),
        ),
        (
            "end-to-end.svg",
            bars(
                "From writing to reading, one record at a time",
                "ms",
                Scale::Logarithmic,
                &pairs(results, &percentiles("end-to-end")),
            ),
        ),
    ]
}

/// Those that both systems have.
fn pairs(results: &Results, figures: &[(&str, &'static str, &'static str)]) -> Vec<Pair> {
    let pair = |(name, measurement, key): &(&str, &'static str, &'static str)| {
        Some(Pair {
            name: (*name).to_owned(),
            kafka: results.spread(System::Kafka, measurement, key)?,
            klamm: results.spread(System::Klamm, measurement, key)?,
        })
    };
    figures.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::ROWS;

    #[test]
    fn the_page_has_every_figure_and_its_pictures() {
        let mut results = Results::default();
        for row in ROWS {
            for value in [2.0, 3.0, 4.0] {
                results.add(System::Kafka, row.measurement, row.key, 2.0 * value);
                results.add(System::Klamm, row.measurement, row.key, value);
            }
        }
        let text = page(&[("processor", "a | b".to_owned())], 3, &results);
        for row in ROWS {
            assert!(text.contains(&format!("| {}", row.name)), "{}", row.name);
        }
        assert!(
            text.contains("| 4.00 / 6.00 / 8.00 | 2.00 / 3.00 / 4.00 | 0.500 |"),
            "{text}"
        );
        assert!(text.contains("| processor | a \\| b |"));
        let columns = text
            .lines()
            .filter(|line| line.starts_with("| "))
            .map(|line| line.matches(" |").count());
        assert_eq!(
            columns.filter(|count| *count == Line::HEADINGS.len()).count(),
            ROWS.len() + 2
        );
        for (name, picture) in pictures(&results) {
            assert!(text.contains(&format!("({FOLDER}/{name})")), "{name}");
            assert_eq!(picture.matches("class=\"spread\"").count(), 10, "{name}");
        }
    }
}
