//! Which runs there are. A kind of fault that this machine can't do is left out of them.

/// A fault that ends what every replica has in its page cache: its runs have `flush.messages=1`, so they are apart.
const POWER_ALL: &str = "power-all";
/// So many of each kind of fault, if all are asked for; of kills there are more.
const FULL: u32 = 20;
const FULL_KILLS: u32 = 200;
/// The first seed; each run has the next one.
const FIRST_SEED: u64 = 1;

/// One run of `klamm verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedRun {
    pub(super) name: String,
    pub(super) kinds: Vec<String>,
    pub(super) faults: u32,
    pub(super) overlap: bool,
    pub(super) seed: u64,
}

/// About three minutes: each kind at least once.
pub(super) fn short(can: &[String]) -> Vec<PlannedRun> {
    let long = ["kill-again", "pause-long"];
    let apart = |kind: &&String| kind.as_str() != POWER_ALL && !long.contains(&kind.as_str());
    let together: Vec<&str> = can.iter().filter(apart).map(String::as_str).collect();
    let once = u32::try_from(together.len()).unwrap_or(u32::MAX);
    let processes: Vec<&str> = ["kill", "pause", "stop", "partition"]
        .into_iter()
        .filter(|kind| can.iter().any(|own| own == kind))
        .collect();
    let runs = [
        ("each", together, once, false),
        (POWER_ALL, vec![POWER_ALL], 1, false),
        (long[0], vec![long[0]], 1, false),
        (long[1], vec![long[1]], 1, false),
        ("overlapping", processes, 3, true),
    ];
    numbered(runs, can)
}

/// So many as the page on reliability speaks of: hours.
pub(super) fn full(can: &[String]) -> Vec<PlannedRun> {
    let all: Vec<&str> = can.iter().map(String::as_str).collect();
    let times = |kind: &str| if kind == "kill" { FULL_KILLS } else { FULL };
    let each = all.iter().map(|kind| (*kind, vec![*kind], times(kind), false));
    let together: Vec<&str> = all.iter().copied().filter(|kind| *kind != POWER_ALL).collect();
    let overlapping = [("overlapping", together, 3 * FULL, true)];
    numbered(each.chain(overlapping), can)
}

fn numbered<'a>(runs: impl IntoIterator<Item = (&'a str, Vec<&'a str>, u32, bool)>, can: &[String]) -> Vec<PlannedRun> {
    let possible = |kinds: &Vec<&str>| !kinds.is_empty() && kinds.iter().all(|kind| can.iter().any(|own| own == kind));
    (FIRST_SEED..)
        .zip(runs)
        .filter(|(_, (_, kinds, _, _))| possible(kinds))
        .map(|(seed, (name, kinds, faults, overlap))| PlannedRun {
            name: name.to_owned(),
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            faults,
            overlap,
            seed,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn kinds() -> Vec<String> {
        let kinds = [
            "kill",
            "kill-again",
            "pause",
            "pause-long",
            "stop",
            "partition",
            "power",
            "power-all",
            "disk-full",
            "fsync-error",
            "clock",
            "wipe",
        ];
        kinds.map(str::to_owned).to_vec()
    }

    #[test]
    fn the_short_campaign_has_every_kind_and_the_full_one_has_as_many_as_promised() {
        let in_short: BTreeSet<String> = short(&kinds()).into_iter().flat_map(|run| run.kinds).collect();
        assert_eq!(in_short, kinds().into_iter().collect());
        let alone: BTreeMap<Vec<String>, u32> = full(&kinds())
            .into_iter()
            .filter(|run| !run.overlap)
            .map(|run| (run.kinds, run.faults))
            .collect();
        for kind in kinds() {
            let promised = if kind == "kill" { 200 } else { 20 };
            assert_eq!(alone.get(&vec![kind.clone()]), Some(&promised), "{kind}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_in_no_run_and_the_others_keep_their_seeds() {
        let can: Vec<String> = ["kill", "kill-again"].map(str::to_owned).to_vec();
        for run in short(&can).into_iter().chain(full(&can)) {
            assert!(run.kinds.iter().all(|kind| can.contains(kind)), "{run:?}");
            assert!(!run.kinds.is_empty() && run.faults > 0, "{run:?}");
        }
        let seed = |runs: Vec<PlannedRun>| {
            runs.into_iter()
                .find(|run| run.name == "kill-again")
                .map(|run| run.seed)
        };
        assert_eq!(seed(short(&can)), seed(short(&kinds())));
    }

    #[test]
    fn power_cuts_of_all_nodes_are_never_mixed_with_others() {
        for run in short(&kinds()).into_iter().chain(full(&kinds())) {
            let has = run.kinds.iter().any(|kind| kind == POWER_ALL);
            assert!(!has || run.kinds.len() == 1, "{run:?}");
        }
    }
}
