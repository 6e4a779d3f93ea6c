// Replicas move between the two data directories of their brokers (KIP-113) while records come. Prints 'ok' and 'FAIL' lines, as Clients does.
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.errors.LogDirNotFoundException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

public final class LogDirs {
    private static final int PARTITIONS = 2;
    private static final int ROUNDS = 3;

    public static void main(String[] arguments) {
        Clients.connect(arguments[0]);
        Clients.check("KIP-113: replicas move between the directories of their brokers while records come", LogDirs::move);
        Clients.check("KIP-113: what can't move is refused", LogDirs::refusals);
        Clients.end();
    }

    private static void move() throws Exception {
        String topic = Clients.create("log-dirs", PARTITIONS, Map.of("segment.bytes", "1048576"));
        Map<Integer, List<String>> directories = directories();
        List<TopicPartitionReplica> replicas = new ArrayList<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            for (int broker : directories.keySet()) {
                replicas.add(new TopicPartitionReplica(topic, partition, broker));
            }
        }
        int sent = 0;
        try (var producer = Clients.producer(Map.of("linger.ms", "5"))) {
            for (int round = 0; round < ROUNDS; round++) {
                Map<TopicPartitionReplica, String> places = places(replicas);
                Map<TopicPartitionReplica, String> wanted = new HashMap<>();
                for (TopicPartitionReplica replica : replicas) {
                    List<String> all = directories.get(replica.brokerId());
                    wanted.put(replica, all.get(1 - all.indexOf(places.get(replica))));
                }
                Clients.get(Clients.admin.alterReplicaLogDirs(wanted).all());
                do {
                    List<Future<RecordMetadata>> answers = new ArrayList<>();
                    for (int i = 0; i < 200; i++) {
                        answers.add(producer.send(new ProducerRecord<>(topic, i % PARTITIONS, "k", sent++ + "x".repeat(1_000))));
                    }
                    for (Future<RecordMetadata> answer : answers) {
                        answer.get(30, TimeUnit.SECONDS);
                    }
                } while (!places(replicas).equals(wanted));
            }
        }
        Clients.expect(sent, Clients.readAll(topic, PARTITIONS, sent).size());
    }

    private static void refusals() throws Exception {
        String topic = Clients.create("log-dirs-refused", 1, Map.of());
        int broker = directories().keySet().iterator().next();
        String here = directories().get(broker).get(0);
        Clients.refused(LogDirNotFoundException.class, () -> Clients.get(Clients.admin.alterReplicaLogDirs(
            Map.of(new TopicPartitionReplica(topic, 0, broker), "/nowhere")).all()));
        Clients.refused(UnknownTopicOrPartitionException.class, () -> Clients.get(Clients.admin.alterReplicaLogDirs(
            Map.of(new TopicPartitionReplica(topic, 7, broker), here)).all()));
    }

    private static Map<Integer, List<String>> directories() throws Exception {
        List<Integer> brokers = Clients.get(Clients.admin.describeCluster().nodes()).stream().map(node -> node.id()).toList();
        Map<Integer, List<String>> directories = new HashMap<>();
        Clients.get(Clients.admin.describeLogDirs(brokers).allDescriptions()).forEach((broker, described) ->
            directories.put(broker, described.keySet().stream().sorted().toList()));
        return directories;
    }

    /** Where they are, once they aren't on their way. */
    private static Map<TopicPartitionReplica, String> places(List<TopicPartitionReplica> replicas) throws Exception {
        Map<TopicPartitionReplica, String> places = new HashMap<>();
        Clients.get(Clients.admin.describeReplicaLogDirs(replicas).all()).forEach((replica, info) -> {
            if (info.getFutureReplicaLogDir() == null) {
                places.put(replica, info.getCurrentReplicaLogDir());
            }
        });
        return places;
    }
}
