import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** An instance of the application in a process of its own, with a state folder of its own. */
final class Instance {
    private final Process process;
    private final List<String> lines = new ArrayList<>();
    private final Thread reader;

    Instance(String servers, String application, Path folder) throws IOException {
        process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx192m",
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", System.getProperty("java.class.path"), "WordCount", servers, application, folder.toString())
            .redirectError(folder.resolveSibling(folder.getFileName() + ".log").toFile()).start();
        // However the checks end.
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
        reader = new Thread(this::read);
        reader.setDaemon(true);
        reader.start();
    }

    private void read() {
        try (var output = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
            for (String line = output.readLine(); line != null; line = output.readLine()) {
                synchronized (lines) {
                    lines.add(line);
                }
            }
        } catch (IOException gone) {
            // With the process.
        }
    }

    boolean said(String line) {
        synchronized (lines) {
            return lines.contains(line);
        }
    }

    /** The partitions of a store that came from a changelog that holds something. */
    Set<String> restored(String store) {
        synchronized (lines) {
            return lines.stream().filter(line -> line.matches("restored " + store + " [0-9]+ [1-9][0-9]*"))
                .map(line -> line.split(" ")[2]).collect(Collectors.toSet());
        }
    }

    boolean runs() {
        return process.isAlive() && !said("state ERROR");
    }

    void terminate() throws InterruptedException {
        // Process.destroy would shut its output, too.
        process.toHandle().destroy();
        if (!process.waitFor(40, TimeUnit.SECONDS)) {
            throw new AssertionError("not closed within 40 s");
        }
        reader.join();
    }

    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }
}
