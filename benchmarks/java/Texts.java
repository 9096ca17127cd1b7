/** Functions of text; null is NULL. */
public final class Texts {
    private Texts() {}

    public static String or(String one, String other) {
        return one != null ? one : other;
    }

    public static String unless(String one, String other) {
        return one != null && one.equals(other) ? null : one;
    }

    public static String lower(String text) {
        return text == null ? null : text.toLowerCase(java.util.Locale.ROOT);
    }

    public static String upper(String text) {
        return text == null ? null : text.toUpperCase(java.util.Locale.ROOT);
    }
}
