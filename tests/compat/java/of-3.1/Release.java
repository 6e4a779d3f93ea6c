import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.KafkaFuture;

/** What clients of 3.1 and later have, for those to whom the older way is gone. */
final class Release {
    static final Optional<OffsetSpec> MAX_TIMESTAMP = Optional.of(OffsetSpec.maxTimestamp());

    static KafkaFuture<Map<String, TopicDescription>> describe(Admin admin, String topic) {
        return admin.describeTopics(List.of(topic)).allTopicNames();
    }
}
