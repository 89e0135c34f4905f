// franz-go, an implementation of Kafka's protocol in Go, made to speak.
//
//	drive BOOTSTRAP…           every call once at each address, whatever comes of it
//	write BOOTSTRAP PREFIX     the records of standard input as one batch per compression, to topics PREFIX-COMPRESSION
//	read BOOTSTRAP TOPIC…      each topic's records to standard output, behind a line with its name
//
// A record is a line: timestamp, key, value and headers, with tabs between; bytes are in hexadecimal behind an x.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("franz-go-peer: ")
	arguments := os.Args[1:]
	switch arguments[0] {
	case "drive":
		for run, bootstrap := range arguments[1:] {
			drive(bootstrap, run)
		}
	case "write":
		write(arguments[1], arguments[2])
	case "read":
		read(arguments[1], arguments[2:])
	default:
		log.Fatalf("there is no %q", arguments[0])
	}
}

func connect(bootstrap string, options ...kgo.Opt) *kgo.Client {
	options = append(options,
		kgo.SeedBrokers(bootstrap),
		kgo.ClientID("franz-go-peer"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RetryTimeout(8*time.Second),
	)
	client, err := kgo.NewClient(options...)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// attempt sees that one call that the other side does not know stops no other.
func attempt(name string, call func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := call(ctx); err != nil {
		log.Printf("%s: %v", name, err)
	}
}

func drive(bootstrap string, run int) {
	topic := fmt.Sprintf("franz-go-driven-%d", run)
	client := connect(bootstrap)
	defer client.Close()
	admin := kadm.NewClient(client)
	retention, size := "3600000", "1000000"
	attempt("create topics", func(ctx context.Context) error {
		_, err := admin.CreateTopics(ctx, 1, 1, map[string]*string{"retention.ms": &retention}, topic)
		return err
	})
	attempt("describe cluster", func(ctx context.Context) error {
		_, err := admin.BrokerMetadata(ctx)
		return err
	})
	attempt("alter configs", func(ctx context.Context) error {
		_, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: &size}}, topic)
		return err
	})
	attempt("describe configs", func(ctx context.Context) error {
		_, err := admin.DescribeTopicConfigs(ctx, topic)
		return err
	})
	attempt("create partitions", func(ctx context.Context) error {
		_, err := admin.UpdatePartitions(ctx, 2, topic)
		return err
	})
	attempt("produce", func(ctx context.Context) error {
		return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte("key"), Value: []byte("value")}).FirstErr()
	})
	attempt("transaction", func(ctx context.Context) error { return transaction(ctx, bootstrap, topic) })
	attempt("consume", func(ctx context.Context) error {
		consumer := connect(bootstrap, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
		defer consumer.Close()
		return consumer.PollFetches(ctx).Err0()
	})
	group := topic + "-group"
	attempt("consume in a group", func(ctx context.Context) error {
		consumer := connect(bootstrap, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer consumer.Close()
		if err := consumer.PollFetches(ctx).Err0(); err != nil {
			return err
		}
		return consumer.CommitUncommittedOffsets(ctx)
	})
	attempt("list groups", func(ctx context.Context) error {
		_, err := admin.ListGroups(ctx)
		return err
	})
	attempt("describe groups", func(ctx context.Context) error {
		_, err := admin.DescribeGroups(ctx, group)
		return err
	})
	attempt("fetch offsets of a group", func(ctx context.Context) error {
		_, err := admin.FetchOffsets(ctx, group)
		return err
	})
	attempt("delete groups", func(ctx context.Context) error {
		_, err := admin.DeleteGroups(ctx, group)
		return err
	})
	attempt("list transactions", func(ctx context.Context) error {
		_, err := admin.ListTransactions(ctx, nil, nil)
		return err
	})
	attempt("describe transactions", func(ctx context.Context) error {
		_, err := admin.DescribeTransactions(ctx, topic)
		return err
	})
	attempt("delete records", func(ctx context.Context) error {
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic, 0, 1, -1)
		_, err := admin.DeleteRecords(ctx, offsets)
		return err
	})
	attempt("describe producers", func(ctx context.Context) error {
		topics := kadm.TopicsSet{}
		topics.Add(topic, 0)
		_, err := admin.DescribeProducers(ctx, topics)
		return err
	})
	attempt("list offsets", func(ctx context.Context) error {
		_, err := admin.ListEndOffsets(ctx, topic)
		return err
	})
	attempt("describe topics", func(ctx context.Context) error {
		_, err := admin.ListTopics(ctx, topic)
		return err
	})
	attempt("delete topics", func(ctx context.Context) error {
		_, err := admin.DeleteTopics(ctx, topic)
		return err
	})
}

func transaction(ctx context.Context, bootstrap, topic string) error {
	client := connect(bootstrap, kgo.TransactionalID(topic))
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	record := &kgo.Record{Topic: topic, Key: []byte("key"), Value: []byte("in a transaction")}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		return err
	}
	return client.EndTransaction(ctx, kgo.TryCommit)
}

func write(bootstrap, prefix string) {
	compressions := map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
	var lines []string
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<24)
	for input.Scan() {
		lines = append(lines, input.Text())
	}
	for name, compression := range compressions {
		client := connect(bootstrap, kgo.ProducerBatchCompression(compression), kgo.ProducerLinger(time.Second))
		var records []*kgo.Record
		for _, line := range lines {
			records = append(records, parsed(line, prefix+"-"+name))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			log.Fatal(err)
		}
		cancel()
		client.Close()
	}
}

func parsed(line, topic string) *kgo.Record {
	fields := strings.Split(line, "\t")
	millis, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	record := &kgo.Record{
		Topic:     topic,
		Timestamp: time.UnixMilli(millis),
		Key:       bytesOf(fields[1]),
		Value:     bytesOf(fields[2]),
	}
	for _, header := range strings.FieldsFunc(fields[3], func(r rune) bool { return r == ',' }) {
		key, value, _ := strings.Cut(header, ":")
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: string(bytesOf(key)), Value: bytesOf(value)})
	}
	return record
}

func read(bootstrap string, topics []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(connect(bootstrap)).ListEndOffsets(ctx, topics...)
	if err != nil {
		log.Fatal(err)
	}
	for _, topic := range topics {
		end, _ := ends.Lookup(topic, 0)
		client := connect(bootstrap, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
		fmt.Println("topic " + topic)
		for next := int64(0); next < end.Offset; {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err0(); err != nil {
				log.Fatal(err)
			}
			for _, record := range fetches.Records() {
				var headers []string
				for _, header := range record.Headers {
					headers = append(headers, text([]byte(header.Key))+":"+text(header.Value))
				}
				fmt.Printf("%d\t%s\t%s\t%s\n", record.Timestamp.UnixMilli(), text(record.Key), text(record.Value), strings.Join(headers, ","))
				next = record.Offset + 1
			}
		}
		client.Close()
	}
}

func bytesOf(text string) []byte {
	if text == "null" {
		return nil
	}
	bytes, err := hex.DecodeString(text[1:])
	if err != nil {
		log.Fatal(err)
	}
	return bytes
}

func text(bytes []byte) string {
	if bytes == nil {
		return "null"
	}
	return "x" + hex.EncodeToString(bytes)
}
