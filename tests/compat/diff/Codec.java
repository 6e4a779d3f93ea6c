import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;

/**
 * Trees to bytes and back by Kafka's own schemas, one version at a time. A field that the version lacks is left out, one
 * that the tree lacks is null, zero or empty: unlike Kafka's message classes, which refuse both.
 */
final class Codec {
    private Codec() { }

    /** @param known gets the names of `tree`'s fields that the schema has: a name unknown to every version is a typing error. */
    static Struct struct(Schema schema, Object tree, Set<String> known) {
        Struct struct = new Struct(schema);
        Map<String, Object> fields = tree == null ? new HashMap<>() : Tree.map(tree);
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields) {
                struct.set(field, tagged((TaggedFields) field.def.type, fields, known));
            } else {
                if (fields.containsKey(field.def.name)) {
                    known.add(field.def.name);
                }
                struct.set(field, wire(field.def.type, fields.get(field.def.name), known));
            }
        }
        return struct;
    }

    private static NavigableMap<Integer, Object> tagged(TaggedFields type, Map<String, Object> fields, Set<String> known) {
        NavigableMap<Integer, Object> values = new TreeMap<>();
        type.fields().forEach((tag, field) -> {
            if (fields.containsKey(field.name)) {
                known.add(field.name);
                values.put(tag, wire(field.type, fields.get(field.name), known));
            }
        });
        return values;
    }

    private static Object wire(Type type, Object value, Set<String> known) {
        if (type instanceof Schema) {
            return value == null && type.isNullable() ? null : struct((Schema) type, value, known);
        }
        if (type.isArray()) {
            if (value == null) {
                return type.isNullable() ? null : new Object[0];
            }
            return ((List<?>) value).stream().map(item -> wire(type.arrayElementType().get(), item, known)).toArray();
        }
        String name = type.toString();
        if (name.endsWith("RECORDS")) {
            return value == null ? null : records(Tree.map(value));
        }
        if (value == null && type.isNullable()) {
            return null;
        }
        long number = value instanceof Long ? (Long) value : 0;
        switch (name) {
            case "BOOLEAN":
                return Boolean.TRUE.equals(value);
            case "INT8":
                return (byte) number;
            case "INT16":
                return (short) number;
            case "UINT16":
            case "INT32":
                return (int) number;
            case "UNSIGNED_INT32":
            case "INT64":
                return number;
            case "FLOAT64":
                return value == null ? 0.0 : ((Number) value).doubleValue();
            case "UUID":
                return value == null ? Uuid.ZERO_UUID : Uuid.fromString(value.toString());
            default:
                String text = value == null ? "" : value.toString();
                return name.endsWith("STRING") ? text : bytes(text);
        }
    }

    /** `subscription(a;b)` is a classic consumer's metadata; anything else its own letters. */
    private static ByteBuffer bytes(String text) {
        if (text.startsWith("subscription(")) {
            List<String> topics = List.of(text.substring(13, text.length() - 1).split(";"));
            return org.apache.kafka.clients.consumer.internals.ConsumerProtocol.serializeSubscription(
                new org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription(topics));
        }
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    }

    /** `{values:[a, b], codec:gzip, pid:5, epoch:0, sequence:0, magic:2, break:crc}`: one batch. */
    private static MemoryRecords records(Map<String, Object> tree) {
        List<SimpleRecord> records = new ArrayList<>();
        long time = (Long) tree.getOrDefault("time", 1_700_000_000_000L);
        for (Object value : (List<?>) tree.get("values")) {
            byte[] key = Boolean.FALSE.equals(tree.get("keys")) ? null : ("k" + value).getBytes(StandardCharsets.UTF_8);
            records.add(new SimpleRecord(time++, key, value == null ? null : value.toString().getBytes(StandardCharsets.UTF_8)));
        }
        byte magic = ((Long) tree.getOrDefault("magic", 2L)).byteValue();
        Compression codec = Compression.of(tree.getOrDefault("codec", "none").toString()).build();
        MemoryRecords batch = tree.containsKey("pid")
            ? MemoryRecords.withIdempotentRecords(magic, 0L, codec, Long.parseLong(tree.get("pid").toString()),
                ((Long) tree.getOrDefault("epoch", 0L)).shortValue(), ((Long) tree.getOrDefault("sequence", 0L)).intValue(), -1,
                records.toArray(new SimpleRecord[0]))
            : MemoryRecords.withRecords(magic, 0L, codec, TimestampType.CREATE_TIME, records.toArray(new SimpleRecord[0]));
        ByteBuffer bytes = batch.buffer();
        switch (tree.getOrDefault("break", "").toString()) {
            case "crc":
                bytes.put(bytes.limit() - 1, (byte) (bytes.get(bytes.limit() - 1) ^ 1));
                break;
            case "magic":
                bytes.put(16, (byte) 9);
                break;
            case "short":
                bytes.limit(bytes.limit() - 3);
                break;
            case "twice":
                ByteBuffer two = ByteBuffer.allocate(2 * bytes.limit());
                two.put(bytes.duplicate()).put(bytes.duplicate()).flip();
                bytes = two;
                break;
            default:
        }
        return MemoryRecords.readableRecords(bytes);
    }

    static Object tree(Object value) {
        if (value instanceof Struct) {
            Struct struct = (Struct) value;
            Map<String, Object> fields = new LinkedHashMap<>();
            for (BoundField field : struct.schema().fields()) {
                if (field.def.type instanceof TaggedFields) {
                    Map<Integer, Field> names = ((TaggedFields) field.def.type).fields();
                    Tree.map(fields);
                    ((Map<?, ?>) struct.get(field)).forEach((tag, item) ->
                        fields.put(names.containsKey(tag) ? names.get(tag).name : "tag" + tag, tree(item)));
                } else {
                    fields.put(field.def.name, tree(struct.get(field)));
                }
            }
            return fields;
        }
        if (value instanceof Object[]) {
            List<Object> items = new ArrayList<>();
            for (Object item : (Object[]) value) {
                items.add(tree(item));
            }
            return items;
        }
        if (value instanceof MemoryRecords) {
            return batches((MemoryRecords) value);
        }
        if (value instanceof ByteBuffer) {
            return StandardCharsets.ISO_8859_1.decode(((ByteBuffer) value).duplicate()).toString();
        }
        if (value instanceof RawTaggedField) {
            return "raw";
        }
        if (value instanceof Number && !(value instanceof Double)) {
            return ((Number) value).longValue();
        }
        return value instanceof Uuid ? "uuid:" + value : value;
    }

    private static Object batches(MemoryRecords records) {
        List<Object> batches = new ArrayList<>();
        for (RecordBatch batch : records.batches()) {
            Map<String, Object> shown = new LinkedHashMap<>();
            shown.put("base_offset", batch.baseOffset());
            shown.put("last_offset", batch.lastOffset());
            shown.put("magic", (long) batch.magic());
            shown.put("codec", batch.compressionType().toString());
            shown.put("timestamp_type", batch.timestampType().toString());
            shown.put("max_timestamp", batch.maxTimestamp());
            shown.put("leader_epoch", (long) batch.partitionLeaderEpoch());
            shown.put("producer", batch.producerId() + "/" + batch.producerEpoch() + "/" + batch.baseSequence());
            batches.add(shown);
        }
        return batches;
    }

    /** Every field name that any version of these schemas has. */
    static Set<String> names(Schema[] versions) {
        Set<String> names = new TreeSet<>();
        for (Schema schema : versions) {
            if (schema != null) {
                collect(schema, names);
            }
        }
        return names;
    }

    private static void collect(Type type, Set<String> names) {
        if (type instanceof Schema) {
            for (BoundField field : ((Schema) type).fields()) {
                names.add(field.def.name);
                collect(field.def.type, names);
            }
        } else if (type instanceof TaggedFields) {
            ((TaggedFields) type).fields().values().forEach(field -> {
                names.add(field.name);
                collect(field.type, names);
            });
        } else if (type.isArray()) {
            collect(type.arrayElementType().get(), names);
        }
    }
}
