// franz-go as a client, and its fake broker (kfake) as a broker.
//
//	round-trip BOOTSTRAP TOPIC COUNT   produces records and consumes them back; then joins a group, which is refused
//	kfake TOPIC PARTITIONS             serves a cluster with one topic, prints its address, ends with its standard input
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("franz-go: ")
	arguments := os.Args[1:]
	switch arguments[0] {
	case "round-trip":
		roundTrip(arguments[1], arguments[2], number(arguments[3]))
	case "kfake":
		serve(arguments[1], number(arguments[2]))
	default:
		log.Fatalf("there is no %q", arguments[0])
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func roundTrip(bootstrap, topic string, count int) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ProducerBatchCompression(kgo.SnappyCompression()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	var records []*kgo.Record
	for i := range count {
		records = append(records, &kgo.Record{
			Topic:   topic,
			Key:     []byte(fmt.Sprintf("key-%d", i%7)),
			Value:   []byte(fmt.Sprintf("value-%d", i)),
			Headers: []kgo.RecordHeader{{Key: "number", Value: []byte(strconv.Itoa(i))}},
		})
	}
	if err := producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		log.Fatal(err)
	}

	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	seen := map[string]int{}
	for total := 0; total < count; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			log.Fatal(err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			seen[string(record.Value)]++
			total++
			if want := strings.TrimPrefix(string(record.Value), "value-"); string(record.Headers[0].Value) != want {
				log.Fatalf("header %s of %s", record.Headers[0].Value, record.Value)
			}
		})
	}
	if len(seen) != count {
		log.Fatalf("%d different records of %d", len(seen), count)
	}
	fmt.Printf("%d records there and back\n", count)
	joinGroup(bootstrap, topic)
}

// Joining a group is refused, which must be an error of the consumer at once.
func joinGroup(bootstrap, topic string) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topic), kgo.ConsumerGroup("group"))
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	err = consumer.PollFetches(ctx).Err()
	if !errors.Is(err, kerr.GroupAuthorizationFailed) {
		log.Fatalf("a group is let in, or hangs: %v", err)
	}
	fmt.Printf("a group: %v\n", err)
}

func serve(topic string, partitions int) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(int32(partitions), topic))
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	fmt.Println(strings.Join(cluster.ListenAddrs(), ","))
	_, _ = io.Copy(io.Discard, os.Stdin)
}
