/** The rules of one event type. */
public interface Rules<E> {
    void run(E event, Out out) throws Exception;
}
