"""connect.py SERVERS FOLDER CONNECT TOOLS: Kafka Connect carries the lines of one file through a topic into another one. Standalone, and
distributed over two workers, of which one is killed. CONNECT and TOOLS are class paths. Prints 'ok' and 'FAIL' lines; the checks of
the distributed workers are one story."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import threading
import traceback

from worker import Worker, until, write

SERVERS, FOLDER, CONNECT, TOOLS = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
ID = f"connect-{os.getpid()}"
failures = 0

COMMON = {
    "bootstrap.servers": SERVERS,
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    "offset.flush.interval.ms": 500,
    # A class path in place of folders of plugins.
    "plugin.discovery": "service_load",
    # The topic is the source's to create; the sink looks whether it is there.
    "consumer.allow.auto.create.topics": "false",
    "consumer.metadata.max.age.ms": 1000,
    # As short as brokers allow: a sink's consumer that was killed is a member of its group until then.
    "consumer.session.timeout.ms": 6000,
    "consumer.heartbeat.interval.ms": 1000,
}


class Pair:
    """A file, the topic its lines go to, and the file that they end in; the connectors between them."""

    def __init__(self, name, converter="storage.StringConverter"):
        self.name, self.topic = name, f"{ID}-{name}"
        self.input, self.output = FOLDER / f"{name}.in", FOLDER / f"{name}.out"
        self.count = 0
        self.input.touch()
        both = {"tasks.max": 1, "value.converter": f"org.apache.kafka.connect.{converter}"}
        self.source = {
            "name": f"{ID}-{name}-source", "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
            "file": self.input, "topic": self.topic, **both,
            # The brokers' own number of replicas.
            "topic.creation.default.partitions": 1, "topic.creation.default.replication.factor": -1,
        }
        self.sink = {
            "name": f"{ID}-{name}-sink", "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
            "file": self.output, "topics": self.topic, **both,
        }

    def write(self, count):
        with open(self.input, "a") as file:
            for _ in range(count):
                self.count += 1
                file.write(f"{self.name} line {self.count}\n")

    @contextlib.contextmanager
    def flowing(self):
        """Lines are written all the while, and some more after it."""
        over = threading.Event()

        def write_on():
            while not over.wait(0.01):
                self.write(1)

        writer = threading.Thread(target=write_on, daemon=True)
        writer.start()
        try:
            yield
        finally:
            over.set()
            writer.join()
        self.write(100)

    def lines(self, path):
        return path.read_text().splitlines() if path.exists() else []

    def arrived(self, times=1):
        """Each line, in order, exactly once (or as often as told)."""
        expected = self.lines(self.input) * times
        try:
            until(f"{len(expected)} lines of {self.name} arrive", lambda: len(self.lines(self.output)) >= len(expected))
        finally:
            found = self.lines(self.output)
            assert found == expected[:len(found)], f"{self.name}: {difference(found, expected)}"

    def none_lost(self):
        """At least once: that is what both connectors promise when a worker is killed."""
        expected = set(self.lines(self.input))
        until(f"no line of {self.name} is missing", lambda: expected <= set(self.lines(self.output)))
        assert set(self.lines(self.output)) == expected, "there are lines that nobody wrote"


def difference(found, expected):
    at = next((at for at, pair in enumerate(zip(found, expected)) if pair[0] != pair[1]), min(len(found), len(expected)))
    return f"{len(found)} lines, {len(expected)} expected, line {at + 1} is {found[at:at + 1]} instead of {expected[at:at + 1]}"


def check(name, run):
    global failures
    try:
        run()
        print(f"ok {name}", flush=True)
    except Exception as error:
        failures += 1
        print(f"FAIL {name}: {error}", flush=True)
        traceback.print_exc()


def standalone():
    pair = Pair("standalone")
    worker = Worker("standalone", FOLDER, CONNECT, {**COMMON, "offset.storage.file.filename": FOLDER / "standalone.offsets"})
    files = [write(FOLDER / f"{of['name']}.properties", of) for of in (pair.source, pair.sink)]
    pair.write(200)
    worker.start("ConnectStandalone", *files)
    pair.arrived()
    pair.write(200)
    pair.arrived()
    worker.stop()
    # What is written meanwhile is carried later, and nothing of before a second time.
    pair.write(200)
    worker.start("ConnectStandalone", *files)
    pair.arrived()
    worker.stop()
    records = subprocess.run(["kcat", "-b", SERVERS, "-C", "-t", pair.topic, "-p", "0", "-e", "-q", "-f", "%o %s\n"],
                             capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert records == [f"{at} {line}" for at, line in enumerate(pair.lines(pair.input))], f"{len(records)} records"


class Distributed:
    TOPICS = {"config": 1, "offset": 25, "status": 5}

    def __init__(self):
        settings = {
            **COMMON, "group.id": ID,
            **{f"{kind}.storage.topic": f"{ID}-{kind}" for kind in self.TOPICS},
            # The same of workers; and one that is gone isn't waited for.
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000, "scheduled.rebalance.max.delay.ms": 0,
        }
        self.workers = [Worker(f"worker-{n}", FOLDER, CONNECT, settings) for n in (1, 2)]
        self.pairs = [Pair("text"), Pair("json", "json.JsonConverter")]

    def start(self):
        for worker in self.workers:
            worker.start("ConnectDistributed")
        for worker in self.workers:
            until(f"{worker.name} serves", worker.serves)

    def internal_topics(self):
        """Compacted, or a worker forgets what it was told."""
        described = subprocess.run(
            ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", TOOLS, "org.apache.kafka.tools.TopicCommand",
             "--bootstrap-server", SERVERS, "--describe", "--topic", f"{ID}-({'|'.join(self.TOPICS)})"],
            capture_output=True, text=True, timeout=60, check=True).stdout
        for kind, partitions in self.TOPICS.items():
            line = next(line for line in described.splitlines() if line.startswith(f"Topic: {ID}-{kind}\t"))
            assert f"\tPartitionCount: {partitions}\tReplicationFactor: 3\t" in line, line
            assert "cleanup.policy=compact" in re.split("[ ,]", line), line

    def create(self):
        # By turns: the one that doesn't lead the group asks the other.
        for at, pair in enumerate(self.pairs):
            for config in (pair.source, pair.sink):
                text = {key: str(value) for key, value in config.items()}
                self.workers[at].done("POST", "/connectors", {"name": config["name"], "config": text})
        for worker in self.workers:
            until("all runs, on both workers", lambda: self.runs_on(worker, self.workers))
        self.everything_arrives()

    def runs_on(self, asked, workers):
        tasks = asked.tasks()
        return (len(tasks) == 4 * len(self.pairs) and all(state == "RUNNING" for _, state, _ in tasks)
                and {address for _, _, address in tasks} == {worker.address for worker in workers})

    def everything_arrives(self):
        for pair in self.pairs:
            pair.write(300)
        for pair in self.pairs:
            pair.arrived()

    def pause(self):
        pair, worker = self.pairs[0], self.workers[1]
        sink = f"{ID}-{pair.name}-sink"
        worker.done("PUT", f"/connectors/{sink}/pause")
        until("the sink is paused", lambda: {state for name, state, _ in worker.tasks() if name.startswith(sink)} == {"PAUSED"})
        before = len(pair.lines(pair.output))
        pair.write(100)
        self.committed(pair, source_only=True)
        assert len(pair.lines(pair.output)) == before
        worker.done("PUT", f"/connectors/{sink}/resume")
        pair.arrived()

    def reset(self):
        """The sink's offsets, those of its consumer group, are deleted: it begins anew."""
        pair, worker = self.pairs[0], self.workers[0]
        sink = f"{ID}-{pair.name}-sink"
        self.committed(pair)
        worker.done("PUT", f"/connectors/{sink}/stop")
        until("the sink has stopped", lambda: [state for name, state, _ in worker.tasks() if name.startswith(sink)] == ["STOPPED"])
        worker.done("DELETE", f"/connectors/{sink}/offsets")
        assert worker.done("GET", f"/connectors/{sink}/offsets") == {"offsets": []}
        worker.done("PUT", f"/connectors/{sink}/resume")
        pair.arrived(times=2)
        # One pass is enough for what follows; a paused task has its file open.
        until("all runs again", lambda: self.runs_on(worker, self.workers))

    def committed(self, pair, source_only=False):
        """All of the file is in the topic, and all of the topic in the other file, as the workers have noted."""
        size = pair.input.stat().st_size
        source, sink = (f"/connectors/{ID}-{pair.name}-{kind}/offsets" for kind in ("source", "sink"))
        self.noted(source, "position", size)
        if not source_only:
            end = int(subprocess.run(["kcat", "-b", SERVERS, "-Q", "-t", f"{pair.topic}:0:-1"], capture_output=True, text=True,
                                     timeout=60, check=True).stdout.split()[-1])
            assert end >= pair.count, f"the topic ends at {end}, {pair.count} lines were written"
            self.noted(sink, "kafka_offset", end)

    def noted(self, path, field, expected):
        def same():
            offsets = next(worker for worker in self.workers if worker.process.poll() is None).done("GET", path)["offsets"]
            return [entry["offset"][field] for entry in offsets] == [expected]
        until(f"{path}: {field} is {expected}", same)

    def kill(self, killed, left):
        with self.flowing():
            killed.kill()
            until("all runs on the worker that is left", lambda: self.runs_on(left, [left]))
        self.nothing_lost()

    def come_back(self, back):
        with self.flowing():
            back.start("ConnectDistributed")
            until("it serves again", back.serves)
            until("it has its share again", lambda: self.runs_on(back, self.workers))
        self.nothing_lost()

    @contextlib.contextmanager
    def flowing(self):
        with contextlib.ExitStack() as flows:
            for pair in self.pairs:
                flows.enter_context(pair.flowing())
            yield

    def nothing_lost(self):
        for pair in self.pairs:
            pair.none_lost()
            self.committed(pair)

    def delete(self, left):
        names = left.done("GET", "/connectors")
        assert sorted(names) == sorted(of["name"] for pair in self.pairs for of in (pair.source, pair.sink)), names
        for name in names:
            left.done("DELETE", f"/connectors/{name}")
        until("no connector is left", lambda: left.done("GET", "/connectors") == [])
        left.stop()


def main():
    check("standalone: lines go from file to file, also over a restart", standalone)
    cluster = Distributed()
    first, second = cluster.workers
    check("two distributed workers start", cluster.start)
    check("their topics are compacted", cluster.internal_topics)
    check("connectors are created on both, and lines go from file to file", cluster.create)
    check("a sink is paused and resumed", cluster.pause)
    check("a sink's offsets are reset, and it begins anew", cluster.reset)
    check("a worker is killed, its tasks move, and no line is lost", lambda: cluster.kill(first, second))
    check("it comes back and takes its share, and no line is lost", lambda: cluster.come_back(first))
    # By now it leads the group: the other one must know everything from the topics.
    check("the leader is killed, and no line is lost", lambda: cluster.kill(second, first))
    check("connectors are deleted, and the last worker leaves", lambda: cluster.delete(first))
    sys.exit(1 if failures else 0)


main()
