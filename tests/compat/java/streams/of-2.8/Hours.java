import java.time.Duration;
import org.apache.kafka.streams.kstream.TimeWindows;

/** The same before 3.0. */
final class Hours {
    static TimeWindows of(Duration size) {
        return TimeWindows.of(size).grace(size);
    }
}
