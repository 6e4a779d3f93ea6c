//! `cargo xtask sim`: as many seeds as wanted, on all cores, with progress and a summary.
//!
//! Each core works on chunks of seeds in a process of its own: what a simulated process leaves behind (cycles that a real
//! one takes with it) is freed with the chunk.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Seeds of one process.
const CHUNK: u64 = 50;
/// Without a terminal the progress is told after so many seeds.
const TELL_EVERY: u64 = 500;
const USAGE: &str = "usage: sim [--seeds N] [--first F] [--jobs J]";

struct Arguments {
    seeds: u64,
    first: u64,
    jobs: usize,
    /// This process only runs the seeds and writes a line each.
    chunk: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        seeds: 300,
        first: 1,
        jobs: thread::available_parallelism().map_or(1, usize::from),
        chunk: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or_else(|| format!("{word} needs a number; {USAGE}"))?;
            value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--seeds" => parsed.seeds = number()?,
            "--first" => parsed.first = number()?,
            "--jobs" => parsed.jobs = usize::try_from(number()?).unwrap_or(1).max(1),
            "--chunk" => parsed.chunk = true,
            other => return Err(format!("unknown argument {other}; {USAGE}")),
        }
    }
    Ok(parsed)
}

#[derive(Default)]
struct Sums {
    seeds: u64,
    virtual_ms: u64,
    events: u64,
    acked: u64,
    consumed: u64,
    faults: BTreeMap<String, u64>,
    broken: Vec<String>,
}

impl Sums {
    fn add(&mut self, line: &str) -> Option<()> {
        let mut fields = line.splitn(8, '\t');
        let seed = fields.next()?;
        let mut number = || fields.next()?.parse::<u64>().ok();
        let (virtual_ms, events, acked, consumed) = (number()?, number()?, number()?, number()?);
        for fault in fields.next()?.split(',').filter(|fault| !fault.is_empty()) {
            let (kind, count) = fault.split_once('=')?;
            *self.faults.entry(kind.to_owned()).or_default() += count.parse::<u64>().ok()?;
        }
        let promise = fields.next()?;
        if promise != "-" {
            self.broken.push(format!(
                "seed {seed} breaks {promise}: {}",
                fields.next().unwrap_or_default()
            ));
        }
        self.seeds += 1;
        self.virtual_ms += virtual_ms;
        self.events += events;
        self.acked += acked;
        self.consumed += consumed;
        Some(())
    }
}

fn main() -> ExitCode {
    let done = arguments().and_then(|arguments| {
        if arguments.chunk {
            let mut out = io::stdout().lock();
            return sim::campaign(arguments.first, arguments.seeds, &mut out)
                .map(|()| true)
                .map_err(|error| error.to_string());
        }
        all(&arguments)
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn all(arguments: &Arguments) -> Result<bool, String> {
    let started = Instant::now();
    let (next, end) = (AtomicU64::new(arguments.first), arguments.first + arguments.seeds);
    let sums = Mutex::new(Sums::default());
    let worker = || -> Result<(), String> {
        loop {
            let first = next.fetch_add(CHUNK, Ordering::Relaxed);
            if first >= end {
                return Ok(());
            }
            chunk(first, CHUNK.min(end - first), &sums, arguments.seeds)?;
        }
    };
    let outcomes: Vec<Result<(), String>> = thread::scope(|threads| {
        let workers: Vec<_> = (0..arguments.jobs).map(|_| threads.spawn(worker)).collect();
        let ends = workers.into_iter().map(|worker| worker.join());
        ends.map(|end| end.unwrap_or_else(|_| Err("a worker panicked".to_owned())))
            .collect()
    });
    let sums = sums.into_inner().map_err(|error| error.to_string())?;
    tell(&sums, started);
    outcomes.into_iter().collect::<Result<(), String>>()?;
    Ok(sums.broken.is_empty())
}

fn chunk(first: u64, count: u64, sums: &Mutex<Sums>, of: u64) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args(["--chunk", "--first", &first.to_string(), "--seeds", &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("a chunk of seeds could not be started: {error}"))?;
    let mut lines = 0;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.map_err(|error| error.to_string())?;
            let mut sums = sums.lock().map_err(|error| error.to_string())?;
            sums.add(&line).ok_or_else(|| format!("an odd line: {line}"))?;
            lines += 1;
            progress(&sums, of);
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if lines < count {
        return Err(format!(
            "the process of seeds {first} to {} ended at seed {}: {status}",
            first + count - 1,
            first + lines
        ));
    }
    Ok(())
}

fn progress(sums: &Sums, of: u64) {
    let mut terminal = io::stderr().lock();
    let shows = terminal.is_terminal();
    if shows || sums.seeds.is_multiple_of(TELL_EVERY) {
        let (start, end) = if shows { ("\r", "") } else { ("", "\n") };
        let _ = write!(
            terminal,
            "{start}{} of {of} seeds, {} records acknowledged, {} broken{end}",
            sums.seeds,
            sums.acked,
            sums.broken.len()
        );
    }
}

fn tell(sums: &Sums, started: Instant) {
    let mut out = io::stdout().lock();
    let _ = writeln!(
        out,
        "\n{} seeds in {:.0} s: {:.1} h of cluster time, {} events, {} records acknowledged, {} read",
        sums.seeds,
        started.elapsed().as_secs_f64(),
        sums.virtual_ms as f64 / 3_600_000.0,
        sums.events,
        sums.acked,
        sums.consumed
    );
    let faults: Vec<String> = sums
        .faults
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let _ = writeln!(out, "faults: {}", faults.join(", "));
    for broken in &sums.broken {
        let _ = writeln!(out, "{broken}");
    }
    if !sums.broken.is_empty() {
        let _ = writeln!(
            out,
            "run one again with KLAMM_SIM_SEED=… cargo test --release -p sim one_seed -- --nocapture"
        );
    }
}
