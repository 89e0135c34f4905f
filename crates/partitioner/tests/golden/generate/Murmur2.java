// java -cp 'LIBS/*' Murmur2.java < keys.txt > murmur2.tsv, where LIBS holds Kafka's Java client
// (`cargo xtask kafka start` leaves it below target/kafka/<version>/libs).
// The third column is the client's choice among 7 partitions.
import java.util.HexFormat;
import java.util.Scanner;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

public class Murmur2 {
    public static void main(String[] arguments) {
        var keys = new Scanner(System.in);
        while (keys.hasNextLine()) {
            String key = keys.nextLine();
            byte[] bytes = HexFormat.of().parseHex(key);
            String hash = Integer.toUnsignedString(Utils.murmur2(bytes));
            System.out.println(key + "\t" + hash + "\t" + BuiltInPartitioner.partitionForKey(bytes, 7));
        }
    }
}
