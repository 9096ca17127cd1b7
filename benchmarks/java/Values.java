import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;

/** Reading by the table of docs/formats/physical-rule.md, as far as the workload needs it; missing values are null. */
public final class Values {
    private Values() {}

    public static Long bigint(JsonNode node) {
        if (node == null) return null;
        if (node.isIntegralNumber()) return node.canConvertToLong() ? Long.valueOf(node.longValue()) : null;
        if (node.isTextual()) return integerText(node.textValue());
        if (node.isDouble()) {
            double number = node.doubleValue();
            return number == Math.rint(number) && Math.abs(number) < 9.2e18 ? Long.valueOf((long) number) : null;
        }
        return null;
    }

    private static Long integerText(String text) {
        int start = text.startsWith("-") ? 1 : 0;
        if (text.length() == start || (text.charAt(start) == '0' && text.length() > start + 1)) return null;
        for (int at = start; at < text.length(); at++) {
            if (text.charAt(at) < '0' || text.charAt(at) > '9') return null;
        }
        return cast(text);
    }

    /** TRY_CAST(text AS BIGINT) of digits. */
    public static Long cast(String text) {
        if (text == null) return null;
        try {
            return Long.valueOf(Long.parseLong(text));
        } catch (NumberFormatException error) {
            return null;
        }
    }

    public static Double real(JsonNode node) {
        return node != null && node.isNumber() ? Double.valueOf(node.doubleValue()) : null;
    }

    public static String text(JsonNode node) {
        if (node == null || node.isNull() || node.isContainerNode()) return null;
        return node.isTextual() ? node.textValue() : node.asText();
    }

    public static Boolean flag(JsonNode node) {
        return node != null && node.isBoolean() ? Boolean.valueOf(node.booleanValue()) : null;
    }

    /** Writes a STRUCT: registered fields in the order of the event. */
    public static void struct(JsonGenerator row, JsonNode node, String[] names, String[] kinds) throws IOException {
        row.writeStartObject();
        var fields = node.fields();
        while (fields.hasNext()) {
            var field = fields.next();
            for (int at = 0; at < names.length; at++) {
                if (names[at].equals(field.getKey())) member(row, names[at], kinds[at], field.getValue());
            }
        }
        row.writeEndObject();
    }

    private static void member(JsonGenerator row, String name, String kind, JsonNode node) throws IOException {
        if (kind.equals("BIGINT")) {
            Long value = bigint(node);
            if (value != null) row.writeNumberField(name, value.longValue());
        } else {
            String value = text(node);
            if (value != null) row.writeStringField(name, value);
        }
    }

    public static void texts(JsonGenerator row, JsonNode list) throws IOException {
        row.writeStartArray();
        for (JsonNode item : list) row.writeString(text(item));
        row.writeEndArray();
    }
}
