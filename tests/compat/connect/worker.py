"""A worker of Kafka Connect in a process of its own, and its REST interface."""

import atexit
import json
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

PATIENCE = 60
# Without the proxy that the environment may name.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Worker:
    def __init__(self, name, folder, classpath, settings):
        self.name, self.port, self.process = name, free_port(), None
        self.folder, self.classpath = folder, classpath
        self.address = f"127.0.0.1:{self.port}"
        self.settings = {"listeners": f"http://{self.address}", **settings}
        atexit.register(self.kill)

    def start(self, main, *files):
        settings = write(self.folder / f"{self.name}.properties", self.settings)
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                 "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self.classpath,
                 f"org.apache.kafka.connect.cli.{main}", settings, *files],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """Cleanly: offsets committed, goodbye said."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 128 + signal.SIGTERM, self.process.returncode

    def call(self, method, path, body=None):
        """The status and the answer. 409 is Connect's word for 'a rebalance is going on, come back'."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data, {"Content-Type": "application/json"}, method=method)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with OPENER.open(request, timeout=PATIENCE) as answer:
                    text = answer.read()
                    return answer.status, json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                text = error.read().decode()
                if error.code != 409 or time.monotonic() > end:
                    return error.code, text
                time.sleep(0.1)

    def done(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def serves(self):
        assert self.process.poll() is None, f"{self.name} has ended: {self.process.returncode}"
        try:
            return self.call("GET", "/connectors")[0] == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def tasks(self):
        """What runs, and where: [(connector or connector/task, state, address)]."""
        found = []
        for name, of in self.done("GET", "/connectors?expand=status").items():
            status = of["status"]
            found.append((name, status["connector"]["state"], status["connector"]["worker_id"]))
            found += [(f"{name}/{task['id']}", task["state"], task["worker_id"]) for task in status["tasks"]]
        return sorted(found)


def write(path, settings):
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return str(path)


def free_port():
    """Below the ephemeral range, so that no client's source port takes it."""
    while True:
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", random.randrange(15000, 32000)))
                return candidate.getsockname()[1]
            except OSError:
                continue


def until(what, condition):
    """The condition's value, once it is true."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {PATIENCE} s: {what}"
        time.sleep(0.1)
    return value
