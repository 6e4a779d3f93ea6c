// Client telemetry (KIP-714), with clients of 4.x: what a client pushes is on a broker's /metrics. Prints 'ok' and 'FAIL' lines, as
// Clients does. The second argument: the brokers' metrics pages, separated by commas.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Telemetry {
    private static String[] pages;

    public static void main(String[] arguments) {
        Clients.connect(arguments[0]);
        pages = arguments[1].split(",");
        Clients.check("KIP-714: a producer's metrics are on a broker's /metrics", Telemetry::producer);
        Clients.end();
    }

    static void producer() throws Exception {
        String topic = Clients.create("telemetry", 1, Map.of());
        String client = Clients.RUN + "-telemetry";
        alter(AlterConfigOp.OpType.SET, Map.of("metrics", "org.apache.kafka.producer.", "interval.ms", "1000", "match", "client_id=" + client));
        Map<String, Object> settings = Map.of("bootstrap.servers", Clients.bootstrap, "client.id", client);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(topic, "v")).get();
            String instance = producer.clientInstanceId(Duration.ofSeconds(20)).toString();
            Clients.until("the metrics of " + instance, () -> !shown(instance).isEmpty());
            Collection<String> lines = shown(instance);
            Clients.expect(true, lines.stream().allMatch(line -> line.contains("client_id=\"" + client + "\"")
                && line.contains("client_software_name=\"apache-kafka-java\"")));
            Clients.expect(true, lines.stream().anyMatch(line -> line.startsWith("kafka_client_producer_connection_creation_total{")));
            alter(AlterConfigOp.OpType.DELETE, Map.of("metrics", "", "interval.ms", "", "match", ""));
        }
    }

    private static void alter(AlterConfigOp.OpType operation, Map<String, String> configs) throws Exception {
        List<AlterConfigOp> operations = new ArrayList<>();
        configs.forEach((key, value) -> operations.add(new AlterConfigOp(new ConfigEntry(key, value), operation)));
        var resource = new ConfigResource(ConfigResource.Type.CLIENT_METRICS, Clients.RUN);
        Clients.get(Clients.admin.incrementalAlterConfigs(Map.of(resource, operations)).all());
    }

    /** The lines of one client, of all brokers. */
    private static Collection<String> shown(String instance) throws Exception {
        List<String> lines = new ArrayList<>();
        for (String page : pages) {
            var request = HttpRequest.newBuilder(URI.create(page)).timeout(Duration.ofSeconds(10)).build();
            var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
            Clients.expect(200, answer.statusCode());
            answer.body().lines().filter(line -> line.contains(instance)).forEach(lines::add);
        }
        return lines;
    }
}
