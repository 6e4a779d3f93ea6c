import java.time.Duration;
import org.apache.kafka.streams.kstream.TimeWindows;

/** What is spelled otherwise before 3.0. */
final class Hours {
    static TimeWindows of(Duration size) {
        return TimeWindows.ofSizeAndGrace(size, size);
    }
}
