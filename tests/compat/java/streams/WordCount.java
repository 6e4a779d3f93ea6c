import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;

/**
 * `WordCount SERVERS APPLICATION FOLDER`: one instance of the application; ends cleanly when asked to terminate. It prints its
 * states, and the records that each partition of a store is restored from. Everything it finds goes to one topic:
 * <pre>
 * WORD         how often it was seen
 * WORD@START   how often in the hour that starts there
 * WORD=        what kind of word it is and how often it was seen: a join of two tables
 * </pre>
 */
public final class WordCount {
    static final Duration HOUR = Duration.ofHours(1);
    static final Duration RETENTION = HOUR.multipliedBy(12);

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.putAll(Map.of(
            "bootstrap.servers", arguments[0],
            "application.id", arguments[1],
            "state.dir", arguments[2],
            "processing.guarantee", "at_least_once",
            // The brokers' default.
            "replication.factor", "-1",
            "commit.interval.ms", "100",
            "repartition.purge.interval.ms", "100",
            // As short as brokers allow: whoever is killed is missed after it, and so is whoever closes, Streams doesn't say goodbye.
            "session.timeout.ms", "6000",
            "heartbeat.interval.ms", "1000"));
        settings.put("group.protocol", "classic");
        settings.put("auto.offset.reset", "earliest");
        KafkaStreams streams = new KafkaStreams(topology(arguments[1]), settings);
        streams.setStateListener((state, before) -> System.out.println("state " + state));
        streams.setGlobalStateRestoreListener(new Restored());
        Runtime.getRuntime().addShutdownHook(new Thread(() ->
            System.out.println("closed " + streams.close(Duration.ofSeconds(30)))));
        streams.start();
    }

    private static Topology topology(String application) {
        var text = Serdes.String();
        StreamsBuilder builder = new StreamsBuilder();
        KGroupedStream<String, String> words = builder.stream(application + "-lines", Consumed.with(text, text))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("words", text, text));
        KTable<String, Long> counts = words
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"));
        KStream<String, String> hours = words
            .windowedBy(Hours.of(HOUR))
            .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("hours").withRetention(RETENTION))
            .toStream((window, count) -> window.key() + "@" + window.window().start())
            .mapValues(count -> "" + count);
        KTable<String, String> kindsOf = builder.table(application + "-kinds", Consumed.with(text, text),
            Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as("kinds"));
        KStream<String, String> kinds = counts
            .join(kindsOf, (count, kind) -> kind + " " + count)
            .toStream((word, value) -> word + "=");
        counts.toStream().mapValues(count -> "" + count).merge(hours).merge(kinds)
            .to(application + "-results", Produced.with(text, text));
        return builder.build();
    }

    private static final class Restored implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long start, long end) { }

        /** By batch: a task that is moved on before it has all isn't told of an end. */
        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long count) {
            System.out.println("restored " + store + " " + partition.partition() + " " + count);
        }

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long count) { }
    }
}
