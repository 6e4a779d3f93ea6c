//! `cargo xtask …`: the checks and drivers of this workspace. They need cargo alone.
//!
//! * `ci` runs everything that decides whether a commit may land, but for real clients and containers (`.ci/run` adds those);
//! * `layers` and `file-length` are the two house rules that no other tool checks;
//! * `sim` runs the deterministic cluster from as many seeds as wanted (its tests run 300);
//! * `chaos` is `klamm verify` with every fault that the machine can do, in minutes or hours;
//! * `bench` measures Klamm, and Apache Kafka beside it, and writes docs/performance.md;
//! * `compat` hands over to `tests/compat/run.sh`, which needs Python, Java and kcat.

mod bench;
mod chaos;
mod ci;
mod columns;
mod compat;
mod file_length;
mod klamm_binary;
mod layers;
mod metadata;
mod purity;
mod sim;
mod sources;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The checks and drivers of this workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Format, layers, file length, clippy, build, tests, docs
    Ci,
    /// Who may depend on whom, where outside crates stop, and the purity of crates/logic
    Layers,
    /// No source file is longer than 500 lines, its tests not counted
    FileLength,
    /// The simulated cluster: many seeds, on all cores
    Sim {
        /// How many
        #[arg(long, default_value_t = 300)]
        seeds: u64,
        /// The first one
        #[arg(long, default_value_t = 1)]
        first: u64,
    },
    /// `klamm verify` with every fault that this machine can do (as root: all), by fixed seeds
    Chaos {
        /// About three minutes, each kind of fault at least once: the default
        #[arg(long, conflicts_with = "full")]
        short: bool,
        /// 200 kills and 20 of each other kind: hours
        #[arg(long)]
        full: bool,
        /// Only these runs, by the names in the table, with the same seeds as ever
        #[arg(long, value_delimiter = ',', value_name = "RUN,…", conflicts_with = "against")]
        only: Vec<String>,
        /// The same load and faults for Apache Kafka first, which needs a JDK and Maven
        #[arg(long, value_enum, conflicts_with = "full")]
        against: Option<Rival>,
        /// Faults of each of the two, with --against
        #[arg(long, default_value_t = 12, requires = "against")]
        faults: u32,
        /// Keep the files of all runs here [default: of those that failed, in a temporary folder]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// How fast Klamm is, and what it costs, by `klamm bench`
    Bench {
        /// The same of Apache Kafka, in turns, which needs a JDK and Maven
        #[arg(long, value_enum)]
        against: Option<Rival>,
        /// Only these measurements, by the names in the table
        #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
        only: Vec<String>,
        /// How often each is repeated
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        runs: u32,
        /// So much of the records and times of a real run: to try the thing out
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
        /// Write docs/performance.md and its pictures, with the numbers of this run
        #[arg(long, requires = "against", conflicts_with_all = ["only", "scale"])]
        write: bool,
        /// Where the nodes' files are while they run [default: a temporary folder]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Real clients of other languages against a real cluster (needs the release binary)
    Compat {
        /// The parts to run (kcat, python, java, tools, dump); all of them by default
        parts: Vec<String>,
    },
}

/// Whom to compare with.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Rival {
    Kafka,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let root = workspace_root()?;
    match command {
        Command::Ci => ci::ci(&root),
        Command::Layers => layers::layers(&root),
        Command::FileLength => file_length::file_length(&root),
        Command::Sim { seeds, first } => sim::sim(&root, seeds, first),
        Command::Chaos {
            short: _,
            full,
            only,
            against,
            faults,
            out,
        } => match against {
            Some(Rival::Kafka) => chaos::against_kafka(&root, faults, out),
            None => chaos::campaign(&root, &chaos::Campaign { full, only, out }),
        },
        Command::Bench {
            against,
            only,
            runs,
            scale,
            write,
            out,
        } => {
            let against = against.is_some();
            bench::bench(
                &root,
                &bench::Options {
                    against,
                    only,
                    runs,
                    scale,
                    write,
                    out,
                },
            )
        }
        Command::Compat { parts } => compat::compat(&root, &parts),
    }
}

fn workspace_root() -> anyhow::Result<PathBuf> {
    // Asked at run time: clones that share a target directory share this program, too.
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?);
    Ok(manifest.parent().context("xtask has no parent folder")?.to_path_buf())
}

/// Turns what a check found into its outcome, one line each.
fn outcome(check: &str, violations: &[String]) -> anyhow::Result<()> {
    for violation in violations {
        eprintln!("{check}: {violation}");
    }
    anyhow::ensure!(violations.is_empty(), "{check}: {} violations", violations.len());
    Ok(())
}
