import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/**
 * One OpenSearch (or, with the names of its packages replaced, Elasticsearch) node of its own cluster in this process, with its HTTP interface on 127.0.0.1.
 *
 * Arguments: the directory for its data, and settings as key=value. It prints "listening <port>" once it
 * answers, and ends when its standard input does, so that it never outlives the test that started it.
 */
public final class SearchServer {
  private static final class EmbeddedNode extends Node {
    EmbeddedNode(Environment environment) {
      super(environment, List.of(Netty4Plugin.class), true);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Path home = Path.of(arguments[0]);
    Files.createDirectories(home.resolve("config"));
    Settings.Builder settings =
        Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", "chukcha-test")
            .put("node.name", "test")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", "0")
            .put("transport.port", "0")
            // Shards are placed also on a disk that is nearly full.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .put("node.store.allow_mmap", false);
    for (int index = 1; index < arguments.length; index += 1) {
      String[] pair = arguments[index].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    Environment environment = new Environment(settings.build(), home.resolve("config"));
    try (Node node = new EmbeddedNode(environment)) {
      node.start();
      int port =
          node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress().getPort();
      System.out.println("listening " + port);
      System.out.flush();
      while (System.in.read() != -1) {}
    }
    System.exit(0);
  }
}
