"""Clients written for Python: each produces records to a broker and consumes them back.

    round_trip.py confluent-kafka|kafka-python|aiokafka BOOTSTRAP TOPIC COUNT
    round_trip.py read BOOTSTRAP TOPIC COUNT     prints COUNT values, one a line, read by kafka-python

The topic exists. Consumption is by assignment, without a group: whoever joins one is refused, which must end the consumer with
an error at once.
"""

import asyncio
import sys
import time

PATIENCE = 40

# A consumer in a group that has no error by then hangs.
GROUP_PATIENCE = 15


def records(count):
    for i in range(count):
        yield f"key-{i % 7}".encode(), f"value-{i}".encode(), [("number", str(i).encode())]


def check(seen, count):
    """`seen` has a value and the headers of each record."""
    values = {value for value, _ in seen}
    assert len(seen) == count, f"{len(seen)} records of {count}"
    assert values == {value for _, value, _ in records(count)}, "other records than were produced"
    for value, headers in seen:
        number = value.removeprefix(b"value-")
        assert [tuple(header) for header in headers] == [("number", number)], (value, headers)
    print(f"{count} records there and back")


def raised(kind, action):
    try:
        action()
    except kind as error:
        return type(error).__name__
    raise AssertionError("a group is let in")


def refused(action):
    """`action` returns the words of the refusal."""
    start = time.monotonic()
    words = action()
    took = time.monotonic() - start
    assert took < GROUP_PATIENCE, f"a group hangs for {took:.1f} s"
    print(f"a group: {words}, {took:.1f} s")


def confluent_kafka(bootstrap, topic, count):
    from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

    producer = Producer({
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "compression.type": "lz4",
    })
    failures = []
    for key, value, headers in records(count):
        producer.produce(topic, key=key, value=value, headers=headers,
                         on_delivery=lambda error, _: failures.append(error) if error else None)
        producer.poll(0)
    assert producer.flush(PATIENCE) == 0, "not everything was acknowledged"
    assert not failures, failures

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    seen = []
    deadline = time.monotonic() + PATIENCE
    while len(seen) < count and time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None:
            assert not message.error(), message.error()
            seen.append((message.value(), message.headers()))
    consumer.close()
    check(seen, count)

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "group"})
    consumer.subscribe([topic])
    refused(lambda: consumer.poll(GROUP_PATIENCE).error().str())
    consumer.close()


def kafka_python(bootstrap, topic, count):
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type="gzip", max_block_ms=PATIENCE * 1000)
    sent = [producer.send(topic, key=key, value=value, headers=headers) for key, value, headers in records(count)]
    for future in sent:
        future.get(timeout=PATIENCE)
    producer.close()

    check([(record.value, record.headers) for record in read_by_kafka_python(bootstrap, topic, count)], count)

    from kafka import KafkaConsumer
    from kafka.errors import GroupAuthorizationFailedError

    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id="group")
    refused(lambda: raised(GroupAuthorizationFailedError, lambda: consumer.poll(timeout_ms=GROUP_PATIENCE * 1000)))


def read_by_kafka_python(bootstrap, topic, count):
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, consumer_timeout_ms=10_000)
    partitions = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    read = []
    for record in consumer:
        read.append(record)
        if len(read) == count:
            break
    consumer.close()
    return read


def read(bootstrap, topic, count):
    for record in read_by_kafka_python(bootstrap, topic, count):
        print(record.value.decode())


def aiokafka(bootstrap, topic, count):
    async def run():
        from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, compression_type="gzip")
        await producer.start()
        sent = [await producer.send(topic, key=key, value=value, headers=headers) for key, value, headers in records(count)]
        await asyncio.gather(*sent)
        await producer.stop()

        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
        await consumer.start()
        await consumer._client.force_metadata_update()
        partitions = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        seen = []
        while len(seen) < count:
            record = await asyncio.wait_for(consumer.getone(), PATIENCE)
            seen.append((record.value, record.headers))
        await consumer.stop()
        check(seen, count)

        from aiokafka.errors import GroupAuthorizationFailedError

        consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id="group")
        start = time.monotonic()
        try:
            await consumer.start()
            await asyncio.wait_for(consumer.getone(), GROUP_PATIENCE)
        except GroupAuthorizationFailedError as error:
            print(f"a group: {type(error).__name__}, {time.monotonic() - start:.1f} s")
        else:
            raise AssertionError("a group is let in")
        finally:
            await consumer.stop()

    asyncio.run(run())


CLIENTS = {"confluent-kafka": confluent_kafka, "kafka-python": kafka_python, "aiokafka": aiokafka, "read": read}

if __name__ == "__main__":
    CLIENTS[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
