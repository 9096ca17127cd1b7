import headwater.bench.Workload.Event;

/** A parsed event and the bytes that it was parsed from. */
public final class ProtobufEvent {
    public Event message;
    public byte[] encoded;
}
