import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own Java clients, made to speak: as many APIs as they have calls for, and record batches in every compression.
 *
 * <pre>
 * drive BOOTSTRAP…           every call once at each address, whatever comes of it
 * write BOOTSTRAP PREFIX     the records of standard input as one batch per compression, to topics PREFIX-COMPRESSION
 * read BOOTSTRAP TOPIC…      each topic's records to standard output, behind a line with its name
 * tables                     the error codes and API keys of these clients
 * </pre>
 *
 * A record is a line: timestamp, key, value and headers, with tabs between; bytes are in hexadecimal behind an x.
 */
public final class Peer {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "drive" -> {
                for (int i = 1; i < arguments.length; i++) {
                    drive(arguments[i], i);
                }
            }
            case "write" -> write(arguments[1], arguments[2]);
            case "read" -> read(arguments[1], List.of(arguments).subList(2, arguments.length));
            case "tables" -> tables();
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.out.flush();
        // Some clients leave threads that wait for connections.
        System.exit(0);
    }

    private static Properties properties(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("client.id", "java-peer");
        return properties;
    }

    private static Properties producerProperties(String bootstrap) {
        Properties properties = properties(bootstrap);
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        properties.put("linger.ms", "1000");
        properties.put("batch.size", "1000000");
        properties.put("max.block.ms", "30000");
        properties.put("delivery.timeout.ms", "30000");
        properties.put("request.timeout.ms", "20000");
        return properties;
    }

    /** Sees that one call that the other side does not know stops no other. */
    private interface Call {
        void make() throws Exception;
    }

    private static void attempt(String name, Call call) {
        try {
            call.make();
        } catch (Exception failure) {
            System.err.println("java-peer: " + name + ": " + failure);
        }
    }

    private static void drive(String bootstrap, int run) {
        String topic = "java-driven-" + run;
        TopicPartition partition = new TopicPartition(topic, 0);
        Properties adminProperties = properties(bootstrap);
        adminProperties.put("default.api.timeout.ms", "6000");
        adminProperties.put("request.timeout.ms", "3000");
        try (Admin admin = Admin.create(adminProperties)) {
            attempt("create topics", () -> admin.createTopics(List.of(
                    new NewTopic(topic, 1, (short) 1).configs(Map.of("retention.ms", "3600000")),
                    new NewTopic(topic + "-assigned", Map.of(0, List.of(1))))).all().get(8, TimeUnit.SECONDS));
            attempt("describe cluster", () -> admin.describeCluster().nodes().get(8, TimeUnit.SECONDS));
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            attempt("alter configs", () -> admin.incrementalAlterConfigs(Map.of(resource, List.of(
                    new AlterConfigOp(new ConfigEntry("max.message.bytes", "1000000"), AlterConfigOp.OpType.SET),
                    new AlterConfigOp(new ConfigEntry("retention.ms", null), AlterConfigOp.OpType.DELETE))))
                    .all().get(8, TimeUnit.SECONDS));
            attempt("describe configs", () ->
                    admin.describeConfigs(Set.of(resource)).all().get(8, TimeUnit.SECONDS));
            attempt("create partitions", () -> admin.createPartitions(Map.of(
                    topic, NewPartitions.increaseTo(2))).all().get(8, TimeUnit.SECONDS));
            attempt("produce", () -> produce(bootstrap, topic));
            attempt("transaction", () -> transaction(bootstrap, topic));
            attempt("consume", () -> consume(bootstrap, partition));
            attempt("consume in a group", () -> consumeInGroup(bootstrap, topic));
            String group = topic + "-group";
            attempt("list groups", () -> admin.listConsumerGroups().all().get(8, TimeUnit.SECONDS));
            attempt("describe groups", () ->
                    admin.describeConsumerGroups(Set.of(group)).all().get(8, TimeUnit.SECONDS));
            attempt("list offsets of a group", () ->
                    admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(8, TimeUnit.SECONDS));
            attempt("delete groups", () -> admin.deleteConsumerGroups(Set.of(group)).all().get(8, TimeUnit.SECONDS));
            attempt("list transactions", () -> admin.listTransactions().all().get(8, TimeUnit.SECONDS));
            attempt("describe transactions", () ->
                    admin.describeTransactions(Set.of(topic)).all().get(8, TimeUnit.SECONDS));
            attempt("delete records", () -> admin.deleteRecords(
                    Map.of(partition, RecordsToDelete.beforeOffset(1))).all().get(8, TimeUnit.SECONDS));
            attempt("describe producers", () -> admin.describeProducers(Set.of(partition)).all().get(8, TimeUnit.SECONDS));
            attempt("list offsets", () ->
                    admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get(8, TimeUnit.SECONDS));
            attempt("describe topics", () -> admin.describeTopics(Set.of(topic)).allTopicNames().get(8, TimeUnit.SECONDS));
            attempt("delete topics", () -> admin.deleteTopics(Set.of(topic, topic + "-assigned")).all().get(8, TimeUnit.SECONDS));
        }
    }

    private static void produce(String bootstrap, String topic) throws Exception {
        Properties properties = producerProperties(bootstrap);
        properties.put("linger.ms", "0");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
            producer.send(new ProducerRecord<>(topic, 0, bytes("key"), bytes("value"))).get(8, TimeUnit.SECONDS);
        }
    }

    private static void transaction(String bootstrap, String topic) {
        Properties properties = producerProperties(bootstrap);
        properties.put("transactional.id", topic);
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, bytes("key"), bytes("in a transaction")));
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap)) {
                producer.sendOffsetsToTransaction(
                        Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(1, "note")), consumer.groupMetadata());
            }
            producer.commitTransaction();
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap) {
        return consumer(bootstrap, "java-peer");
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String group) {
        Properties properties = properties(bootstrap);
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("group.id", group);
        properties.put("default.api.timeout.ms", "8000");
        return new KafkaConsumer<>(properties);
    }

    private static void consume(String bootstrap, TopicPartition partition) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            consumer.poll(Duration.ofSeconds(3));
        }
    }

    private static void consumeInGroup(String bootstrap, String topic) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, topic + "-group")) {
            consumer.subscribe(List.of(topic));
            for (int i = 0; i < 20 && consumer.poll(Duration.ofMillis(500)).isEmpty(); i++) {
                // The assignment takes a moment.
            }
            consumer.commitSync();
        }
    }

    private static void write(String bootstrap, String prefix) throws Exception {
        List<String> lines = new ArrayList<>();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            lines.add(line);
        }
        for (String compression : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Properties properties = producerProperties(bootstrap);
            properties.put("compression.type", compression);
            try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
                producer.partitionsFor(prefix + "-" + compression);
                for (String line : lines) {
                    producer.send(parsed(line, prefix + "-" + compression));
                }
                producer.flush();
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> parsed(String line, String topic) {
        String[] fields = line.split("\t", -1);
        List<Header> headers = new ArrayList<>();
        for (String header : fields[3].isEmpty() ? new String[0] : fields[3].split(",")) {
            String[] keyAndValue = header.split(":", -1);
            headers.add(new RecordHeader(
                    new String(bytesOf(keyAndValue[0]), StandardCharsets.UTF_8), bytesOf(keyAndValue[1])));
        }
        return new ProducerRecord<>(
                topic, 0, Long.valueOf(fields[0]), bytesOf(fields[1]), bytesOf(fields[2]), headers);
    }

    private static void read(String bootstrap, Collection<String> topics) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap)) {
            for (String topic : topics) {
                TopicPartition partition = new TopicPartition(topic, 0);
                consumer.assign(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                long end = consumer.endOffsets(List.of(partition)).get(partition);
                System.out.println("topic " + topic);
                while (consumer.position(partition) < end) {
                    consumer.poll(Duration.ofSeconds(1)).forEach(record -> {
                        List<String> headers = new ArrayList<>();
                        record.headers().forEach(header -> headers.add(
                                text(bytes(header.key())) + ":" + text(header.value())));
                        System.out.println(String.join("\t", String.valueOf(record.timestamp()),
                                text(record.key()), text(record.value()), String.join(",", headers)));
                    });
                }
            }
        }
    }

    private static void tables() {
        for (Errors error : Errors.values()) {
            String kind = error.exception() instanceof InvalidMetadataException ? "stale"
                    : error.exception() instanceof RetriableException ? "retriable" : "final";
            System.out.println("error " + error.code() + " " + error.name() + " " + kind);
        }
        for (ApiKeys api : ApiKeys.values()) {
            short flexible = -1;
            for (short version = api.oldestVersion(); version <= api.latestVersion(true); version++) {
                if (flexible < 0 && api.requestHeaderVersion(version) >= 2) {
                    flexible = version;
                }
            }
            System.out.println("api " + api.id + " " + api.name + " " + api.oldestVersion() + " "
                    + api.latestVersion(true) + " " + flexible);
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] bytesOf(String text) {
        return text.equals("null") ? null : HEX.parseHex(text.substring(1));
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "null" : "x" + HEX.formatHex(bytes);
    }
}
