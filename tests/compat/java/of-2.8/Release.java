import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.KafkaFuture;

/** The same of clients before 3.1. */
final class Release {
    static final Optional<OffsetSpec> MAX_TIMESTAMP = Optional.empty();

    static KafkaFuture<Map<String, TopicDescription>> describe(Admin admin, String topic) {
        return admin.describeTopics(List.of(topic)).all();
    }
}
