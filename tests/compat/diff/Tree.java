import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Requests and answers as trees of maps, lists, strings, numbers, booleans and null: written in JSON whose names and plain
 * words need no quotes, shown the same way.
 */
final class Tree {
    private final String text;
    private int at = 0;

    private Tree(String text) {
        this.text = text;
    }

    static Object parse(String text) {
        Tree parser = new Tree(text);
        Object value = parser.value();
        parser.blanks();
        if (parser.at != text.length()) {
            throw parser.wrong("the end");
        }
        return value;
    }

    private Object value() {
        blanks();
        if (at == text.length()) {
            throw wrong("a value");
        }
        switch (text.charAt(at)) {
            case '{': {
                at++;
                Map<String, Object> fields = new LinkedHashMap<>();
                while (!taken('}')) {
                    String name = (String) word();
                    if (!taken(':')) {
                        throw wrong(":");
                    }
                    fields.put(name, value());
                    taken(',');
                }
                return fields;
            }
            case '[': {
                at++;
                List<Object> items = new ArrayList<>();
                while (!taken(']')) {
                    items.add(value());
                    taken(',');
                }
                return items;
            }
            default: {
                boolean quoted = text.charAt(at) == '"';
                Object word = word();
                return quoted ? word : plain((String) word);
            }
        }
    }

    private static Object plain(String word) {
        switch (word) {
            case "null":
                return null;
            case "true":
                return true;
            case "false":
                return false;
            default:
                return word.matches("-?\\d+") ? (Object) Long.valueOf(word)
                    : word.matches("-?\\d+\\.\\d+") ? (Object) Double.valueOf(word) : word;
        }
    }

    private Object word() {
        blanks();
        int start = at;
        if (text.charAt(at) == '"') {
            at = text.indexOf('"', at + 1) + 1;
            return text.substring(start + 1, at - 1);
        }
        while (at < text.length() && "{}[],:\" ".indexOf(text.charAt(at)) < 0) {
            at++;
        }
        if (start == at) {
            throw wrong("a word");
        }
        return text.substring(start, at);
    }

    private boolean taken(char wanted) {
        blanks();
        if (at < text.length() && text.charAt(at) == wanted) {
            at++;
            return true;
        }
        if (at == text.length()) {
            throw wrong(String.valueOf(wanted));
        }
        return false;
    }

    private void blanks() {
        while (at < text.length() && text.charAt(at) == ' ') {
            at++;
        }
    }

    private IllegalArgumentException wrong(String wanted) {
        return new IllegalArgumentException("wanted " + wanted + " at " + at + " of " + text);
    }

    /** What is at `path` (`topics.0.name`), or null. */
    static Object at(Object tree, String path) {
        for (String step : path.split("\\.")) {
            if (tree instanceof Map) {
                tree = ((Map<?, ?>) tree).get(step);
            } else if (tree instanceof List && ((List<?>) tree).size() > Integer.parseInt(step)) {
                tree = ((List<?>) tree).get(Integer.parseInt(step));
            } else {
                return null;
            }
        }
        return tree;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object tree) {
        return (Map<String, Object>) tree;
    }

    /** A path and the two values there. */
    record Difference(String path, String kafka, String klamm) { }

    static void compare(String path, Object kafka, Object klamm, List<Difference> found) {
        if (kafka instanceof Map && klamm instanceof Map) {
            for (String name : map(kafka).keySet()) {
                compare(join(path, name), map(kafka).get(name), map(klamm).get(name), found);
            }
            for (String name : map(klamm).keySet()) {
                if (!map(kafka).containsKey(name)) {
                    found.add(new Difference(join(path, name), "nothing", show(map(klamm).get(name))));
                }
            }
        } else if (kafka instanceof List && klamm instanceof List) {
            Map<String, Object> left = keyed((List<?>) kafka);
            Map<String, Object> right = keyed((List<?>) klamm);
            for (String key : left.keySet()) {
                if (right.containsKey(key)) {
                    compare(path + "[" + key + "]", left.get(key), right.get(key), found);
                } else {
                    found.add(new Difference(path + "[" + key + "]", show(left.get(key)), "nothing"));
                }
            }
            for (String key : right.keySet()) {
                if (!left.containsKey(key)) {
                    found.add(new Difference(path + "[" + key + "]", "nothing", show(right.get(key))));
                }
            }
        } else if ((path.endsWith("message") || path.endsWith("documentation")) && kafka instanceof String && klamm instanceof String) {
            if (!kafka.equals(klamm)) {
                found.add(new Difference(path + "~text", show(kafka), show(klamm)));
            }
        } else if (!Objects.equals(kafka, klamm)) {
            found.add(new Difference(path, show(kafka), show(klamm)));
        }
    }

    /** Answers come out of hash maps: items are known by their name, if they have one, not by their place. */
    private static Map<String, Object> keyed(List<?> items) {
        Map<String, Object> keyed = new LinkedHashMap<>();
        for (Object item : items) {
            String key = key(item);
            String unique = key;
            for (int n = 2; keyed.containsKey(unique); n++) {
                unique = key + "/" + n;
            }
            keyed.put(unique, item);
        }
        if (items.stream().noneMatch(item -> item instanceof Map)) {
            keyed.clear();
            for (Object item : items) {
                keyed.put(String.valueOf(keyed.size()), item);
            }
        }
        return keyed;
    }

    private static final List<String> KEYS = List.of("name", "topic", "topic_name", "topic_id", "partition_index", "partition",
        "group_id", "group", "member_id", "api_key", "resource_name", "config_name", "node_id", "broker_id", "error_code", "log_dir");

    private static String key(Object item) {
        if (!(item instanceof Map)) {
            return show(item);
        }
        for (String name : KEYS) {
            Object key = map(item).get(name);
            if (key != null && !(key instanceof Map) && !(key instanceof List)) {
                return name.equals("error_code") ? "" : key.toString();
            }
        }
        return "";
    }

    private static String join(String path, String name) {
        return path.isEmpty() ? name : path + "." + name;
    }

    static String show(Object tree) {
        if (tree instanceof Map) {
            List<String> fields = new ArrayList<>();
            map(tree).forEach((name, value) -> fields.add(name + ":" + show(value)));
            return "{" + String.join(", ", fields) + "}";
        }
        if (tree instanceof List) {
            List<String> items = new ArrayList<>();
            ((List<?>) tree).forEach(item -> items.add(show(item)));
            return "[" + String.join(", ", items) + "]";
        }
        return tree instanceof String ? "\"" + tree + "\"" : String.valueOf(tree);
    }
}
