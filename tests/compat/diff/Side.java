import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.protocol.ApiKeys;

/** One of the two clusters, and the part of a scenario that it has been put through. */
final class Side {
    private static final Pattern UUID = Pattern.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=^uuid:).{22}$");
    private static final long PATIENCE_NS = 30_000_000_000L;
    /** What changes the cluster's metadata. */
    private static final Set<ApiKeys> CHANGES = Set.of(ApiKeys.CREATE_TOPICS, ApiKeys.DELETE_TOPICS, ApiKeys.CREATE_PARTITIONS,
        ApiKeys.ALTER_CONFIGS, ApiKeys.INCREMENTAL_ALTER_CONFIGS, ApiKeys.ALTER_CLIENT_QUOTAS, ApiKeys.UPDATE_FEATURES,
        ApiKeys.ALTER_PARTITION_REASSIGNMENTS, ApiKeys.ELECT_LEADERS);

    final String name;
    private final String[] bootstrap;
    final Map<Integer, String> nodes = new HashMap<>();
    final Map<ApiKeys, short[]> versions = new HashMap<>();
    private final Map<String, Node> connections = new HashMap<>();
    private Map<String, String> variables = new HashMap<>();
    private String subject = "";
    private Map<String, String> uuids = new LinkedHashMap<>();
    private Map<String, Object> waiting = new HashMap<>();
    private final Map<Integer, Node> settling = new HashMap<>();
    private int settled = 0;

    /** What a step was answered with, in words both sides share. */
    record Answer(String step, Object tree) { }

    Side(String name, String bootstrap) throws IOException {
        this.name = name;
        this.bootstrap = bootstrap.split(",");
        try (Node node = connect(this.bootstrap[0])) {
            Object answer = node.call(ApiKeys.API_VERSIONS, (short) 3, Tree.parse("{client_software_name:differ,client_software_version:1}"));
            for (Object key : (List<?>) Tree.at(answer, "api_keys")) {
                Map<String, Object> api = Tree.map(key);
                int id = ((Long) api.get("api_key")).intValue();
                if (ApiKeys.hasId(id)) {
                    versions.put(ApiKeys.forId(id), new short[] {
                        ((Long) api.get("min_version")).shortValue(), ((Long) api.get("max_version")).shortValue()});
                }
            }
            for (Object broker : (List<?>) Tree.at(node.call(ApiKeys.METADATA, (short) 9, Tree.parse("{topics:null}")), "brokers")) {
                Map<String, Object> fields = Tree.map(broker);
                nodes.put(((Long) fields.get("node_id")).intValue(), fields.get("host") + ":" + fields.get("port"));
            }
        }
    }

    /** The coordinators' topic, the same on both sides, so that both find the same coordinators. */
    void makeOffsetsTopic() throws IOException {
        StringBuilder assignments = new StringBuilder();
        for (int partition = 0; partition < 50; partition++) {
            int first = partition % 3;
            assignments.append("{partition_index:").append(partition).append(",broker_ids:[").append(first + 1).append(",")
                .append((first + 1) % 3 + 1).append(",").append((first + 2) % 3 + 1).append("]},");
        }
        try (Node node = connect(bootstrap[0])) {
            Object answer = node.call(ApiKeys.CREATE_TOPICS, (short) 7, Tree.parse("{topics:[{name:__consumer_offsets,num_partitions:-1,"
                + "replication_factor:-1,assignments:[" + assignments + "],configs:[{name:cleanup.policy,value:compact},"
                + "{name:compression.type,value:producer},{name:segment.bytes,value:\"104857600\"}]}],timeout_ms:30000}"));
            Object error = Tree.at(answer, "topics.0.error_code");
            if (!Long.valueOf(0).equals(error) && !Long.valueOf(36).equals(error)) {
                throw new IllegalStateException(name + " doesn't make its offsets topic: " + Tree.show(answer));
            }
        }
    }

    private static Node connect(String address) throws IOException {
        return connect(address, "differ");
    }

    private static Node connect(String address, String clientId) throws IOException {
        int colon = address.lastIndexOf(':');
        return new Node(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)), clientId);
    }

    /** Runs the scenario with its subject at `version`, called `called` in names; `common` is the newest version that both serve. */
    List<Answer> run(Scenario scenario, short version, String called, Map<ApiKeys, Short> common) throws Exception {
        variables = new HashMap<>(Map.of("v", called));
        subject = called;
        uuids = new LinkedHashMap<>();
        waiting = new HashMap<>();
        List<Answer> answers = new ArrayList<>();
        for (Scenario.Step step : scenario.steps()) {
            try {
                step(scenario, step, version, common, answers);
                if (!step.awaits() && CHANGES.contains(step.api()) && !step.has("async") && !step.has("silent")) {
                    settle();
                }
            } catch (Exception failed) {
                throw new IllegalStateException(name + ", line " + step.line() + ", version " + version + ": " + failed.getMessage(), failed);
            }
        }
        close();
        return answers;
    }

    private void step(Scenario scenario, Scenario.Step step, short version, Map<ApiKeys, Short> common, List<Answer> answers)
        throws IOException {
        if (step.awaits()) {
            Object[] sent = (Object[]) waiting.remove(step.node());
            Object answer = connections.get(step.node()).receive((ApiKeys) sent[0], (Short) sent[1]);
            remember(step, answer);
            answers.add(new Answer(sent[0] + " line " + step.line(), normal("", answer)));
            return;
        }
        ApiKeys api = step.api();
        short served = step.version() >= 0 ? step.version() : api == scenario.subject() ? version : common.get(api);
        Object body = Tree.parse(fill(step.body()));
        String connection = fill(step.node());
        long end = System.nanoTime() + PATIENCE_NS;
        while (true) {
            Node node = connection(connection);
            if (step.has("async")) {
                node.send(api, served, body);
                waiting.put(step.node(), new Object[] {api, served});
                connections.put(step.node(), node);
                return;
            }
            if (step.has("silent")) {
                node.send(api, served, body);
                return;
            }
            if (step.has("vary")) {
                vary(step, api, served, body, answers);
                return;
            }
            Object answer = node.call(api, served, body);
            if (answer instanceof String) {
                connections.remove(connection);
            }
            String until = step.value("until");
            if (until == null || String.valueOf(Tree.at(answer, until.split("=")[0])).equals(until.split("=", 2)[1])) {
                remember(step, answer);
                if (!step.has("quiet")) {
                    answers.add(new Answer(api + " line " + step.line(), normal("", answer)));
                }
                return;
            }
            if (System.nanoTime() > end) {
                throw new IllegalStateException("never " + until + ", but " + Tree.show(answer));
            }
            java.util.concurrent.locks.LockSupport.parkNanos(50_000_000);
        }
    }

    /**
     * Waits until every broker has applied all that was changed so far, to its partitions, coordinators and quotas as well. Kafka's
     * brokers show a change in Metadata first and apply it then, one image after the other: whoever shows a second change that was
     * made when the first was shown everywhere has applied what came before both.
     */
    private void settle() throws IOException {
        for (int change = 0; change < 2; change++) {
            String value = String.valueOf(600_000_000 + ++settled);
            await(1, ApiKeys.INCREMENTAL_ALTER_CONFIGS, "{resources:[{resource_type:2,resource_name:__consumer_offsets,"
                + "configs:[{name:retention.ms,config_operation:0,value:\"" + value + "\"}]}]}", "responses.0.error_code", "0");
            for (int node : nodes.keySet()) {
                await(node, ApiKeys.DESCRIBE_CONFIGS, "{resources:[{resource_type:2,resource_name:__consumer_offsets,"
                    + "configuration_keys:[retention.ms]}]}", "results.0.configs.0.value", value);
            }
        }
    }

    private void await(int broker, ApiKeys api, String body, String path, String value) throws IOException {
        long end = System.nanoTime() + PATIENCE_NS;
        while (true) {
            Node node = settling.get(broker);
            if (node == null) {
                node = connect(nodes.get(broker));
                settling.put(broker, node);
            }
            Object answer = node.call(api, (short) 1, Tree.parse(body));
            if (answer instanceof String) {
                settling.remove(broker).close();
            }
            if (value.equals(String.valueOf(Tree.at(answer, path)))) {
                return;
            }
            if (System.nanoTime() > end) {
                throw new IllegalStateException("never settled: " + Tree.show(answer));
            }
            java.util.concurrent.locks.LockSupport.parkNanos(2_000_000);
        }
    }

    private void vary(Scenario.Step step, ApiKeys api, short served, Object body, List<Answer> answers) throws IOException {
        for (Variants.Variant variant : Variants.of(api.messageType.requestSchemas()[served], body, Set.copyOf(step.values("leave")))) {
            String connection = fill(step.node());
            Object answer = connection(connection).call(api, served, variant.body());
            if (answer instanceof String) {
                connections.remove(connection).close();
            }
            answers.add(new Answer(api + " line " + step.line() + " with " + variant.what(), normal("", answer)));
        }
    }

    private void remember(Scenario.Step step, Object answer) {
        for (String let : step.values("let")) {
            Object value = Tree.at(answer, let.split("=")[1]);
            variables.put(let.split("=")[0], String.valueOf(value).replaceFirst("^uuid:", ""));
        }
    }

    private String fill(String text) {
        Matcher names = Pattern.compile("\\$([a-z]+)").matcher(text);
        return names.replaceAll(name -> {
            String value = variables.get(name.group(1));
            if (value == null) {
                throw new IllegalArgumentException("no variable " + name.group(1));
            }
            return Matcher.quoteReplacement(value);
        });
    }

    /** `2` is a broker, `leader(t,0)` and `coordinator(g)` too; what follows `#` tells connections to the same one apart. */
    private Node connection(String node) throws IOException {
        Node open = connections.get(node);
        if (open == null) {
            String where = node.replaceFirst("#.*", "");
            int id;
            if (where.startsWith("coordinator(")) {
                id = coordinator(where.substring(12, where.length() - 1));
            } else if (where.startsWith("leader(")) {
                String[] partition = where.substring(7, where.length() - 1).split(",");
                id = leader(partition[0], Long.parseLong(partition[1]));
            } else if (where.equals("controller")) {
                id = controller();
            } else {
                id = Integer.parseInt(where);
            }
            open = connect(nodes.get(id), "differ-" + subject);
            connections.put(node, open);
        }
        return open;
    }

    private int coordinator(String group) throws IOException {
        for (int attempt = 0; attempt < 300; attempt++) {
            try (Node node = connect(bootstrap[0])) {
                Object answer = node.call(ApiKeys.FIND_COORDINATOR, (short) 4,
                    Tree.parse("{key_type:0,coordinator_keys:[\"" + group + "\"]}"));
                if (Long.valueOf(0).equals(Tree.at(answer, "coordinators.0.error_code"))) {
                    int id = ((Long) Tree.at(answer, "coordinators.0.node_id")).intValue();
                    try (Node coordinator = connect(nodes.get(id))) {
                        Object described = coordinator.call(ApiKeys.OFFSET_FETCH, (short) 8,
                            Tree.parse("{groups:[{group_id:\"" + group + "\",topics:null}]}"));
                        if (Long.valueOf(0).equals(Tree.at(described, "groups.0.error_code"))) {
                            return id;
                        }
                    }
                }
            }
            java.util.concurrent.locks.LockSupport.parkNanos(100_000_000);
        }
        throw new IllegalStateException("no coordinator of " + group);
    }

    private int leader(String topic, long partition) throws IOException {
        try (Node node = connect(bootstrap[0])) {
            Object answer = node.call(ApiKeys.METADATA, (short) 9, Tree.parse("{topics:[{name:\"" + topic + "\"}]}"));
            for (Object item : (List<?>) Tree.at(answer, "topics.0.partitions")) {
                if (Long.valueOf(partition).equals(Tree.map(item).get("partition_index"))) {
                    return ((Long) Tree.map(item).get("leader_id")).intValue();
                }
            }
        }
        throw new IllegalStateException("no leader of " + topic + "-" + partition);
    }

    private int controller() throws IOException {
        try (Node node = connect(bootstrap[0])) {
            Object answer = node.call(ApiKeys.DESCRIBE_QUORUM, (short) 1,
                Tree.parse("{topics:[{topic_name:__cluster_metadata,partitions:[{partition_index:0}]}]}"));
            return ((Long) Tree.at(answer, "topics.0.partitions.0.leader_id")).intValue();
        }
    }

    /** Ids, addresses and times become the same words on both sides. */
    private Object normal(String field, Object value) {
        if (value instanceof Map) {
            Map<String, Object> fields = new LinkedHashMap<>();
            Tree.map(value).forEach((name, item) -> fields.put(name, normal(name, item)));
            if (fields.containsKey("current_voters")) {
                // Which voter leads the quorum, and after how many elections, is chance.
                fields.computeIfPresent("leader_id", (name, id) -> nodes.containsKey(((Long) id).intValue()) ? "<voter>" : id);
                fields.computeIfPresent("leader_epoch", (name, epoch) -> (Long) epoch > 0 ? "<epoch>" : epoch);
            }
            return fields;
        }
        if (value instanceof List) {
            List<Object> items = new ArrayList<>(((List<?>) value).stream().sorted((a, b) ->
                a instanceof Map && b instanceof Map ? shape(a).compareTo(shape(b)) : 0).toList());
            items.replaceAll(item -> normal(field, item));
            return items;
        }
        if (value instanceof String) {
            if (field.equals("cluster_id")) {
                return "<cluster>";
            }
            String words = UUID.matcher((String) value).replaceAll(id ->
                id.group().startsWith("AAAAAAAAAAAAAAAAAAAAA") ? id.group() : uuids.computeIfAbsent(id.group(), known -> "<id" + uuids.size() + ">"));
            return words.replaceAll(subject + "\\b", "v").replaceAll("/[^ ,]*/[^ ,]*", "<path>").replaceAll("127.0.0.1:\\d+", "<address>")
                .replaceAll("\\b[12]\\d{12}\\b", "<time>");
        }
        if (value instanceof Long) {
            long number = (Long) value;
            if (field.equals("usable_bytes") || field.equals("total_bytes")) {
                return number > 0 ? "<bytes>" : number;
            }
            if (field.equals("producer_id") && number >= 0 && number < 1_000_000 && !subject.equals("")) {
                return "<producer>";
            }
            if (field.equals("throttle_time_ms") && number > 0) {
                return "<wait>";
            }
            if (field.equals("port")) {
                return "<port>";
            }
            if (field.equals("controller_id") && number >= 0) {
                return "<controller>";
            }
            if (number > 1_000_000_000_000L && number < 2_500_000_000_000L && !(number >= 1_700_000_000_000L && number < 1_700_000_100_000L)) {
                return "<time>";
            }
        }
        return value;
    }

    private static String shape(Object item) {
        return UUID.matcher(Tree.show(item)).replaceAll("");
    }

    void close() throws IOException {
        for (Node node : connections.values()) {
            node.close();
        }
        connections.clear();
    }
}
