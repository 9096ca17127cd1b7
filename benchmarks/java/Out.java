import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.MessageLite;
import java.io.ByteArrayOutputStream;
import java.io.IOException;

/** Rows by dataset, as bytes. */
public final class Out {
    private static final JsonFactory FACTORY = new JsonFactory();
    private final ByteArrayOutputStream[] datasets;
    private final CodedOutputStream[] coded;
    private final JsonGenerator[] generators;
    public long rows;
    public long bytes;

    public Out(int count) {
        datasets = new ByteArrayOutputStream[count];
        coded = new CodedOutputStream[count];
        generators = new JsonGenerator[count];
        for (int at = 0; at < count; at++) {
            datasets[at] = new ByteArrayOutputStream(1 << 16);
            coded[at] = CodedOutputStream.newInstance(datasets[at], 1 << 12);
        }
    }

    /** The generator of a dataset, kept from row to row as a careful team would, with the row begun. */
    public JsonGenerator row(int dataset) throws IOException {
        JsonGenerator row = generators[dataset];
        if (row == null) {
            row = FACTORY.createGenerator(datasets[dataset]);
            row.setRootValueSeparator(null);
            generators[dataset] = row;
        }
        row.writeStartObject();
        return row;
    }

    public void end(JsonGenerator row) throws IOException {
        row.writeEndObject();
        row.writeRaw('\n');
        rows++;
    }

    public void line(int dataset, byte[] text) throws IOException {
        if (generators[dataset] != null) generators[dataset].flush();
        datasets[dataset].write(text, 0, text.length);
        datasets[dataset].write('\n');
        rows++;
    }

    public void message(int dataset, MessageLite row) throws IOException {
        coded[dataset].writeUInt32NoTag(row.getSerializedSize());
        row.writeTo(coded[dataset]);
        rows++;
    }

    public void encoded(int dataset, byte[] event) throws IOException {
        coded[dataset].writeByteArrayNoTag(event);
        rows++;
    }

    /** Hands the rows over and begins anew. */
    public byte[][] take() throws IOException {
        byte[][] found = new byte[datasets.length][];
        for (int at = 0; at < datasets.length; at++) {
            coded[at].flush();
            if (generators[at] != null) generators[at].flush();
            if (datasets[at].size() > 0) {
                found[at] = datasets[at].toByteArray();
                bytes += found[at].length;
                datasets[at].reset();
            }
        }
        return found;
    }
}
