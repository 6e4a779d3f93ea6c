"""What may differ between two runs of a tool is made equal: ids, times, orders of Java's hash maps. Reads standard input.

Arguments: the names that stand for each other (a topic for each tool, say), and
--sorted    lines come in any order
--json      a line is JSON whose lists come in any order
--no-trace  a stack trace ends it, of Java's only
--quorum    offsets and times of the metadata quorum, which never stands still
--features  levels of the metadata's version that the older of both tools has no name for
"""
import json
import re
import sys

NAMES = [name for name in sys.argv[1:] if not name.startswith("--")]


def sorted_configs(match):
    """Configurations are sorted by key; a comma within a value isn't followed by a key."""
    return "Configs: " + ",".join(sorted(re.split(r",(?=[a-z.]+=)", match.group(1))))


def normal(line):
    for name in NAMES:
        line = line.replace(name, "NAME")
    line = re.sub(r"Configs: (.*)$", sorted_configs, line)
    line = re.sub(r"(?<=partitions )\S+(, \S+)+$", lambda names: ", ".join(sorted(names.group().split(", "))), line)
    # Topic, directory and cluster ids; members are named by their client and a UUID.
    line = re.sub(r"(TopicId: |Cluster ID: |ClusterId: +|\"directoryId\": \")[\w-]{22}", r"\1ID", line)
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", line)
    return line


def moving(line):
    """The high watermark, offsets, lags and times, with the columns that they stretch."""
    line = re.sub(r"(HighWatermark|MaxFollowerLag|MaxFollowerLagTimeMs):( +)-?\d+", r"\1:\2N", line)
    line = re.sub(r"\b-?\d+( ms ago)? *\t", "N\t", line)
    return re.sub(r" +\t", "\t", line)


def canonical(value):
    if isinstance(value, dict):
        return {key: canonical(one) for key, one in value.items()}
    if isinstance(value, list):
        return sorted((canonical(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


lines = [normal(line) for line in sys.stdin.read().split("\n")]
if "--no-trace" in sys.argv:
    trace = [at for at, line in enumerate(lines) if re.match(r"(java|org)\.[\w.$]+(Exception|Error)", line)]
    lines = [line for line in lines[: trace[0] if trace else None] if line]
if "--quorum" in sys.argv:
    lines = [moving(line) for line in lines]
if "--features" in sys.argv:
    lines = [re.sub(r"(UNKNOWN \d+|4\.[4-9]-IV\d+) *", "NEWER ", line) for line in lines]
if "--json" in sys.argv:
    lines = [
        json.dumps(canonical(json.loads(line)), sort_keys=True) if line.startswith("{") else line for line in lines
    ]
if "--sorted" in sys.argv:
    lines.sort()
print("\n".join(lines), end="")
