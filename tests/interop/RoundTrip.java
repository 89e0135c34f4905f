import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's Java clients: {@code RoundTrip BOOTSTRAP TOPIC COUNT} produces records and consumes them back. */
public final class RoundTrip {
    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        String topic = arguments[1];
        int count = Integer.parseInt(arguments[2]);
        produce(bootstrap, topic, count);
        consume(bootstrap, topic, count);
        System.out.println(count + " records there and back");
        System.out.println("a group: " + joinGroup(bootstrap, topic));
        System.out.flush();
        System.exit(0);
    }

    private static void produce(String bootstrap, String topic, int count) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", StringSerializer.class.getName());
        properties.put("compression.type", "zstd");
        properties.put("linger.ms", "5");
        properties.put("delivery.timeout.ms", "30000");
        properties.put("request.timeout.ms", "20000");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
            List<Future<?>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                ProducerRecord<String, String> record = new ProducerRecord<>(topic, "key-" + i % 7, "value-" + i);
                record.headers().add(new RecordHeader("number", Integer.toString(i).getBytes(StandardCharsets.UTF_8)));
                sent.add(producer.send(record));
            }
            for (Future<?> future : sent) {
                future.get(40, TimeUnit.SECONDS);
            }
        }
    }

    /** Joining a group is refused, which must end the consumer with an error at once. */
    private static String joinGroup(String bootstrap, String topic) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("group.id", "group");
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(topic));
            consumer.poll(Duration.ofSeconds(15));
        } catch (GroupAuthorizationException refused) {
            return refused.getMessage();
        }
        throw new IllegalStateException("a group is let in, or hangs");
    }

    private static void consume(String bootstrap, String topic, int count) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        Set<String> seen = new HashSet<>();
        int total = 0;
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(40);
            while (total < count && System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    String number = new String(record.headers().lastHeader("number").value(), StandardCharsets.UTF_8);
                    if (!record.value().equals("value-" + number)) {
                        throw new IllegalStateException(record.value() + " has header " + number);
                    }
                    seen.add(record.value());
                    total++;
                }
            }
        }
        if (total != count || seen.size() != count) {
            throw new IllegalStateException(total + " records, " + seen.size() + " different ones, of " + count);
        }
    }
}
