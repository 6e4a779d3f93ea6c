import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import org.apache.kafka.common.protocol.ApiKeys;

/**
 * `Differ KAFKA KLAMM DIFFERENCES SCENARIOS..`: tells both clusters the same stories and compares the answers, field by field.
 * A story with a difference that isn't listed is told a second time, under other names. The difference is Apache Kafka's own, and no
 * failure, if Klamm answers both times alike and Kafka the second time as Klamm does; else it stands.
 */
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
        new Differ(kafka, klamm, known).tell(args);
    }

    private final Side kafka;
    private final Side klamm;
    private final List<Known> known;
    private final Map<ApiKeys, Short> common = new HashMap<>();
    private final ExecutorService both = Executors.newFixedThreadPool(2);
    /** Differences, and where they were met. */
    private final Map<Difference, Set<String>> found = new LinkedHashMap<>();
    private int answers = 0;
    private int runs = 0;
    private int broken = 0;
    private int unsteady = 0;

    private Differ(Side kafka, Side klamm, List<Known> known) {
        this.kafka = kafka;
        this.klamm = klamm;
        this.known = known;
        kafka.versions.forEach((api, range) -> {
            if (klamm.versions.containsKey(api)) {
                common.put(api, (short) Math.min(range[1], klamm.versions.get(api)[1]));
            }
        });
    }

    /** What both answered to one telling of a story. */
    private record Telling(List<Side.Answer> kafka, List<Side.Answer> klamm) { }

    /** Where: `SCENARIO API PATH`. */
    private record Difference(String where, String kafka, String klamm) { }

    private void tell(String[] args) throws Exception {
        kafka.makeOffsetsTopic();
        klamm.makeOffsetsTopic();
        String only = System.getProperty("only", "");
        for (int file = 3; file < args.length; file++) {
            for (Scenario scenario : Scenario.read(Path.of(args[file]))) {
                if (scenario.name().startsWith(only)) {
                    tell(scenario);
                }
            }
        }
        both.shutdown();
        report(only.isEmpty());
    }

    private void tell(Scenario scenario) throws Exception {
        ApiKeys subject = scenario.subject();
        if (subject != null && !common.containsKey(subject)) {
            System.out.println("FAIL " + scenario.name() + ": " + subject + " isn't served by both");
            broken++;
            return;
        }
        // Produce is listed from 0 for the sake of old clients, and served from 3.
        int first = subject == null ? 0 : Math.max(Math.max(kafka.versions.get(subject)[0], klamm.versions.get(subject)[0]),
            subject.oldestVersion());
        int last = subject == null ? 0 : common.get(subject);
        for (int version = first; version <= last; version++) {
            runs++;
            Telling told = telling(scenario, (short) version, "v" + version);
            if (told == null) {
                broken++;
                continue;
            }
            answers += told.kafka().size();
            Map<Difference, Set<String>> differences = compare(scenario, version, told.kafka(), told.klamm());
            if (hasUnlisted(differences)) {
                Telling again = telling(scenario, (short) version, "v" + version + "again");
                if (again != null && isOfKafkaAlone(scenario, version, told, again)) {
                    unsteady++;
                    differences = compare(scenario, version, again.kafka(), again.klamm());
                }
            }
            differences.forEach((difference, places) -> found.computeIfAbsent(difference, none -> new LinkedHashSet<>()).addAll(places));
        }
    }

    /** Nothing where one of the two got stuck. */
    private Telling telling(Scenario scenario, short version, String called) throws Exception {
        Future<List<Side.Answer>> left = both.submit(() -> kafka.run(scenario, version, called, common));
        Future<List<Side.Answer>> right = both.submit(() -> klamm.run(scenario, version, called, common));
        try {
            return new Telling(left.get(), right.get());
        } catch (ExecutionException failed) {
            System.out.println("FAIL " + scenario.name() + ": " + failed.getCause().getMessage());
            if (!(failed.getCause() instanceof IllegalStateException)) {
                failed.printStackTrace(System.out);
            }
            kafka.close();
            klamm.close();
            return null;
        }
    }

    private boolean isOfKafkaAlone(Scenario scenario, int version, Telling told, Telling again) {
        if (!compare(scenario, version, told.klamm(), again.klamm()).isEmpty()
            || hasUnlisted(compare(scenario, version, again.kafka(), again.klamm()))) {
            return false;
        }
        compare(scenario, version, told.kafka(), again.kafka()).keySet().forEach(difference -> System.out.println("UNSTEADY "
            + difference.where() + " at " + version + "\n     Apache Kafka, first:  " + difference.kafka()
            + "\n     Apache Kafka, second: " + difference.klamm()));
        return true;
    }

    private Known listed(Difference difference) {
        return known.stream().filter(entry -> entry.pattern.matcher(difference.where()).matches()).findFirst().orElse(null);
    }

    private boolean hasUnlisted(Map<Difference, Set<String>> differences) {
        return differences.keySet().stream().anyMatch(difference -> listed(difference) == null);
    }

    private void report(boolean all) {
        int unlisted = 0;
        for (Map.Entry<Difference, Set<String>> entry : found.entrySet()) {
            Difference difference = entry.getKey();
            Known reason = listed(difference);
            if (reason == null) {
                unlisted++;
                System.out.println("DIFF " + difference.where() + " (" + String.join("; ", entry.getValue()) + ")\n     Apache Kafka: "
                    + difference.kafka() + "\n     Klamm:        " + difference.klamm());
            } else {
                reason.met++;
            }
        }
        if (all) {
            for (Known entry : known) {
                if (entry.met == 0 && !entry.may) {
                    unlisted++;
                    System.out.println("DIFF listed, but not met any more: " + entry.line);
                }
            }
        }
        System.out.println(answers + " answers of " + runs + " runs of scenarios: " + found.size() + " differences, " + unlisted
            + " of them not listed; " + unsteady + " runs in which Kafka was unsteady; " + broken + " broken off");
        System.out.println((answers - Math.min(answers, unlisted)) + " passed, " + (unlisted + broken) + " failed");
        System.exit(unlisted == 0 && broken == 0 && answers > 0 ? 0 : 1);
    }

    private static Map<Difference, Set<String>> compare(Scenario scenario, int version, List<Side.Answer> kafka, List<Side.Answer> klamm) {
        Map<Difference, Set<String>> found = new LinkedHashMap<>();
        for (int i = 0; i < kafka.size(); i++) {
            List<Tree.Difference> differences = new ArrayList<>();
            Tree.compare("", kafka.get(i).tree(), klamm.get(i).tree(), differences);
            for (Tree.Difference difference : differences) {
                String[] step = kafka.get(i).step().split(" ", 2);
                String path = difference.path().isEmpty() ? "all" : difference.path().replace(" ", "_");
                Difference where = new Difference(scenario.name() + " " + step[0] + " " + path, String.valueOf(difference.kafka()),
                    String.valueOf(difference.klamm()));
                found.computeIfAbsent(where, none -> new LinkedHashSet<>()).add(step[1] + " at " + version);
            }
        }
        return found;
    }
}
