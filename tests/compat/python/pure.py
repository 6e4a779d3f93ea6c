"""kafka-python and aiokafka, which share no code with librdkafka: one scenario for both. Prints 'ok' and 'FAIL' lines.

A client adapts only: what an operation means, waits for or tries again is the client's. What it lacks is left out.
"""

import asyncio
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import aiokafka
import aiokafka.admin
import kafka
import kafka.admin

BOOTSTRAP = sys.argv[1].split(",")
RUN = f"pure-{os.getpid()}"
RECORDS = 500
PATIENCE = 30
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
# By the protocol's numbers.
UNKNOWN_TOPIC_OR_PARTITION, TOPIC_ALREADY_EXISTS = 3, 36

FAILURES = []
# What was acknowledged to whom, for the other to read.
WRITTEN = []


class Record(NamedTuple):
    partition: int
    offset: int
    key: str
    value: str


class Refused(Exception):
    """By an error code of the protocol."""


class KafkaPython:
    name = "kafka-python"

    def __init__(self):
        self.admin = kafka.KafkaAdminClient(bootstrap_servers=BOOTSTRAP)

    def close(self):
        self.admin.close()

    def brokers(self):
        return len(self.admin.describe_cluster()["brokers"])

    def topics(self):
        return self.admin.list_topics()

    def in_sync(self, topic):
        return [len(p["isr_nodes"]) for p in self.admin.describe_topics([topic])[0]["partitions"]]

    def create_topic(self, topic, partitions, configs):
        wanted = {topic: {"num_partitions": partitions, "replication_factor": 3, "configs": configs}}
        refusing(self.admin.create_topics(wanted, raise_errors=False)["topics"][0]["error_code"])

    def delete_topic(self, topic):
        refusing(self.admin.delete_topics([topic], raise_errors=False)["topics"][0]["error_code"])

    def config(self, topic, key):
        resource = kafka.admin.ConfigResource("TOPIC", topic, [key])
        return self.admin.describe_configs([resource], config_filter="all")["topic"][topic][key]["value"]

    def set_config(self, topic, key, value):
        self.admin.alter_configs([kafka.admin.ConfigResource("TOPIC", topic, {key: value})])

    def end_offset(self, topic, partition):
        reader = kafka.KafkaConsumer(bootstrap_servers=BOOTSTRAP)
        try:
            at = kafka.TopicPartition(topic, partition)
            return reader.end_offsets([at])[at]
        finally:
            reader.close()

    def produce(self, topic, codec, records):
        producer = kafka.KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=None if codec == "none" else codec, acks="all", linger_ms=20)
        try:
            sent = [producer.send(topic, key=key.encode(), value=value.encode()) for key, value in records]
            answers = [future.get(PATIENCE) for future in sent]
        finally:
            producer.close()
        return [Record(at.partition, at.offset, key, value) for at, (key, value) in zip(answers, records)]

    def read(self, topic, partitions, count):
        consumer = kafka.KafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest")
        consumer.assign([kafka.TopicPartition(topic, p) for p in range(partitions)])
        member = KafkaPythonMember(consumer, topic)
        try:
            return member.poll(count, PATIENCE)
        finally:
            member.close()

    def join(self, group, topic):
        consumer = kafka.KafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest",
                                       enable_auto_commit=False, heartbeat_interval_ms=500)
        return KafkaPythonMember(consumer, topic)

    def groups(self):
        return [group["group_id"] for group in self.admin.list_groups()]

    def describe_group(self, group):
        found = self.admin.describe_groups([group])[group]
        assert not found["error"], found
        return found["group_state"], len(found["members"])

    def committed(self, group, topic, partition):
        return self.admin.list_group_offsets(group)[group][kafka.TopicPartition(topic, partition)].offset

    def delete_group(self, group):
        expect({group: "OK"}, self.admin.delete_groups([group]))


class KafkaPythonMember:
    def __init__(self, consumer, topic):
        self.consumer, self.topic, self.records = consumer, topic, []

    def assigned(self):
        # It joins, and notices a rebalance, while it polls.
        self.fetch()
        return [at.partition for at in self.consumer.assignment()]

    def fetch(self):
        # Long enough for a rebalance: a poll that times out in the middle of one may leave the client without partitions for ever, its
        # SyncGroup answered and the answer never looked at (3.0.12).
        for batch in self.consumer.poll(1000).values():
            self.records += [Record(m.partition, m.offset, m.key.decode(), m.value.decode()) for m in batch]

    def poll(self, count, seconds):
        end = time.monotonic() + seconds
        while len(self.records) < count and time.monotonic() < end:
            self.fetch()
        taken, self.records = self.records[:count], self.records[count:]
        return taken

    def commit(self, records):
        offsets = {}
        for partition, offset in next_offsets(records).items():
            offsets[kafka.TopicPartition(self.topic, partition)] = kafka.OffsetAndMetadata(offset, "", -1)
        self.consumer.commit(offsets)

    def close(self):
        self.consumer.close()


class AioKafka:
    name = "aiokafka"

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.admin = self.run(self.started(lambda: aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)))

    @staticmethod
    async def started(make):
        made = make()
        await made.start()
        return made

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(2 * PATIENCE)

    def close(self):
        self.run(self.admin.close())
        self.loop.call_soon_threadsafe(self.loop.stop)

    def brokers(self):
        return len(self.run(self.admin.describe_cluster())["brokers"])

    def topics(self):
        return self.run(self.admin.list_topics())

    def in_sync(self, topic):
        return [len(p["isr"]) for p in self.run(self.admin.describe_topics([topic]))[0]["partitions"]]

    def create_topic(self, topic, partitions, configs):
        wanted = aiokafka.admin.NewTopic(topic, partitions, 3, topic_configs=configs)
        refusing(self.run(self.admin.create_topics([wanted])).topic_errors[0][1])

    def delete_topic(self, topic):
        refusing(self.run(self.admin.delete_topics([topic])).topic_error_codes[0][1])

    def config(self, topic, key):
        resource = aiokafka.admin.config_resource.ConfigResource("TOPIC", topic, {key: None})
        answer = self.run(self.admin.describe_configs([resource]))[0].to_object()["resources"][0]
        refusing(answer["error_code"])
        return answer["config_entries"][0]["config_value"]

    def set_config(self, topic, key, value):
        resource = aiokafka.admin.config_resource.ConfigResource("TOPIC", topic, {key: value})
        refusing(self.run(self.admin.alter_configs([resource]))[0].to_object()["resources"][0]["error_code"])

    def end_offset(self, topic, partition):
        async def ask():
            reader = await self.started(lambda: aiokafka.AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP))
            at = aiokafka.TopicPartition(topic, partition)
            try:
                return (await reader.end_offsets([at]))[at]
            finally:
                await reader.stop()

        return self.run(ask())

    def produce(self, topic, codec, records):
        async def send():
            producer = await self.started(lambda: aiokafka.AIOKafkaProducer(
                bootstrap_servers=BOOTSTRAP, enable_idempotence=True, linger_ms=20, compression_type=None if codec == "none" else codec))
            try:
                sent = [await producer.send(topic, key=key.encode(), value=value.encode()) for key, value in records]
                return await asyncio.gather(*sent)
            finally:
                await producer.stop()

        return [Record(at.partition, at.offset, key, value) for at, (key, value) in zip(self.run(send()), records)]

    def read(self, topic, partitions, count):
        def make():
            consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest")
            consumer.assign([aiokafka.TopicPartition(topic, p) for p in range(partitions)])
            return consumer

        member = AioKafkaMember(self, self.run(self.started(make)), topic)
        try:
            return member.poll(count, PATIENCE)
        finally:
            member.close()

    def join(self, group, topic):
        consumer = self.run(self.started(lambda: aiokafka.AIOKafkaConsumer(
            topic, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
            heartbeat_interval_ms=500)))
        return AioKafkaMember(self, consumer, topic)

    def groups(self):
        return [group[0] for group in self.run(self.admin.list_consumer_groups())]

    def describe_group(self, group):
        found = self.run(self.admin.describe_consumer_groups([group]))[0].to_object()["groups"][0]
        refusing(found["error_code"])
        return found["state"], len(found["members"])

    def committed(self, group, topic, partition):
        return self.run(self.admin.list_consumer_group_offsets(group))[aiokafka.TopicPartition(topic, partition)].offset


class AioKafkaMember:
    def __init__(self, client, consumer, topic):
        self.client, self.consumer, self.topic = client, consumer, topic

    def assigned(self):
        return [at.partition for at in self.consumer.assignment()]

    def poll(self, count, seconds):
        records, end = [], time.monotonic() + seconds
        while len(records) < count and time.monotonic() < end:
            batches = self.client.run(self.consumer.getmany(timeout_ms=200, max_records=count - len(records)))
            for batch in batches.values():
                records += [Record(m.partition, m.offset, m.key.decode(), m.value.decode()) for m in batch]
        return records

    def commit(self, records):
        offsets = {aiokafka.TopicPartition(self.topic, p): offset for p, offset in next_offsets(records).items()}
        self.client.run(self.consumer.commit(offsets))

    def close(self):
        self.client.run(self.consumer.stop())


def scenario(client):
    check(client, "the cluster has three brokers", lambda: expect(3, client.brokers()))
    check(client, "create, list and describe a topic", lambda: topics(client))
    for codec in CODECS:
        check(client, f"produce and consume with {codec}", lambda: round_trip(client, codec))
    check(client, "the offset at the end", lambda: end_offset(client))
    check(client, "a group goes on from its commit", lambda: commits(client))
    check(client, "a second member takes over half, and all when the first leaves", lambda: rebalance(client))
    check(client, "list, describe and delete a group", lambda: groups(client))
    check(client, "describe and change a topic's configs", lambda: configs(client))
    check(client, "delete a topic", lambda: delete_topic(client))


def topics(client):
    topic = create(client, "topics", 4)
    assert topic in client.topics()
    refused(TOPIC_ALREADY_EXISTS, lambda: client.create_topic(topic, 1, {}))


def round_trip(client, codec):
    topic = create(client, codec, 3)
    sent = fill(client, topic, RECORDS, codec)
    expect(sorted(sent), sorted(client.read(topic, 3, RECORDS)))
    WRITTEN.append((client, topic, sent))


def reads_the_others(client):
    for writer, topic, sent in WRITTEN:
        if writer is not client:
            expect(sorted(sent), sorted(client.read(topic, 3, len(sent))))


def end_offset(client):
    topic = create(client, "end", 1)
    fill(client, topic, 10)
    expect(10, client.end_offset(topic, 0))


def commits(client):
    topic, group = create(client, "commits", 1), f"{RUN}-{client.name}-commits"
    fill(client, topic, 100)
    first = client.join(group, topic)
    read = first.poll(40, PATIENCE)
    expect(list(range(40)), [record.offset for record in read])
    first.commit(read)
    first.close()
    expect(40, client.committed(group, topic, 0))
    second = client.join(group, topic)
    read = second.poll(60, PATIENCE)
    expect(list(range(40, 100)), [record.offset for record in read])
    second.commit(read)
    second.close()
    expect(100, client.committed(group, topic, 0))


def rebalance(client):
    topic, group = create(client, "rebalance", 4), f"{RUN}-{client.name}-rebalance"
    first = client.join(group, topic)
    assigned(4, first)
    second = client.join(group, topic)
    assigned(2, first, second)
    sent, seen = fill(client, topic, 100), []
    until("the members read 100 records", lambda: seen.extend(first.poll(100, 0.3) + second.poll(100, 0.3)) or len(seen) >= 100)
    expect(sorted(sent), sorted(seen))
    first.close()
    assigned(4, second)
    # What nobody committed comes once more.
    missing = set(fill(client, topic, 50))
    until("the last member reads what was sent after the first left", lambda: missing.difference_update(second.poll(50, 1)) or not missing)
    second.close()


def groups(client):
    topic, group = create(client, "groups", 1), f"{RUN}-{client.name}-groups"
    fill(client, topic, 10)
    member = client.join(group, topic)
    member.commit(member.poll(10, PATIENCE))
    expect(("Stable", 1), client.describe_group(group))
    assert group in client.groups()
    member.close()
    expect(("Empty", 0), client.describe_group(group))
    if hasattr(client, "delete_group"):
        client.delete_group(group)
        assert group not in client.groups()


def configs(client):
    topic = create(client, "configs", 1, {"retention.ms": "1234567"})
    expect("1234567", client.config(topic, "retention.ms"))
    expect("2", client.config(topic, "min.insync.replicas"))
    client.set_config(topic, "retention.ms", "7654321")
    until("the new value is shown", lambda: client.config(topic, "retention.ms") == "7654321")


def delete_topic(client):
    topic = create(client, "deleted", 2)
    client.delete_topic(topic)
    until("the topic is gone", lambda: topic not in client.topics())
    refused(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.delete_topic(topic))


# What the checks are made of.


def check(client, name, action):
    try:
        action()
        print(f"ok {client.name}: {name}", flush=True)
    except Exception:  # a check may fail in any way; the others still run
        FAILURES.append(name)
        print(f"FAIL {client.name}: {name}\n{traceback.format_exc()}", flush=True)


def create(client, name, partitions, settings=None):
    topic = f"{RUN}-{client.name}-{name}"
    client.create_topic(topic, partitions, settings or {})
    until(f"{topic} has its ISR", lambda: client.in_sync(topic) == [3] * partitions)
    return topic


def fill(client, topic, count, codec="none"):
    return client.produce(topic, codec, [(f"key {i}", f"value {i}") for i in range(count)])


def next_offsets(records):
    offsets = {}
    for record in records:
        offsets[record.partition] = max(offsets.get(record.partition, 0), record.offset + 1)
    return offsets


def assigned(each, *members):
    def shared():
        partitions = list(pool.map(lambda member: member.assigned(), members))
        return all(len(mine) == each for mine in partitions) and len(set(sum(partitions, []))) == each * len(members)

    # All poll at the same time: a join is answered when every member has joined.
    with ThreadPoolExecutor() as pool:
        until(f"{len(members)} members have {each} partitions each", shared)


def until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE} s: {what}"
        time.sleep(0.05)


def refusing(code):
    if code != 0:
        raise Refused(code)


def refused(code, call):
    try:
        call()
    except Refused as error:
        expect((code,), error.args)
        return
    raise AssertionError(f"not refused with {code}")


def expect(expected, found):
    assert expected == found, f"expected {expected}, found {found}"


def main():
    clients = [KafkaPython(), AioKafka()]
    for client in clients:
        scenario(client)
    for client in clients:
        check(client, "reads what the other wrote", lambda: reads_the_others(client))
        client.close()
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
