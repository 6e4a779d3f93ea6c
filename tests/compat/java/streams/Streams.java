import java.nio.file.Path;
import java.util.*;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ConsumerGroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/**
 * `Streams SERVERS APPLICATION FOLDER`: Kafka Streams' word count in processes of their own, of which one is closed and one killed.
 * The checks are one story: each goes on where the one before it ended.
 */
public final class Streams {
    private static final int PARTITIONS = 3;
    private static final Set<String> ALL = Set.of("0", "1", "2");
    private static final List<String> WORDS = List.of("broker", "leader", "follower", "record", "batch", "segment", "offset", "epoch");
    /** Of the first lines: in the past, but not so far that one of the stores forgets them. */
    private static final long START_MS = (System.currentTimeMillis() / WordCount.HOUR.toMillis() - 6) * WordCount.HOUR.toMillis();

    private final String servers;
    private final String application;
    private final Path folder;
    /** By word, and by word and hour: what was acknowledged. */
    private final Map<String, Long> counts = new HashMap<>();
    private int hour = 0;
    private Instance first;
    private Instance second;
    private Instance third;

    private interface Event {
        void run() throws Exception;
    }

    private Streams(String[] arguments) {
        servers = arguments[0];
        application = arguments[1];
        folder = Path.of(arguments[2]);
    }

    public static void main(String[] arguments) throws Exception {
        Clients.connect(arguments[0]);
        Streams streams = new Streams(arguments);
        Clients.check("words are counted, by hour, and joined with a table", streams::counted);
        Clients.check("internal topics are what Streams asks for", streams::internalTopics);
        Clients.check("a second instance takes its share of the tasks", streams::shared);
        Clients.check("one is closed while lines flow, the other restores its state, all counts are exact", streams::closed);
        Clients.check("one is killed while lines flow, the other restores its state, nothing is lost", streams::killed);
        Clients.check("what went through the repartition topic is deleted there", streams::purged);
        Clients.end();
    }

    private void counted() throws Exception {
        for (String topic : List.of("lines", "kinds", "results")) {
            Clients.get(Clients.admin.createTopics(List.of(new NewTopic(topic(topic), PARTITIONS, (short) 3))).all());
        }
        try (var producer = Clients.producer(Map.of())) {
            for (String word : WORDS) {
                producer.send(new ProducerRecord<>(topic("kinds"), word, "a " + word)).get(30, TimeUnit.SECONDS);
            }
        }
        first = new Instance(servers, application, folder.resolve("first"));
        writeDuring(() -> { });
        settled(first);
        exact();
    }

    private void internalTopics() throws Exception {
        Map<String, Map<String, String>> internal = Map.of(
            topic("words-repartition"), Map.of("cleanup.policy", "delete", "retention.ms", "-1", "segment.bytes", "52428800"),
            topic("counts-changelog"), Map.of("cleanup.policy", "compact"),
            topic("kinds-changelog"), Map.of("cleanup.policy", "compact"),
            // A day more than the store's, for clocks that differ.
            topic("hours-changelog"), Map.of("cleanup.policy", "compact,delete",
                "retention.ms", "" + WordCount.RETENTION.plusDays(1).toMillis()));
        Set<String> existing = Clients.get(Clients.admin.listTopics().names()).stream()
            .filter(name -> name.startsWith(application) && name.matches(".*-(repartition|changelog)")).collect(Collectors.toSet());
        Clients.expect(internal.keySet(), existing);
        for (var topic : internal.entrySet()) {
            var partitions = Clients.get(Release.describe(Clients.admin, topic.getKey())).get(topic.getKey()).partitions();
            Clients.expect(PARTITIONS, partitions.size());
            Clients.expect(true, partitions.stream().allMatch(partition -> partition.replicas().size() == 3));
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic.getKey());
            Config config = Clients.get(Clients.admin.describeConfigs(List.of(resource)).all()).get(resource);
            for (var entry : topic.getValue().entrySet()) {
                String found = entry.getKey() + "=" + sorted(config.get(entry.getKey()).value());
                Clients.expect(topic.getKey() + ": " + entry, topic.getKey() + ": " + found);
            }
        }
    }

    private void shared() throws Exception {
        second = new Instance(servers, application, folder.resolve("second"));
        balanced(first, second);
        // Its folder was empty.
        until("it restores what it has taken over", () -> !second.restored("counts").isEmpty());
        writeDuring(() -> { });
        settled(first, second);
        exact();
    }

    private void closed() throws Exception {
        writeDuring(first::terminate);
        Clients.expect(true, first.said("closed true"));
        settled(second);
        Clients.expect(ALL, second.restored("counts"));
        exact();
    }

    private void killed() throws Exception {
        third = new Instance(servers, application, folder.resolve("third"));
        balanced(second, third);
        writeDuring(second::kill);
        settled(third);
        Clients.expect(ALL, third.restored("counts"));
        Map<String, String> results = results();
        Clients.expect(expected().keySet(), results.keySet());
        for (var entry : expected().entrySet()) {
            long found = number(results.get(entry.getKey()));
            if (found < number(entry.getValue())) {
                throw new AssertionError(entry + " was counted, found " + results.get(entry.getKey()));
            }
        }
    }

    private void purged() throws Exception {
        until("the repartition topic's logs start later", () -> {
            var starts = offsets(topic("words-repartition"), OffsetSpec.earliest());
            return offsets(topic("words-repartition"), OffsetSpec.latest()).entrySet().stream()
                .allMatch(end -> end.getValue() == 0 || starts.get(end.getKey()) > 0);
        });
    }

    // What the checks are made of.

    /** Longer than for other clients: processes are started meanwhile, and members missed. */
    private static void until(String what, Callable<Boolean> condition) throws Exception {
        Clients.until(what, 60, condition);
    }

    private String topic(String name) {
        return application + "-" + name;
    }

    /** Lines of the next hour, one after the other, for as long as the event takes and a while before and after. */
    private void writeDuring(Event event) throws Exception {
        AtomicInteger acknowledged = new AtomicInteger();
        AtomicBoolean over = new AtomicBoolean();
        var writer = CompletableFuture.runAsync(() -> {
            try (var producer = Clients.producer(Map.of("linger.ms", "0"))) {
                int last = 200;
                for (int line = 0; line < last; line++) {
                    String words = word(line) + " " + word(line / 2) + " " + word(line / 3);
                    long time = START_MS + hour * WordCount.HOUR.toMillis() + line;
                    producer.send(new ProducerRecord<>(topic("lines"), line % PARTITIONS, time, null, words)).get(30, TimeUnit.SECONDS);
                    for (String word : words.split(" ")) {
                        counts.merge(word, 1L, Long::sum);
                        counts.merge(word + "@" + (time - line), 1L, Long::sum);
                    }
                    if (acknowledged.incrementAndGet() > 100 && !over.get()) {
                        last = line + 100;
                    }
                }
            } catch (Exception error) {
                throw new AssertionError("not acknowledged", error);
            }
        });
        until("a hundred lines are acknowledged", () -> acknowledged.get() >= 100 || writer.isDone());
        event.run();
        over.set(true);
        writer.get(60, TimeUnit.SECONDS);
        hour++;
    }

    private static String word(int index) {
        return WORDS.get(index % WORDS.size());
    }

    /** The coordinator's view: both members have tasks, all partitions are given out; and the instances have begun with them. */
    private void balanced(Instance... instances) throws Exception {
        AtomicReference<String> last = new AtomicReference<>();
        try {
            until("the tasks are shared", () -> {
                alive(instances);
                var group = Clients.get(Clients.admin.describeConsumerGroups(List.of(application)).all()).get(application);
                List<Integer> shares = group.members().stream()
                    .map(member -> member.assignment().topicPartitions().size()).collect(Collectors.toList());
                last.set(group.state() + ", with partitions " + shares);
                return group.state() == ConsumerGroupState.STABLE && shares.size() == instances.length && !shares.contains(0)
                    && shares.stream().mapToInt(share -> share).sum() == 3 * PARTITIONS
                    && Arrays.stream(instances).allMatch(instance -> instance.said("state RUNNING"));
            });
        } catch (AssertionError late) {
            throw new AssertionError(late.getMessage() + "; the group is " + last, late);
        }
    }

    /** All that was written has been counted, and this is committed. */
    private void settled(Instance... instances) throws Exception {
        until("all of the input is committed", () -> {
            alive(instances);
            var committed = Clients.get(Clients.admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata());
            // In the order of their ways: what is committed here is in the log of the next.
            for (String topic : List.of("kinds", "lines", "words-repartition")) {
                for (var end : offsets(topic(topic), OffsetSpec.latest()).entrySet()) {
                    var offset = committed.get(end.getKey());
                    if (end.getValue() > 0 && (offset == null || offset.offset() < end.getValue())) {
                        return false;
                    }
                }
            }
            return true;
        });
    }

    private static void alive(Instance... instances) {
        Clients.expect(true, Arrays.stream(instances).allMatch(Instance::runs));
    }

    private static Map<TopicPartition, Long> offsets(String topic, OffsetSpec spec) throws Exception {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            asked.put(new TopicPartition(topic, partition), spec);
        }
        try {
            return Clients.get(Clients.admin.listOffsets(asked).all()).entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, entry -> entry.getValue().offset()));
        } catch (ExecutionException error) {
            throw new AssertionError(topic + ": " + error.getCause(), error);
        }
    }

    private void exact() throws Exception {
        Clients.expect(expected(), results());
    }

    private Map<String, String> expected() {
        Map<String, String> expected = new TreeMap<>();
        counts.forEach((key, count) -> {
            expected.put(key, "" + count);
            if (!key.contains("@")) {
                expected.put(key + "=", "a " + key + " " + count);
            }
        });
        return expected;
    }

    /** The last result of each key. */
    private Map<String, String> results() throws Exception {
        Map<TopicPartition, Long> ends = offsets(topic("results"), OffsetSpec.latest());
        Map<String, String> results = new TreeMap<>();
        try (var consumer = Clients.consumer(null, Map.of())) {
            consumer.assign(ends.keySet());
            until("the results are read", () -> {
                consumer.poll(java.time.Duration.ofMillis(200)).forEach(record -> results.put(record.key(), record.value()));
                return ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
            });
        }
        return results;
    }

    private static long number(String result) {
        return Long.parseLong(result.substring(result.lastIndexOf(' ') + 1));
    }

    private static String sorted(String list) {
        return Arrays.stream(list.split(",")).sorted().collect(Collectors.joining(","));
    }
}
