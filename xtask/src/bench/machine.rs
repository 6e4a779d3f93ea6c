//! What was measured on, and with.

use std::fs;
use std::path::Path;
use std::process::Command;

/// In a few words each; what can't be found out is left out.
pub(super) fn machine(root: &Path, klamm: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| field(&text, "model name"));
    let memory = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| field(&text, "MemTotal"))
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map(|kib| format!("{:.0} GB", kib * 1024.0 / 1e9));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    let kafka = fs::read_to_string(root.join("tests/chaos/pom.xml"))
        .ok()
        .and_then(|text| between(&text, "<kafka.version>", "</kafka.version>"));
    let found = [
        ("date", said("date", &["-u", "+%F"], None)),
        ("processor", processor.map(|name| format!("{name}, {cores} cores"))),
        ("memory", memory),
        ("kernel", kernel.map(|text| format!("Linux {}", text.trim()))),
        ("Klamm", said(&klamm.display().to_string(), &["--version"], None)),
        ("commit", said("git", &["rev-parse", "--short=12", "HEAD"], Some(root))),
        ("Apache Kafka", kafka),
        ("Java", said("java", &["--version"], None)),
    ];
    let known = found.into_iter().filter_map(|(name, text)| Some((name, text?)));
    known.filter(|(_, text)| !text.is_empty()).collect()
}

/// The value of the first line with this name.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = line.split_once(':')?;
    Some(value.trim().to_owned())
}

fn between(text: &str, begin: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(begin)?;
    let (found, _) = rest.split_once(end)?;
    Some(found.to_owned())
}

/// The first line of what a program says.
fn said(program: &str, arguments: &[&str], folder: Option<&Path>) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_tags_are_found() {
        let text = "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n";
        assert_eq!(field(text, "model name"), Some("A: B".to_owned()));
        assert_eq!(field(text, "bogomips"), None);
        assert_eq!(between("<v>4.3.1</v>", "<v>", "</v>"), Some("4.3.1".to_owned()));
        assert_eq!(between("<v>4.3.1", "<v>", "</v>"), None);
    }
}
