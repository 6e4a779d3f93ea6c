import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import org.apache.kafka.common.protocol.ApiKeys;

/** `Differ KAFKA KLAMM DIFFERENCES SCENARIOS..`: tells both clusters the same stories and compares the answers, field by field. */
public final class Differ {
    /** Of differences.txt: `SCENARIO API PATH = reason`, with `*` for anything and `?` for a digit in the first three. */
    private static final class Known {
        private final Pattern pattern;
        private final String line;
        /** Whether it depends on who is faster. */
        private final boolean may;
        private int met = 0;

        Known(String line) {
            this.line = line;
            this.may = line.startsWith("? ");
            String[] words = line.substring(may ? 2 : 0, line.indexOf(" = ")).trim().split(" +");
            this.pattern = Pattern.compile(glob(words[0]) + " " + glob(words[1]) + " " + glob(words[2]));
        }

        private static String glob(String words) {
            return Pattern.quote(words).replace("*", "\\E.*\\Q").replace("?", "\\E\\d\\Q");
        }
    }

    public static void main(String[] args) throws Exception {
        Side kafka = new Side("Apache Kafka", args[0]);
        Side klamm = new Side("Klamm", args[1]);
        List<Known> known = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(args[2]))) {
            if (!line.isBlank() && !line.startsWith("#")) {
                known.add(new Known(line));
            }
        }
        Map<ApiKeys, Short> common = new HashMap<>();
        kafka.versions.forEach((api, range) -> {
            if (klamm.versions.containsKey(api)) {
                common.put(api, (short) Math.min(range[1], klamm.versions.get(api)[1]));
            }
        });
        kafka.makeOffsetsTopic();
        klamm.makeOffsetsTopic();
        String only = System.getProperty("only", "");
        int answers = 0;
        int scenarios = 0;
        int broken = 0;
        Map<String, Set<String>> found = new LinkedHashMap<>();
        ExecutorService both = Executors.newFixedThreadPool(2);
        for (int file = 3; file < args.length; file++) {
            for (Scenario scenario : Scenario.read(Path.of(args[file]))) {
                if (!scenario.name().startsWith(only)) {
                    continue;
                }
                ApiKeys subject = scenario.subject();
                if (subject != null && !common.containsKey(subject)) {
                    System.out.println("FAIL " + scenario.name() + ": " + subject + " isn't served by both");
                    broken++;
                    continue;
                }
                // Produce is listed from 0 for the sake of old clients, and served from 3.
                int first = subject == null ? 0 : Math.max(Math.max(kafka.versions.get(subject)[0], klamm.versions.get(subject)[0]),
                    subject.oldestVersion());
                int last = subject == null ? 0 : common.get(subject);
                for (int version = first; version <= last; version++) {
                    short at = (short) version;
                    Future<List<Side.Answer>> left = both.submit(() -> kafka.run(scenario, at, common));
                    Future<List<Side.Answer>> right = both.submit(() -> klamm.run(scenario, at, common));
                    scenarios++;
                    try {
                        answers += compare(scenario, at, left.get(), right.get(), found);
                    } catch (java.util.concurrent.ExecutionException failed) {
                        broken++;
                        System.out.println("FAIL " + scenario.name() + ": " + failed.getCause().getMessage());
                        if (!(failed.getCause() instanceof IllegalStateException)) {
                            failed.printStackTrace(System.out);
                        }
                        kafka.close();
                        klamm.close();
                    }
                }
            }
        }
        both.shutdown();
        int unlisted = 0;
        for (Map.Entry<String, Set<String>> difference : found.entrySet()) {
            String[] parts = difference.getKey().split("\n");
            Known reason = known.stream().filter(entry -> entry.pattern.matcher(parts[0]).matches()).findFirst().orElse(null);
            if (reason == null) {
                unlisted++;
                System.out.println("DIFF " + parts[0] + " (" + String.join("; ", difference.getValue()) + ")\n     Apache Kafka: " + parts[1]
                    + "\n     Klamm:        " + parts[2]);
            } else {
                reason.met++;
            }
        }
        if (only.isEmpty()) {
            for (Known entry : known) {
                if (entry.met == 0 && !entry.may) {
                    unlisted++;
                    System.out.println("DIFF listed, but not met any more: " + entry.line);
                }
            }
        }
        System.out.println(answers + " answers of " + scenarios + " runs of scenarios: " + found.size() + " differences, " + unlisted
            + " of them not listed; " + broken + " runs broken off");
        System.out.println((answers - Math.min(answers, unlisted)) + " passed, " + (unlisted + broken) + " failed");
        System.exit(unlisted == 0 && broken == 0 && answers > 0 ? 0 : 1);
    }

    private static int compare(Scenario scenario, short version, List<Side.Answer> kafka, List<Side.Answer> klamm,
        Map<String, Set<String>> found) {
        for (int i = 0; i < kafka.size(); i++) {
            List<Tree.Difference> differences = new ArrayList<>();
            Tree.compare("", kafka.get(i).tree(), klamm.get(i).tree(), differences);
            for (Tree.Difference difference : differences) {
                String[] step = kafka.get(i).step().split(" ", 2);
                String path = difference.path().isEmpty() ? "all" : difference.path().replace(" ", "_");
                String key = scenario.name() + " " + step[0] + " " + path + "\n" + difference.kafka() + "\n" + difference.klamm();
                found.computeIfAbsent(key, none -> new LinkedHashSet<>()).add(step[1] + " at " + version);
            }
        }
        return kafka.size();
    }
}
