import com.sun.tools.attach.VirtualMachine;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/** Prints, as JSON, how many requests of each kind the brokers with these process ids have answered. */
public class Requests {
    private static final String NAMES = "kafka.network:type=RequestMetrics,name=RequestsPerSec,*";

    public static void main(String[] pids) throws Exception {
        Map<String, Long> counts = new TreeMap<>();
        for (String pid : pids) {
            VirtualMachine machine = VirtualMachine.attach(pid);
            try (var connector = JMXConnectorFactory.connect(new JMXServiceURL(machine.startLocalManagementAgent()))) {
                MBeanServerConnection beans = connector.getMBeanServerConnection();
                for (ObjectName name : beans.queryNames(new ObjectName(NAMES), null)) {
                    counts.merge(name.getKeyProperty("request"), (Long) beans.getAttribute(name, "Count"), Long::sum);
                }
            } finally {
                machine.detach();
            }
        }
        System.out.println(counts.entrySet().stream()
            .map(one -> "\"" + one.getKey() + "\": " + one.getValue()).collect(Collectors.joining(", ", "{", "}")));
    }
}
