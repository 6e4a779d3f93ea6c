import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/** The Java producer, consumer and AdminClient. One source for all versions of kafka-clients, but for Release; prints 'ok' and 'FAIL' lines. */
public final class Clients {
    private static final int RECORDS = 500;
    private static final Duration POLL = Duration.ofMillis(200);
    static final String RUN = "java-" + ProcessHandle.current().pid();
    static String bootstrap;
    static Admin admin;
    private static int failures;

    interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) {
        connect(arguments[0]);
        check("describe cluster", Clients::describeCluster);
        check("create, list, describe topic", Clients::topics);
        check("an existing topic is refused", Clients::existingTopic);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            check("produce and consume with " + codec, () -> roundTrip(codec));
        }
        check("acks=0 and acks=1", Clients::lowerAcks);
        check("headers, null values, timestamps", Clients::recordParts);
        check("list offsets", Clients::listOffsets);
        check("a record that is too large is refused", Clients::tooLarge);
        check("a group of one goes on from its commit", Clients::commits);
        check("a second member takes over half, and all when the first leaves", Clients::rebalance);
        check("a consumer reads from the replica in its rack", Clients::nearestReplica);
        check("a producer above its quota is made to wait", Clients::quota);
        check("a client above its part of the threads' time is made to wait", Clients::requestQuota);
        check("who creates too many partitions is refused, and waits", Clients::mutationQuota);
        check("describe and list groups", Clients::groups);
        check("topic configs", Clients::configs);
        check("delete records", Clients::deleteRecords);
        check("delete topic", Clients::deleteTopic);
        end();
    }

    static void connect(String servers) {
        bootstrap = servers;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "request.timeout.ms", "20000"));
    }

    static void end() {
        admin.close(Duration.ofSeconds(5));
        System.exit(failures == 0 ? 0 : 1);
    }

    static void check(String name, Check check) {
        try {
            check.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failures++;
            System.out.println("FAIL " + name + ": " + error);
            error.printStackTrace();
        }
    }

    private static void describeCluster() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        expect(3, get(cluster.nodes()).size());
        expect(true, get(cluster.controller()) != null);
        expect(true, get(cluster.clusterId()).length() == 22);
    }

    private static void topics() throws Exception {
        String topic = create("topics", 6, Map.of("retention.ms", "3600000"));
        expect(true, get(admin.listTopics().names()).contains(topic));
        TopicDescription description = describe(topic);
        expect(6, description.partitions().size());
        for (var partition : description.partitions()) {
            expect(3, partition.replicas().size());
            expect(3, partition.isr().size());
            expect(true, partition.leader() != null);
        }
    }

    private static void existingTopic() throws Exception {
        String topic = create("twice", 1, Map.of());
        refused(TopicExistsException.class, () -> get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 3))).all()));
    }

    private static void roundTrip(String codec) throws Exception {
        String topic = create("codec-" + codec, 3, Map.of());
        Map<String, String> sent = new HashMap<>();
        try (var producer = producer(Map.of("compression.type", codec))) {
            List<Future<RecordMetadata>> answers = new ArrayList<>();
            for (int i = 0; i < RECORDS; i++) {
                answers.add(producer.send(new ProducerRecord<>(topic, "key " + i, "value " + i)));
            }
            for (int i = 0; i < RECORDS; i++) {
                RecordMetadata at = answers.get(i).get(30, TimeUnit.SECONDS);
                sent.put(at.partition() + "/" + at.offset(), "value " + i);
            }
        }
        Map<String, String> read = new HashMap<>();
        for (var record : readAll(topic, 3, RECORDS)) {
            read.put(record.partition() + "/" + record.offset(), record.value());
        }
        expect(sent, read);
    }

    private static void lowerAcks() throws Exception {
        String topic = create("acks", 1, Map.of());
        for (String acks : List.of("0", "1")) {
            try (var producer = producer(Map.of("acks", acks, "enable.idempotence", "false"))) {
                producer.send(new ProducerRecord<>(topic, "k", acks)).get(30, TimeUnit.SECONDS);
            }
        }
        expect(2, readAll(topic, 1, 2).size());
    }

    private static void recordParts() throws Exception {
        String topic = create("parts", 1, Map.of());
        try (var producer = producer(Map.of())) {
            var record = new ProducerRecord<String, String>(topic, 0, 12345L, "k", null);
            record.headers().add("h", new byte[] {1, 2});
            producer.send(record).get(30, TimeUnit.SECONDS);
        }
        var read = readAll(topic, 1, 1).get(0);
        expect("k", read.key());
        expect(true, read.value() == null);
        expect(12345L, read.timestamp());
        expect(2, read.headers().lastHeader("h").value().length);
    }

    private static void listOffsets() throws Exception {
        String topic = create("offsets", 1, Map.of());
        try (var producer = producer(Map.of())) {
            for (long time = 1000; time <= 3000; time += 1000) {
                producer.send(new ProducerRecord<>(topic, 0, time, "k", "v")).get(30, TimeUnit.SECONDS);
            }
        }
        expect(0L, offset(topic, OffsetSpec.earliest()));
        expect(3L, offset(topic, OffsetSpec.latest()));
        expect(1L, offset(topic, OffsetSpec.forTimestamp(1500)));
        if (Release.MAX_TIMESTAMP.isPresent()) {
            expect(2L, offset(topic, Release.MAX_TIMESTAMP.get()));
        }
    }

    private static void tooLarge() throws Exception {
        String topic = create("small", 1, Map.of("max.message.bytes", "1000"));
        try (var producer = producer(Map.of())) {
            var record = new ProducerRecord<>(topic, "k", "x".repeat(5000));
            refused(RecordTooLargeException.class, () -> producer.send(record).get(30, TimeUnit.SECONDS));
        }
    }

    private static void commits() throws Exception {
        String topic = create("commits", 1, Map.of());
        fill(topic, 100);
        try (var consumer = consumer(RUN + "-commits", Map.of("max.poll.records", "40"))) {
            consumer.subscribe(List.of(topic));
            expect(40, poll(consumer, 40).size());
            consumer.commitSync();
        }
        try (var consumer = consumer(RUN + "-commits", Map.of())) {
            consumer.subscribe(List.of(topic));
            var rest = poll(consumer, 60);
            expect(40L, rest.get(0).offset());
            expect(60, rest.size());
        }
    }

    private static void rebalance() throws Exception {
        String topic = create("rebalance", 4, Map.of());
        String group = RUN + "-rebalance";
        fill(topic, 100);
        var first = consumer(group, Map.of());
        var second = consumer(group, Map.of());
        try {
            first.subscribe(List.of(topic));
            assigned(4, first);
            second.subscribe(List.of(topic));
            assigned(2, first, second);
            first.close(Duration.ofSeconds(10));
            assigned(4, second);
            second.commitSync();
        } finally {
            first.close(Duration.ofSeconds(10));
            second.close(Duration.ofSeconds(10));
        }
    }

    /** KIP-392: partition 0 is led by broker 1, the client sits beside broker 3. */
    private static void nearestReplica() throws Exception {
        String topic = RUN + "-nearest";
        get(admin.createTopics(List.of(new NewTopic(topic, Map.of(0, List.of(1, 2, 3))))).all());
        try (var producer = producer(Map.of())) {
            for (int i = 0; i < 100; i++) {
                producer.send(new ProducerRecord<>(topic, "k", "x".repeat(10_000)));
            }
        }
        try (var consumer = consumer(null, Map.of("client.rack", "rack3", "fetch.max.bytes", "100000"))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            expect(100, poll(consumer, 100).size());
            double near = consumer.metrics().values().stream()
                .filter(metric -> metric.metricName().name().equals("incoming-byte-total"))
                .filter(metric -> "node-3".equals(metric.metricName().tags().get("node-id")))
                .mapToDouble(metric -> (Double) metric.metricValue()).sum();
            expect("most bytes from broker 3", near > 800_000 ? "most bytes from broker 3" : near + " bytes from broker 3");
        }
    }

    /** KIP-219: the answer tells how long to wait. */
    private static void quota() throws Exception {
        String topic = create("quota", 1, Map.of());
        limited("producer_byte_rate", 20_000.0, client -> {
            try (var producer = producer(Map.of("client.id", client, "batch.size", "0"))) {
                for (int i = 0; i < 25; i++) {
                    producer.send(new ProducerRecord<>(topic, "k", "x".repeat(10_000))).get(30, TimeUnit.SECONDS);
                }
                double longest = producer.metrics().values().stream()
                    .filter(metric -> metric.metricName().name().equals("produce-throttle-time-max"))
                    .mapToDouble(metric -> (Double) metric.metricValue()).max().orElse(0);
                expect("told to wait", longest > 0 ? "told to wait" : "never told to wait");
            }
        });
    }

    /** KIP-124: each request takes more than so small a part of a thread's time, and makes the next one wait for a second. */
    private static void requestQuota() throws Exception {
        String topic = create("request-quota", 1, Map.of());
        limited("request_percentage", 0.000001, client -> {
            try (var producer = producer(Map.of("client.id", client, "batch.size", "0"))) {
                long began = System.nanoTime();
                for (int i = 0; i < 4; i++) {
                    producer.send(new ProducerRecord<>(topic, "k", "v")).get(30, TimeUnit.SECONDS);
                }
                long seconds = (System.nanoTime() - began) / 1_000_000_000L;
                expect("made to wait", seconds >= 2 ? "made to wait" : seconds + " s for four records");
            }
        });
    }

    /** KIP-599: who creates and deletes too much is refused; Java's client waits as told and asks again. */
    private static void mutationQuota() throws Exception {
        limited("controller_mutation_rate", 4.0, client -> {
            try (Admin limited = Admin.create(Map.of("bootstrap.servers", bootstrap, "client.id", client))) {
                get(limited.createTopics(List.of(new NewTopic(RUN + "-burst", 64, (short) 1))).all());
                var once = new org.apache.kafka.clients.admin.CreateTopicsOptions().retryOnQuotaViolation(false);
                refused(org.apache.kafka.common.errors.ThrottlingQuotaExceededException.class,
                    () -> get(limited.createTopics(List.of(new NewTopic(RUN + "-refused", 1, (short) 1)), once).all()));
                var ask = new org.apache.kafka.clients.admin.DeleteTopicsOptions().retryOnQuotaViolation(true);
                get(limited.deleteTopics(List.of(RUN + "-burst"), ask).all());
            }
        });
    }

    interface LimitedWork {
        void run(String client) throws Exception;
    }

    /** Runs with a client id of its own, to which a quota holds meanwhile. */
    private static void limited(String key, double value, LimitedWork work) throws Exception {
        String client = RUN + "-" + key;
        var entity = new org.apache.kafka.common.quota.ClientQuotaEntity(Map.of("client-id", client));
        var limit = new org.apache.kafka.common.quota.ClientQuotaAlteration.Op(key, value);
        get(admin.alterClientQuotas(List.of(new org.apache.kafka.common.quota.ClientQuotaAlteration(entity, List.of(limit)))).all());
        var all = get(admin.describeClientQuotas(org.apache.kafka.common.quota.ClientQuotaFilter.all()).entities());
        expect(value, all.get(entity).get(key));
        work.run(client);
        var none = new org.apache.kafka.common.quota.ClientQuotaAlteration.Op(key, null);
        get(admin.alterClientQuotas(List.of(new org.apache.kafka.common.quota.ClientQuotaAlteration(entity, List.of(none)))).all());
    }

    private static void groups() throws Exception {
        String topic = create("groups", 1, Map.of());
        String group = RUN + "-groups";
        fill(topic, 10);
        try (var consumer = consumer(group, Map.of())) {
            consumer.subscribe(List.of(topic));
            poll(consumer, 10);
            consumer.commitSync();
            ConsumerGroupDescription description = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
            expect(1, description.members().size());
            expect(1, description.members().iterator().next().assignment().topicPartitions().size());
            expect(true, get(admin.listConsumerGroups().all()).stream().anyMatch(listing -> listing.groupId().equals(group)));
        }
        var committed = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        expect(10L, committed.get(new TopicPartition(topic, 0)).offset());
    }

    private static void configs() throws Exception {
        String topic = create("configs", 1, Map.of("retention.ms", "1234567"));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
        expect("1234567", config.get("retention.ms").value());
        expect("2", config.get("min.insync.replicas").value());
        var topicWithUnknown = new NewTopic(RUN + "-unknown", 1, (short) 3).configs(Map.of("no.such.config", "1"));
        refused(InvalidConfigurationException.class, () -> get(admin.createTopics(List.of(topicWithUnknown)).all()));
    }

    private static void deleteRecords() throws Exception {
        String topic = create("delete-records", 1, Map.of());
        fill(topic, 50);
        var partition = new TopicPartition(topic, 0);
        var deleted = get(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(20))).all()
            .thenApply(nothing -> true));
        expect(true, deleted);
        expect(20L, offset(topic, OffsetSpec.earliest()));
        expect(20L, readAll(topic, 1, 30).get(0).offset());
    }

    private static void deleteTopic() throws Exception {
        String topic = create("deleted", 2, Map.of());
        get(admin.deleteTopics(List.of(topic)).all().thenApply(nothing -> true));
        until("the topic is gone", () -> !get(admin.listTopics().names()).contains(topic));
        refused(UnknownTopicOrPartitionException.class, () -> get(admin.deleteTopics(List.of(topic)).all()));
    }

    // What the checks are made of.

    static String create(String name, int partitions, Map<String, String> configs) throws Exception {
        String topic = RUN + "-" + name;
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 3).configs(configs))).all().get(30, TimeUnit.SECONDS);
        until(topic + " has its ISR", () -> describe(topic).partitions().stream()
            .allMatch(partition -> partition.leader() != null && partition.isr().size() == 3));
        return topic;
    }

    private static TopicDescription describe(String topic) throws Exception {
        return get(Release.describe(admin, topic)).get(topic);
    }

    private static long offset(String topic, OffsetSpec spec) throws Exception {
        var partition = new TopicPartition(topic, 0);
        return get(admin.listOffsets(Map.of(partition, spec)).all()).get(partition).offset();
    }

    static void fill(String topic, int count) throws Exception {
        try (var producer = producer(Map.of())) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, "key " + i, "value " + i));
            }
            producer.flush();
        }
    }

    static KafkaProducer<String, String> producer(Map<String, String> more) {
        // Before 3.0 the default was 1: what is acknowledged needn't be below the high watermark yet.
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "delivery.timeout.ms", "30000",
            "request.timeout.ms", "10000", "acks", "all"));
        settings.putAll(more);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, Map<String, String> more) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
            "enable.auto.commit", "false", "heartbeat.interval.ms", "500"));
        if (group != null) {
            settings.put("group.id", group);
        }
        settings.putAll(more);
        if (settings.containsKey("group.protocol")) {
            // The group's own, told by the coordinator.
            settings.remove("heartbeat.interval.ms");
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    static List<ConsumerRecord<String, String>> readAll(String topic, int partitions, int count) {
        try (var consumer = consumer(null, Map.of())) {
            List<TopicPartition> all = new ArrayList<>();
            for (int i = 0; i < partitions; i++) {
                all.add(new TopicPartition(topic, i));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            return poll(consumer, count);
        }
    }

    static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (records.size() < count && System.nanoTime() < end) {
            consumer.poll(POLL).forEach(records::add);
        }
        return records;
    }

    @SafeVarargs
    static void assigned(int each, KafkaConsumer<String, String>... members) throws Exception {
        until(members.length + " members with " + each + " partitions each", () -> {
            for (var member : members) {
                member.poll(POLL);
            }
            return Arrays.stream(members).allMatch(member -> member.assignment().size() == each);
        });
    }

    static <T> T get(org.apache.kafka.common.KafkaFuture<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    static void until(String what, Callable<Boolean> condition) throws Exception {
        until(what, 30, condition);
    }

    static void until(String what, int seconds, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        Exception last = null;
        while (System.nanoTime() < end) {
            try {
                if (condition.call()) {
                    return;
                }
                last = null;
            } catch (ExecutionException error) {
                last = error;
            }
            Thread.sleep(50);
        }
        throw new AssertionError("waited " + seconds + " s: " + what, last);
    }

    static void refused(Class<? extends Throwable> expected, Check check) throws Exception {
        try {
            check.run();
        } catch (ExecutionException error) {
            expect(expected, error.getCause().getClass());
            return;
        }
        throw new AssertionError("not refused with " + expected);
    }

    static void expect(Object expected, Object found) {
        if (!Objects.equals(expected, found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }
}
