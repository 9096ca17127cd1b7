import com.fasterxml.jackson.databind.JsonNode;

/** A parsed event; each field is read once, when it is first asked for. */
public final class JsonEvent {
    public byte[] line;
    private JsonNode root;
    private final String[][] paths;
    private final int[] read;
    private int epoch;
    private final Object[] values;

    public JsonEvent(String[][] paths) {
        this.paths = paths;
        this.read = new int[paths.length];
        this.values = new Object[paths.length];
    }

    public void begin(JsonNode root, byte[] line) {
        this.root = root;
        this.line = line;
        epoch++;
    }

    public JsonNode node(int field) {
        JsonNode at = root;
        for (String name : paths[field]) {
            if (at == null) return null;
            at = at.get(name);
        }
        return at;
    }

    public Long bigint(int field) {
        if (read[field] != epoch) {
            read[field] = epoch;
            values[field] = Values.bigint(node(field));
        }
        return (Long) values[field];
    }

    public Double real(int field) {
        if (read[field] != epoch) {
            read[field] = epoch;
            values[field] = Values.real(node(field));
        }
        return (Double) values[field];
    }

    public String text(int field) {
        if (read[field] != epoch) {
            read[field] = epoch;
            values[field] = Values.text(node(field));
        }
        return (String) values[field];
    }

    public Boolean flag(int field) {
        if (read[field] != epoch) {
            read[field] = epoch;
            values[field] = Values.flag(node(field));
        }
        return (Boolean) values[field];
    }
}
