import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;

/** `Ready SERVERS`: waits until all of the named brokers know each other; two minutes at most. */
public final class Ready {
    public static void main(String[] args) throws Exception {
        long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
        for (String server : args[0].split(",")) {
            while (!knowsAll(server, args[0].split(",").length)) {
                if (System.nanoTime() > end) {
                    throw new IllegalStateException(server + " doesn't know all brokers");
                }
            }
        }
    }

    private static boolean knowsAll(String server, int count) {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", List.of(server), "default.api.timeout.ms", "5000",
            "request.timeout.ms", "2000"))) {
            return admin.describeCluster().nodes().get(5, TimeUnit.SECONDS).size() == count;
        } catch (Exception notYet) {
            return false;
        }
    }
}
