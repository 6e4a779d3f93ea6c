import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

/** Requests made of one: each has one field at the edge of what its type can hold, or null, or is an array that is empty or names twice. */
final class Variants {
    /** What differs from the request that it was made of, and the whole. */
    record Variant(String what, Object body) { }

    private static final String LONG_TEXT = "x".repeat(300);
    private static final String SOME_ID = "AAAAAAAAAAAAAAAAAAAAAQ";
    private final List<Variant> found = new ArrayList<>();

    private final Set<String> left;

    private Variants(Set<String> left) {
        this.left = left;
    }

    /** Always the same ones in the same order: both sides make their own. What is in `left`, and every timeout, is left as it is. */
    static List<Variant> of(Schema schema, Object body, Set<String> left) {
        Variants variants = new Variants(left);
        variants.found.add(new Variant("as it is", body));
        variants.struct("", schema, Tree.map(body), changed -> changed);
        return variants.found;
    }

    /** @param whole what the request is when this struct is another one. */
    private void struct(String path, Schema schema, Map<String, Object> fields, Function<Map<String, Object>, Object> whole) {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields) {
                ((TaggedFields) field.def.type).fields().values().forEach(tagged -> field(path, tagged, fields, whole));
            } else {
                field(path, field.def, fields, whole);
            }
        }
    }

    private void field(String path, Field field, Map<String, Object> fields, Function<Map<String, Object>, Object> whole) {
        String at = path + field.name;
        Object now = fields.get(field.name);
        Function<Object, Object> with = value -> {
            Map<String, Object> changed = new LinkedHashMap<>(fields);
            changed.put(field.name, value);
            return whole.apply(changed);
        };
        Type type = field.type;
        if (type instanceof Schema) {
            if (type.isNullable()) {
                add(at, now, null, with);
            }
            if (now != null) {
                struct(at + ".", (Schema) type, Tree.map(now), with::apply);
            }
        } else if (type.isArray()) {
            array(at, type, (List<?>) now, with);
        } else {
            values(type).forEach(value -> add(at, now, value, with));
        }
    }

    private void array(String at, Type type, List<?> now, Function<Object, Object> with) {
        if (type.isNullable()) {
            add(at, now, null, with);
        }
        add(at, now, List.of(), with);
        if (now == null || now.isEmpty()) {
            return;
        }
        List<Object> twice = new ArrayList<>(now);
        twice.add(now.get(0));
        add(at, now, twice, with);
        Function<Object, Object> withFirst = first -> {
            List<Object> changed = new ArrayList<>(now);
            changed.set(0, first);
            return with.apply(changed);
        };
        Type of = type.arrayElementType().orElseThrow();
        if (of instanceof Schema) {
            struct(at + ".", (Schema) of, Tree.map(now.get(0)), withFirst::apply);
        } else {
            values(of).forEach(value -> add(at, now.get(0), value, withFirst));
        }
    }

    private void add(String at, Object now, Object value, Function<Object, Object> with) {
        if (!java.util.Objects.equals(now, value) && !left.contains(at) && !at.endsWith("timeout_ms")) {
            String shown = LONG_TEXT.equals(value) ? "long" : value instanceof List ? ((List<?>) value).size() + " items" : String.valueOf(value);
            found.add(new Variant(at + "=" + shown, with.apply(value)));
        }
    }

    private static Set<Object> values(Type type) {
        Set<Object> values = new LinkedHashSet<>();
        if (type.isNullable()) {
            values.add(null);
        }
        String name = type.toString();
        switch (name) {
            case "BOOLEAN":
                values.addAll(List.of(true, false));
                break;
            case "INT8":
                values.addAll(List.of(-1L, 0L, 1L, (long) Byte.MIN_VALUE, (long) Byte.MAX_VALUE));
                break;
            case "INT16":
                values.addAll(List.of(-1L, 0L, 1L, (long) Short.MIN_VALUE, (long) Short.MAX_VALUE));
                break;
            case "INT32":
                values.addAll(List.of(-1L, 0L, 1L, (long) Integer.MIN_VALUE, (long) Integer.MAX_VALUE));
                break;
            case "INT64":
                values.addAll(List.of(-1L, 0L, 1L, Long.MIN_VALUE, Long.MAX_VALUE));
                break;
            case "FLOAT64":
                values.addAll(List.of(-1.0, 0.0, 0.5, Double.MAX_VALUE));
                break;
            case "UUID":
                values.addAll(List.of("AAAAAAAAAAAAAAAAAAAAAA", SOME_ID));
                break;
            default:
                if (name.endsWith("STRING")) {
                    values.addAll(List.of("", "none", "bad name", LONG_TEXT));
                }
        }
        return values;
    }
}
