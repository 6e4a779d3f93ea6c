import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.protocol.ApiKeys;

/**
 * A story told to both clusters, once for every version of its subject that both serve. The file:
 * <pre>
 * == NAME API               starts a scenario; API is its subject, `-` for none (then it runs once)
 * topic NAME 0:1,2 1:2,3    a topic with these replicas, known to all brokers
 * NODE API[@V] BODY [WORD..]   a request; $v is the subject's version, $x what `let x=PATH` took from an earlier answer
 * await NODE [WORD..]       the answer to what was sent there `async`
 * </pre>
 * The client id is `differ-$v`.
 * NODE: a broker's number, `leader(TOPIC,PARTITION)`, `coordinator(GROUP)` or `controller`, with `#x` for a connection of its own.
 * WORD: `quiet` (not compared), `async`, `silent` (has no answer), `let x=PATH`, `until PATH=VALUE` (sent again until then),
 * `vary` (sent as it is and once with each of its fields at an edge), `leave PATH` (but not with this one).
 */
record Scenario(String name, ApiKeys subject, List<Step> steps) {
    record Step(int line, String node, ApiKeys api, short version, String body, List<String> words, boolean awaits) {
        boolean has(String word) {
            return words.contains(word);
        }

        String value(String word) {
            return values(word).stream().findFirst().orElse(null);
        }

        List<String> values(String word) {
            List<String> values = new ArrayList<>();
            for (int i = 0; i + 1 < words.size(); i++) {
                if (words.get(i).equals(word)) {
                    values.add(words.get(i + 1));
                }
            }
            return values;
        }
    }

    static List<Scenario> read(Path file) throws IOException {
        List<Scenario> scenarios = new ArrayList<>();
        int number = 0;
        for (String line : Files.readAllLines(file)) {
            number++;
            if (line.isBlank() || line.startsWith("# ")) {
                continue;
            }
            try {
                String[] words = line.trim().split(" +");
                if (words[0].equals("==")) {
                    scenarios.add(new Scenario(words[1], words[2].equals("-") ? null : api(words[2]), new ArrayList<>()));
                } else if (words[0].equals("topic")) {
                    topic(number, words, scenarios.get(scenarios.size() - 1).steps());
                } else {
                    scenarios.get(scenarios.size() - 1).steps().add(step(number, line.trim()));
                }
            } catch (RuntimeException wrong) {
                throw new IllegalArgumentException(file + ":" + number + ": " + wrong.getMessage(), wrong);
            }
        }
        return scenarios;
    }

    private static Step step(int number, String line) {
        if (line.startsWith("await ")) {
            List<String> words = List.of(line.split(" +"));
            return new Step(number, words.get(1), null, (short) -1, null, words.subList(2, words.size()), true);
        }
        int open = line.indexOf('{');
        int close = line.lastIndexOf('}');
        String[] head = line.substring(0, open).trim().split(" +");
        String[] call = head[1].split("@");
        String tail = line.substring(close + 1).trim();
        return new Step(number, head[0], api(call[0]), call.length > 1 ? Short.parseShort(call[1]) : -1,
            line.substring(open, close + 1), tail.isEmpty() ? List.of() : List.of(tail.split(" +")), false);
    }

    private static void topic(int number, String[] words, List<Step> steps) {
        List<String> partitions = new ArrayList<>();
        for (int i = 2; i < words.length; i++) {
            String[] parts = words[i].split(":");
            partitions.add("{partition_index:" + parts[0] + ",broker_ids:[" + parts[1] + "]}");
        }
        steps.add(step(number, "1 CreateTopics@7 {topics:[{name:\"" + words[1] + "\",num_partitions:-1,replication_factor:-1,assignments:["
            + String.join(",", partitions) + "]}],timeout_ms:30000} quiet until topics.0.error_code=0"));
        for (int node = 1; node <= 3; node++) {
            for (int i = 2; i < words.length; i++) {
                // Led by the first replica, which is what every scenario counts on.
                steps.add(step(number, node + " Metadata@9 {topics:[{name:\"" + words[1] + "\"}]} quiet until topics.0.partitions." + (i - 2)
                    + ".error_code=0"));
            }
        }
    }

    static ApiKeys api(String name) {
        for (ApiKeys api : ApiKeys.values()) {
            if (api.messageType.name().replace("_", "").equalsIgnoreCase(name)) {
                return api;
            }
        }
        throw new IllegalArgumentException("no API " + name);
    }
}
