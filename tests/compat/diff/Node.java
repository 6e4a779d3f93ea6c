import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.requests.ResponseHeader;

/** One connection to one broker. */
final class Node implements AutoCloseable {
    private static final int TIMEOUT_MS = 20_000;
    private final Socket socket = new Socket();
    private final String clientId;
    private int correlation = 0;

    Node(String host, int port, String clientId) throws IOException {
        this.clientId = clientId;
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(TIMEOUT_MS);
        socket.connect(new InetSocketAddress(host, port), TIMEOUT_MS);
    }

    /** The answer as a tree; how the connection ended, as a string, where there is none. */
    Object call(ApiKeys api, short version, Object body) throws IOException {
        send(api, version, body);
        return receive(api, version);
    }

    void send(ApiKeys api, short version, Object body) throws IOException {
        Schema[] schemas = api.messageType.requestSchemas();
        Set<String> unknown = new TreeSet<>();
        fieldNames(body, unknown);
        unknown.removeAll(Codec.names(schemas));
        if (!unknown.isEmpty()) {
            throw new IllegalArgumentException(api + " has no field " + unknown);
        }
        Struct struct = Codec.struct(schemas[version], body, new TreeSet<>());
        ByteBuffer header = MessageUtil.toByteBufferAccessor(new RequestHeaderData().setRequestApiKey(api.id)
            .setRequestApiVersion(version).setCorrelationId(++correlation).setClientId(clientId), api.requestHeaderVersion(version)).buffer();
        ByteBuffer frame = ByteBuffer.allocate(4 + header.remaining() + struct.sizeOf());
        frame.putInt(frame.capacity() - 4).put(header);
        struct.writeTo(frame);
        try {
            socket.getOutputStream().write(frame.array());
        } catch (SocketException gone) {
            // Noticed by whoever reads the answer.
        }
    }

    Object receive(ApiKeys api, short version) throws IOException {
        ByteBuffer frame;
        try {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] bytes = new byte[in.readInt()];
            in.readFully(bytes);
            frame = ByteBuffer.wrap(bytes);
        } catch (EOFException | SocketException gone) {
            return "the connection was closed";
        } catch (SocketTimeoutException late) {
            return "no answer";
        }
        int answered = ResponseHeader.parse(frame, api.responseHeaderVersion(version)).correlationId();
        if (answered != correlation) {
            return "an answer to another request";
        }
        Object tree = Codec.tree(api.messageType.responseSchemas()[version].read(frame));
        return frame.hasRemaining() ? frame.remaining() + " bytes too many after " + Tree.show(tree) : tree;
    }

    private static void fieldNames(Object tree, Set<String> names) {
        if (tree instanceof Map) {
            Tree.map(tree).forEach((name, value) -> {
                names.add(name);
                // A batch is described, not encoded.
                if (!name.equals("records")) {
                    fieldNames(value, names);
                }
            });
        } else if (tree instanceof Iterable) {
            ((Iterable<?>) tree).forEach(item -> fieldNames(item, names));
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
