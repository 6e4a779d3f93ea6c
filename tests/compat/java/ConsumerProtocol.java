// The consumer protocol of KIP-848, with clients of 4.x. Prints 'ok' and 'FAIL' lines, as Clients does.
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;

public final class ConsumerProtocol {
    private static final Map<String, String> NEW_PROTOCOL = Map.of("group.protocol", "consumer");

    public static void main(String[] arguments) {
        Clients.connect(arguments[0]);
        Clients.check("KIP-848: a second member takes over half, and all when the first leaves", ConsumerProtocol::consumerRebalance);
        Clients.check("KIP-848: a pattern follows the topics, and a commit holds", ConsumerProtocol::consumerPattern);
        Clients.check("KIP-848: a group moves to the new protocol and back while it works", ConsumerProtocol::migration);
        Clients.end();
    }

    static void consumerRebalance() throws Exception {
        String topic = Clients.create("consumer-rebalance", 4, Map.of());
        String group = Clients.RUN + "-consumer-rebalance";
        Clients.fill(topic, 100);
        var first = Clients.consumer(group, NEW_PROTOCOL);
        var second = Clients.consumer(group, NEW_PROTOCOL);
        try {
            first.subscribe(List.of(topic));
            Clients.assigned(4, first);
            second.subscribe(List.of(topic));
            Clients.assigned(2, first, second);
            ConsumerGroupDescription description = Clients.get(Clients.admin.describeConsumerGroups(List.of(group)).all()).get(group);
            Clients.expect("Consumer", description.type().toString());
            Clients.expect("uniform", description.partitionAssignor());
            Clients.expect(2, description.members().size());
            first.close(Duration.ofSeconds(10));
            Clients.assigned(4, second);
            second.commitSync();
        } finally {
            first.close(Duration.ofSeconds(10));
            second.close(Duration.ofSeconds(10));
        }
        Clients.get(Clients.admin.deleteConsumerGroups(List.of(group)).all());
    }

    static void consumerPattern() throws Exception {
        String first = Clients.create("pattern-a", 1, Map.of());
        String group = Clients.RUN + "-pattern";
        Clients.fill(first, 10);
        try (var consumer = Clients.consumer(group, NEW_PROTOCOL)) {
            consumer.subscribe(new SubscriptionPattern(first.substring(0, first.length() - 1) + "."));
            Clients.expect(10, Clients.poll(consumer, 10).size());
            String second = Clients.create("pattern-b", 1, Map.of());
            Clients.fill(second, 5);
            Clients.expect(5, Clients.poll(consumer, 5).size());
            consumer.commitSync();
        }
        var committed = Clients.get(Clients.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        Clients.expect(10L, committed.get(new TopicPartition(first, 0)).offset());
    }

    static void migration() throws Exception {
        String topic = Clients.create("migration", 4, Map.of());
        String group = Clients.RUN + "-migration";
        Map<String, String> old = Map.of("partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        var first = Clients.consumer(group, old);
        var second = Clients.consumer(group, old);
        KafkaConsumer<String, String> third = null;
        try {
            first.subscribe(List.of(topic));
            second.subscribe(List.of(topic));
            Clients.assigned(2, first, second);
            second.close(Duration.ofSeconds(10));
            second = Clients.consumer(group, NEW_PROTOCOL);
            second.subscribe(List.of(topic));
            Clients.assigned(2, first, second);
            Clients.expect("Consumer", Clients.get(Clients.admin.describeConsumerGroups(List.of(group)).all()).get(group).type().toString());
            first.close(Duration.ofSeconds(10));
            Clients.assigned(4, second);
            third = Clients.consumer(group, old);
            third.subscribe(List.of(topic));
            Clients.assigned(2, second, third);
            second.close(Duration.ofSeconds(10));
            Clients.assigned(4, third);
            Clients.expect("Classic", Clients.get(Clients.admin.describeConsumerGroups(List.of(group)).all()).get(group).type().toString());
        } finally {
            first.close(Duration.ofSeconds(10));
            second.close(Duration.ofSeconds(10));
            if (third != null) {
                third.close(Duration.ofSeconds(10));
            }
        }
    }
}
