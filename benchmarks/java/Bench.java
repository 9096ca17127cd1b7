import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import headwater.bench.Workload.Event;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.codehaus.janino.SimpleCompiler;

/** Rules as Java classes, one an event type, compiled by Janino: CPU time of one thread. Arguments: mode, directory, seconds, runs. */
public final class Bench {
    private static final int BATCH = 1000;
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int ROUNDS_MAX = 60;

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[1]);
        double seconds = Double.parseDouble(arguments[2]);
        int runs = Integer.parseInt(arguments[3]);
        List<String> head = Files.readAllLines(directory.resolve("fields.txt"));
        String[][] paths = head.stream().skip(1).map(line -> line.split("\\.")).toArray(String[][]::new);
        Out out = new Out(Integer.parseInt(head.get(0)));
        boolean json = arguments[0].equals("jackson");
        byte[][] lines = lines(Files.readAllBytes(directory.resolve("events.ndjson")));
        Runner runner = json
            ? new JsonRunner(compile(directory, "jackson"), new JsonEvent(paths), lines)
            : new ProtobufRunner(compile(directory, "protobuf"), encoded(lines));
        runner.round(out);
        long rows = out.rows, bytes = out.bytes;
        double[] times = measured(runner, out, seconds, runs);
        StringBuilder shown = new StringBuilder();
        for (double time : times) shown.append(shown.length() == 0 ? "" : ",").append(time / lines.length);
        System.out.println("{\"rows\":" + rows + ",\"bytes\":" + bytes + ",\"seconds_per_event\":[" + shown + "]}");
    }

    /** Warms up until a round is no faster than the best before by 1 % for five rounds, then measures. */
    private static double[] measured(Runner runner, Out out, double seconds, int runs) throws Exception {
        var threads = ManagementFactory.getThreadMXBean();
        double best = Double.MAX_VALUE;
        long began = threads.getCurrentThreadCpuTime();
        for (int steady = 0, round = 0; (steady < 5 || spent(threads.getCurrentThreadCpuTime(), began) < 3 * seconds) && round < ROUNDS_MAX * 50; round++) {
            long start = threads.getCurrentThreadCpuTime();
            runner.round(out);
            double time = spent(threads.getCurrentThreadCpuTime(), start);
            steady = time < 0.99 * best ? 0 : steady + 1;
            best = Math.min(best, time);
        }
        double[] found = new double[runs];
        for (int run = 0; run < runs; run++) {
            long start = threads.getCurrentThreadCpuTime();
            int rounds = 0;
            do {
                runner.round(out);
                rounds++;
            } while (spent(threads.getCurrentThreadCpuTime(), start) < seconds);
            found[run] = spent(threads.getCurrentThreadCpuTime(), start) / rounds;
        }
        return found;
    }

    private static double spent(long now, long start) {
        return (now - start) / 1e9;
    }

    private interface Runner {
        void round(Out out) throws Exception;
    }

    private record JsonRunner(Map<String, Rules<JsonEvent>> rules, JsonEvent event, byte[][] lines) implements Runner {
        public void round(Out out) throws Exception {
            for (int at = 0; at < lines.length; at++) {
                JsonNode root = MAPPER.readTree(lines[at]);
                Rules<JsonEvent> found = rules.get(root.path("event").asText());
                if (found != null) {
                    event.begin(root, lines[at]);
                    found.run(event, out);
                }
                if (at % BATCH == BATCH - 1) out.take();
            }
            out.take();
        }
    }

    private record ProtobufRunner(Map<String, Rules<ProtobufEvent>> rules, byte[][] events) implements Runner {
        public void round(Out out) throws Exception {
            ProtobufEvent event = new ProtobufEvent();
            for (int at = 0; at < events.length; at++) {
                event.message = Event.parseFrom(events[at]);
                event.encoded = events[at];
                Rules<ProtobufEvent> found = rules.get(event.message.getEvent());
                if (found != null) found.run(event, out);
                if (at % BATCH == BATCH - 1) out.take();
            }
            out.take();
        }
    }

    @SuppressWarnings("unchecked")
    private static <E> Map<String, Rules<E>> compile(Path directory, String mode) throws Exception {
        Map<String, Rules<E>> rules = new HashMap<>();
        for (String source : Files.readString(directory.resolve(mode + ".txt")).split("\n=====\n")) {
            String[] parts = source.split("\n", 3);
            SimpleCompiler compiler = new SimpleCompiler();
            compiler.setParentClassLoader(Bench.class.getClassLoader());
            compiler.cook(parts[2]);
            rules.put(parts[0], (Rules<E>) compiler.getClassLoader().loadClass(parts[1]).getDeclaredConstructor().newInstance());
        }
        return rules;
    }

    private static byte[][] lines(byte[] text) {
        List<byte[]> found = new ArrayList<>();
        for (int start = 0, at = 0; at < text.length; at++) {
            if (text[at] == '\n') {
                found.add(Arrays.copyOfRange(text, start, at));
                start = at + 1;
            }
        }
        return found.toArray(new byte[0][]);
    }

    private static byte[][] encoded(byte[][] lines) throws Exception {
        byte[][] events = new byte[lines.length][];
        for (int at = 0; at < lines.length; at++) {
            Event.Builder event = Event.newBuilder();
            fill(event, MAPPER.readTree(lines[at]));
            events[at] = event.build().toByteArray();
        }
        return events;
    }

    private static void fill(Message.Builder message, JsonNode object) {
        for (FieldDescriptor field : message.getDescriptorForType().getFields()) {
            JsonNode node = object.get(field.getName());
            if (node == null || node.isNull()) continue;
            if (field.isRepeated()) {
                for (JsonNode item : node) message.addRepeatedField(field, Values.text(item));
                continue;
            }
            Object value = null;
            switch (field.getJavaType()) {
                case MESSAGE -> {
                    Message.Builder inner = message.newBuilderForField(field);
                    fill(inner, node);
                    value = inner.build();
                }
                case LONG -> value = Values.bigint(node);
                case DOUBLE -> value = Values.real(node);
                case BOOLEAN -> value = Values.flag(node);
                default -> value = Values.text(node);
            }
            if (value != null) message.setField(field, value);
        }
    }
}
