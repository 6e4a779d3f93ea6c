//! `cargo xtask ci`: every check of a commit that cargo alone can run, each with its time.
//!
//! There is one profile, release, for the binary, the tests, the simulation and the container image, so that the heavy
//! libraries compile once. `build` selects exactly what `test` needs plus the binary: cargo unifies features over the
//! selected packages, and building `-p klamm` alone would compile half of the dependencies a second time. Clippy and
//! rustdoc want metadata of their own, which compiles nothing; with `--release` the build scripts' results are shared, and
//! those do compile: librdkafka. Simulation seeds and cluster tests are ordinary tests of their crates.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Runs the steps in order. The cheap ones all run; after them the first failure ends the run, because what follows
/// would only repeat it.
pub(crate) fn ci(root: &Path) -> anyhow::Result<()> {
    let mut times = Vec::new();
    let cheap = [
        timed(&mut times, "fmt", || cargo(root, &["fmt", "--all", "--check"], &[])),
        timed(&mut times, "layers", || crate::layers::layers(root)),
        timed(&mut times, "file length", || crate::file_length::file_length(root)),
    ];
    let result = cheap
        .into_iter()
        .find(Result::is_err)
        .unwrap_or(Ok(()))
        .and_then(|()| compile_and_test(root, &mut times));
    for (step, time) in times {
        eprintln!("xtask ci: {step:<12} {:>7.1} s", time.as_secs_f64());
    }
    result
}

fn compile_and_test(root: &Path, times: &mut Vec<(&'static str, Duration)>) -> anyhow::Result<()> {
    let clippy = [
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    timed(times, "clippy", || cargo(root, &clippy, &[]))?;
    let doc = [
        "doc",
        "--release",
        "--workspace",
        "--no-deps",
        "--locked",
        "--document-private-items",
    ];
    timed(times, "doc", || cargo(root, &doc, &[("RUSTDOCFLAGS", "-D warnings")]))?;
    let build = ["build", "--release", "--workspace", "--bins", "--tests", "--locked"];
    timed(times, "build", || cargo(root, &build, &[]))?;
    timed(times, "test", || {
        cargo(
            root,
            &["test", "--release", "--workspace", "--locked", "--no-fail-fast"],
            &[],
        )
    })
}

fn timed(
    times: &mut Vec<(&'static str, Duration)>,
    step: &'static str,
    run: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    eprintln!("xtask ci: {step}");
    let start = Instant::now();
    let result = run();
    times.push((step, start.elapsed()));
    result.with_context(|| format!("step '{step}' failed"))
}

fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(root);
    for (key, value) in environment {
        command.env(key, value);
    }
    let status = command.status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}
