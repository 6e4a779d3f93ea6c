"""confluent-kafka (librdkafka), of any release since 2.0: producers, consumers, groups and the admin client. Prints 'ok' and 'FAIL' lines."""

import os
import sys
import time
import traceback

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import admin, libversion
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

BOOTSTRAP = sys.argv[1]
RUN = f"python-{os.getpid()}"
RECORDS = 500
CLIENT = {"bootstrap.servers": BOOTSTRAP, "topic.metadata.refresh.interval.ms": 1000}
ADMIN = AdminClient(CLIENT)
CHECKS = []


def check(name, *arguments):
    """Registers a function as a check."""

    def register(function):
        CHECKS.append((name, lambda: function(*arguments)))
        return function

    return register


def has(call):
    """Older releases lack admin calls; checks of these are left out."""
    return hasattr(AdminClient, call)


def until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s: {what}"
        time.sleep(0.05)
    return value


def create(name, partitions, **configs):
    topic = f"{RUN}-{name}"
    new = NewTopic(topic, partitions, 3, config={key.replace("_", "."): value for key, value in configs.items()})
    ADMIN.create_topics([new], operation_timeout=20)[topic].result(30)

    def ready():
        found = ADMIN.list_topics(topic, timeout=10).topics[topic]
        return len(found.partitions) == partitions and all(len(p.isrs) == 3 for p in found.partitions.values())

    until(f"{topic} has its ISR", ready)
    return topic


def produce(topic, count, **settings):
    """Sends and gives {(partition, offset): value} as acknowledged."""
    settings = {key.replace("_", "."): value for key, value in settings.items()}
    producer = Producer({**CLIENT, "message.timeout.ms": 30000, **settings})
    acked, errors = {}, []

    def delivered(error, message):
        if error:
            errors.append(error)
        else:
            acked[(message.partition(), message.offset())] = message.value()

    for i in range(count):
        producer.produce(topic, f"value {i}", f"key {i}", on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(40) == 0, "not everything was answered"
    if errors:
        raise KafkaException(errors[0])
    return acked


def consumer(group, **settings):
    settings = {key.replace("_", "."): value for key, value in settings.items()}
    base = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, "check.crcs": True}
    # With the new protocol that is the coordinator's to say.
    classic = {} if "group.protocol" in settings else {"heartbeat.interval.ms": 500}
    return Consumer({**CLIENT, **base, **classic, **settings})


def poll(member, count, seconds=30):
    messages, end = [], time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < end:
        message = member.poll(0.2)
        if message is not None and not message.error():
            messages.append(message)
    return messages


def read_all(topic, partitions, count):
    reader = consumer(f"{RUN}-reader")
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    messages = poll(reader, count)
    reader.close()
    return {(m.partition(), m.offset()): m.value() for m in messages}


def refused(code, call):
    try:
        call()
    except KafkaException as error:
        assert error.args[0].code() == code, error
        return
    raise AssertionError(f"not refused with {code}")


@check("metadata")
def metadata():
    cluster = ADMIN.list_topics(timeout=10)
    assert len(cluster.brokers) == 3 and len(cluster.cluster_id) == 22, cluster.cluster_id
    if has("describe_cluster"):
        description = ADMIN.describe_cluster().result(30)
        assert len(description.nodes) == 3 and description.controller is not None


def round_trip(codec, idempotent):
    topic = create(f"{codec}-{idempotent}", 3)
    acked = produce(topic, RECORDS, compression_type=codec, enable_idempotence=idempotent, acks="all")
    assert len(acked) == RECORDS
    assert read_all(topic, 3, RECORDS) == acked


for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    check(f"idempotent producer with {codec}", codec, True)(round_trip)
check("producer without idempotence", "none", False)(round_trip)


@check("create, describe and delete a topic")
def topics():
    topic = create("topics", 4, retention_ms="3600000")
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    config = ADMIN.describe_configs([resource])[resource].result(30)
    assert config["retention.ms"].value == "3600000"
    again = lambda: ADMIN.create_topics([NewTopic(topic, 1, 3)])[topic].result(30)
    refused(KafkaError.TOPIC_ALREADY_EXISTS, again)
    delete = lambda: ADMIN.delete_topics([topic], operation_timeout=20)[topic].result(30)
    delete()
    until("the topic is gone", lambda: topic not in ADMIN.list_topics(timeout=10).topics)
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, delete)


@check("a bad topic is refused")
def bad_topics():
    for topic, code in ((NewTopic(f"{RUN}-rf", 1, 9), KafkaError.INVALID_REPLICATION_FACTOR),
                        (NewTopic(f"{RUN}-no", 0, 3), KafkaError.INVALID_PARTITIONS),
                        (NewTopic("no/name", 1, 3), KafkaError.TOPIC_EXCEPTION)):
        refused(code, lambda topic=topic: ADMIN.create_topics([topic])[topic.topic].result(30))


def offsets():
    topic = create("offsets", 1)
    producer = Producer(CLIENT)
    for stamp in (1000, 2000, 3000):
        producer.produce(topic, str(stamp), timestamp=stamp)
        producer.flush(30)
    partition = TopicPartition(topic, 0)
    spec = admin.OffsetSpec
    for of, expected in ((spec.earliest(), 0), (spec.latest(), 3), (spec.for_timestamp(1500), 1)):
        assert ADMIN.list_offsets({partition: of})[partition].result(30).offset == expected


if has("list_offsets"):
    check("offsets by time and at both ends")(offsets)


def keyless():
    topic = create("compacted", 1, cleanup_policy="compact")
    outcomes = []
    producer = Producer({**CLIENT, "linger.ms": 1000})
    for i in range(10):
        key = None if i % 5 == 0 else str(i)
        producer.produce(topic, "value", key, on_delivery=lambda error, message: outcomes.append((message.key(), error)))
    assert producer.flush(30) == 0
    bad = {error.code() for key, error in outcomes if key is None}
    rest = {error.code() for key, error in outcomes if key is not None}
    assert bad == {KafkaError.INVALID_RECORD} and rest == {KafkaError._INVALID_DIFFERENT_RECORD}, (bad, rest)


if hasattr(KafkaError, "_INVALID_DIFFERENT_RECORD"):
    check("every record without a key is named to a compacted topic's producer")(keyless)


@check("a group goes on from its commit")
def commits():
    topic, group = create("commits", 1), f"{RUN}-commits"
    produce(topic, 100)
    first = consumer(group)
    first.subscribe([topic])
    last = poll(first, 40)[-1]
    first.commit(last, asynchronous=False)
    first.close()
    second = consumer(group)
    second.subscribe([topic])
    assert [m.offset() for m in poll(second, 60)] == list(range(40, 100))
    second.commit(asynchronous=False)
    assert second.committed([TopicPartition(topic, 0)], 10)[0].offset == 100
    second.close()


def rebalance(strategy, **settings):
    topic, group = create(f"rebalance-{strategy}", 4), f"{RUN}-{strategy}"
    settings = settings or {"partition_assignment_strategy": strategy}
    members = [consumer(group, **settings) for _ in range(2)]

    def assigned(count, *who):
        for member in who:
            member.poll(0.1)
        return all(len(member.assignment()) == count for member in who)

    members[0].subscribe([topic])
    until("one member has all", lambda: assigned(4, members[0]))
    members[1].subscribe([topic])
    until("each has half", lambda: assigned(2, *members))
    acked = produce(topic, 100)
    seen, end = set(), time.monotonic() + 30
    while len(seen) < 100 and time.monotonic() < end:
        for member in members:
            seen.update((m.partition(), m.offset()) for m in poll(member, 10, 0.3))
    assert seen == set(acked), f"{len(seen)} of 100 records"
    members[0].close()
    until("the other has all", lambda: assigned(4, members[1]))
    members[1].close()


for strategy in ("range", "roundrobin", "cooperative-sticky"):
    check(f"a rebalance of two members, {strategy}", strategy)(rebalance)
# Preview releases of it speak a version that was never released.
if libversion()[1] >= 0x020c0000:
    check("a rebalance of two members, KIP-848")(lambda: rebalance("new", group_protocol="consumer"))


@check("describe and list groups")
def groups():
    topic, group = create("groups", 1), f"{RUN}-groups"
    produce(topic, 10)
    member = consumer(group)
    member.subscribe([topic])
    assert len(poll(member, 10)) == 10
    member.commit(asynchronous=False)
    description = ADMIN.describe_consumer_groups([group])[group].result(30)
    assert len(description.members) == 1 and description.state.name == "STABLE", description.state
    assert group in {found.group_id for found in ADMIN.list_consumer_groups().result(30).valid}
    member.close()


def delete_records():
    topic = create("delete-records", 1)
    produce(topic, 50)
    partition = TopicPartition(topic, 0, 20)
    assert ADMIN.delete_records([partition])[partition].result(30).low_watermark == 20
    reader = consumer(f"{RUN}-reader")
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (20, 50)
    reader.close()


if has("delete_records"):
    check("delete records")(delete_records)


def main():
    failures = 0
    for name, function in CHECKS:
        try:
            function()
            print(f"ok {name}", flush=True)
        except Exception:  # a check may fail in any way; the others still run
            failures += 1
            print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
