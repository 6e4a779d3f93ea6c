//! `klamm verify` against a cluster that it breaks, and against a history that was falsified.

use std::path::Path;
use std::process::{Command, Output};

use cluster::{can_cut_power, klamm_binary};
use history::{Entry, Event};

fn klamm_verify(arguments: &[&str]) -> Output {
    let mut command = Command::new(klamm_binary().unwrap());
    command.arg("verify").args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// Rewrites one event of a history, the last that `change` takes.
fn falsify(history: &Path, change: impl Fn(&mut Event) -> bool) -> String {
    let lines = Command::new("gzip").arg("-dc").arg(history).output().unwrap().stdout;
    let lines = String::from_utf8(lines).unwrap();
    let mut changed = false;
    let falsified = lines.lines().rev().map(|line| {
        let mut entry: Entry = serde_json::from_str(line).unwrap();
        changed = changed || change(&mut entry.event);
        serde_json::to_string(&entry).unwrap() + "\n"
    });
    let falsified: Vec<String> = falsified.collect();
    assert!(changed, "no such event");
    falsified.into_iter().rev().collect()
}

#[test]
fn verify_passes_through_kills_pauses_and_stops_and_sees_what_is_falsified() {
    let _turn = cluster::Turn::take();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let faults = [
        "--chaos",
        "kill,pause,stop",
        "--nodes",
        "3",
        "--faults",
        "6",
        "--every",
        "1s",
    ];
    let load = [
        "--seed",
        "4",
        "--overlap",
        "--rate",
        "1500",
        "--out",
        out.to_str().unwrap(),
    ];
    let run = klamm_verify(&[faults.as_slice(), load.as_slice()].concat());
    assert!(run.status.success(), "{}", text(&run));
    assert!(text(&run).contains("PASSED"), "{}", text(&run));

    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["passed"], true);
    assert_eq!(summary["faults"].as_array().unwrap().len(), 6);
    assert!(summary["totals"]["acked"].as_u64().unwrap() > 1_000, "{summary}");
    assert_eq!(summary["totals"]["acked"], summary["totals"]["in_the_log"]);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("PASSED") && page.contains("<svg"));

    let again = klamm_verify(&["--check", out.to_str().unwrap()]);
    assert!(again.status.success(), "{}", text(&again));

    let falsified = folder.path().join("falsified.jsonl");
    let history = out.join("history.jsonl.gz");
    let check = |lines: String, property: &str| {
        std::fs::write(&falsified, lines).unwrap();
        let output = klamm_verify(&["--check", falsified.to_str().unwrap()]);
        assert!(!output.status.success(), "{property}: {}", text(&output));
        assert!(
            text(&output).contains(&format!("FAILED: {property}")),
            "{property}: {}",
            text(&output)
        );
    };
    // One record was acknowledged at another offset than it has.
    let elsewhere = falsify(&history, |event| match event {
        Event::Acked {
            records,
            offset: Some(offset),
        } if records.count == 1 => {
            *offset += 1;
            true
        }
        _ => false,
    });
    check(elsewhere, "ACK-2");
    // A log ends before the last record that was acknowledged.
    let shorter = falsify(&history, |event| match event {
        Event::End { offset, .. } if *offset > 10 => {
            *offset -= 1;
            true
        }
        _ => false,
    });
    check(shorter, "VIS-3");
    // A commit is gone: the group is told less than was acknowledged.
    let forgotten = falsify(&history, |event| match event {
        Event::Committed { offset, .. } if offset.is_some_and(|offset| offset > 0) => {
            *offset = None;
            true
        }
        _ => false,
    });
    check(forgotten, "GRP-1");
}

/// Every node at once, while records are on their way.
fn power_cut_of_all(out: &Path, more: &[&str]) -> (Output, serde_json::Value) {
    let faults = ["--chaos", "power-all", "--nodes", "3", "--faults", "1", "--every", "3s"];
    let load = [
        "--consumers",
        "0",
        "--groups",
        "0",
        "--seed",
        "1",
        "--out",
        out.to_str().unwrap(),
    ];
    let run = klamm_verify(&[faults.as_slice(), load.as_slice(), more].concat());
    let summary = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    (run, summary)
}

#[test]
fn a_power_cut_of_all_nodes_costs_what_was_not_synced_and_nothing_that_was() {
    if !can_cut_power("a_power_cut_of_all_nodes_costs_what_was_not_synced_and_nothing_that_was") {
        return;
    }
    let _turn = cluster::Turn::take();
    let folder = tempfile::tempdir().unwrap();
    // The topic has flush.messages=1 then.
    let (run, summary) = power_cut_of_all(&folder.path().join("synced"), &[]);
    assert!(run.status.success(), "{}", text(&run));
    assert_eq!(summary["kinds"][0]["kind"], "power-all");
    assert!(summary["totals"]["acked"].as_u64().unwrap() > 1_000, "{summary}");
    // Without it: that something is lost shows that the cut bites, and that the checker sees it.
    let never = ["--topic-config", "flush.messages=9223372036854775807"];
    let (run, summary) = power_cut_of_all(&folder.path().join("unsynced"), &never);
    assert!(!run.status.success(), "{}", text(&run));
    let broken = |id: &str| {
        let properties = summary["properties"].as_array().unwrap();
        let property = properties.iter().find(|property| property["id"] == id).unwrap();
        property["violations"].as_u64().unwrap()
    };
    assert!(broken("ACK-1") > 0, "{}", text(&run));
    assert_eq!(broken("LIVE-1"), 0, "{}", text(&run));
}
