//! Topics are described, created, changed and deleted.

use wolff_codec::messages::{
    AlterConfigsResource, AlterableConfig, CreatableTopic, CreatableTopicConfig,
    CreatePartitionsRequest, CreatePartitionsTopic, CreateTopicsRequest, DeleteTopicState,
    DeleteTopicsRequest, DescribeConfigsRequest, DescribeConfigsResource,
    IncrementalAlterConfigsRequest, MetadataRequest, MetadataRequestTopic, MetadataResponseTopic,
};
use wolff_codec::{ErrorCode, Str, TopicId};
use wolff_testbroker::{Cluster, ClusterError};

use crate::client::Client;

fn asking_for(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic {
        name: Some(Str::from(name)),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(vec![topic]),
        ..Default::default()
    }
}

async fn describe(client: &mut Client, request: &MetadataRequest) -> MetadataResponseTopic {
    client.request(request, 12).await.topics[0].clone()
}

#[tokio::test]
async fn topics_are_described_by_name_and_by_id() {
    let cluster = Cluster::builder()
        .topic("orders", 2)
        .topic("other", 1)
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let all = client.request(&MetadataRequest::default(), 12).await;
    assert_eq!(all.topics.len(), 2);
    let none = MetadataRequest {
        topics: Some(Vec::new()),
        ..Default::default()
    };
    assert_eq!(client.request(&none, 12).await.topics, []);
    let orders = describe(&mut client, &asking_for("orders")).await;
    assert_eq!(
        (orders.partitions.len(), orders.topic_id),
        (2, cluster.topic_id("orders").unwrap())
    );

    let by_id = |topic_id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            topic_id,
            ..Default::default()
        }]),
        ..Default::default()
    };
    let found = describe(&mut client, &by_id(orders.topic_id)).await;
    assert_eq!(found.name.as_deref(), Some("orders"));
    let unknown = describe(&mut client, &by_id(TopicId([1; 16]))).await;
    assert_eq!(unknown.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[tokio::test]
async fn topics_come_to_be_when_asked_for_if_client_and_cluster_want_it() {
    let cluster = Cluster::builder()
        .auto_create_topics(true)
        .default_partitions(3)
        .start();
    let cluster = cluster.await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let reluctant = MetadataRequest {
        allow_auto_topic_creation: false,
        ..asking_for("new")
    };
    for _ in 0..2 {
        assert_eq!(describe(&mut client, &reluctant).await.error_code, unknown);
    }
    assert_eq!(
        describe(&mut client, &asking_for("new")).await.error_code,
        unknown
    );
    assert_eq!(
        describe(&mut client, &asking_for("new"))
            .await
            .partitions
            .len(),
        3
    );
    let bad = describe(&mut client, &asking_for("no topic")).await;
    assert_eq!(bad.error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(cluster.topics(), [(Str::from("new"), 3)]);

    let strict = Cluster::builder().start().await.unwrap();
    let mut client = Client::connect(&strict, 1).await;
    for _ in 0..2 {
        assert_eq!(
            describe(&mut client, &asking_for("new")).await.error_code,
            unknown
        );
    }
}

#[tokio::test]
async fn clients_create_enlarge_and_delete_topics() {
    let cluster = Cluster::builder().brokers(2).start().await.unwrap();
    let mut client = Client::connect(&cluster, 2).await;
    let config = CreatableTopicConfig {
        name: Str::from("max.message.bytes"),
        value: Some(Str::from("5000")),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: Str::from("orders"),
        num_partitions: 2,
        replication_factor: -1,
        configs: vec![config],
        ..Default::default()
    };
    let mut create = CreateTopicsRequest {
        topics: vec![topic],
        validate_only: true,
        ..Default::default()
    };
    assert_eq!(
        client.request(&create, 7).await.topics[0].error_code,
        ErrorCode::NONE
    );
    assert_eq!(cluster.topics(), []);
    create.validate_only = false;
    let created = client.request(&create, 7).await.topics[0].clone();
    assert_eq!((created.num_partitions, created.replication_factor), (2, 2));
    assert_eq!(created.topic_id, cluster.topic_id("orders").unwrap());
    let again = client.request(&create, 7).await.topics[0].clone();
    assert_eq!(again.error_code, ErrorCode::TOPIC_ALREADY_EXISTS);

    let grow = CreatePartitionsTopic {
        name: Str::from("orders"),
        count: 5,
        ..Default::default()
    };
    let grow = CreatePartitionsRequest {
        topics: vec![grow],
        ..Default::default()
    };
    assert_eq!(
        client.request(&grow, 3).await.results[0].error_code,
        ErrorCode::NONE
    );
    let again = client.request(&grow, 3).await.results[0].error_code;
    assert_eq!(again, ErrorCode::INVALID_PARTITIONS);
    assert_eq!(cluster.topics(), [(Str::from("orders"), 5)]);

    let state = DeleteTopicState {
        topic_id: created.topic_id,
        ..Default::default()
    };
    let delete = DeleteTopicsRequest {
        topics: vec![state],
        ..Default::default()
    };
    let deleted = client.request(&delete, 6).await.responses[0].clone();
    assert_eq!(
        (deleted.error_code, deleted.name.as_deref()),
        (ErrorCode::NONE, Some("orders"))
    );
    let again = client.request(&delete, 6).await.responses[0].error_code;
    assert_eq!(again, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[tokio::test]
async fn settings_are_changed_and_described() {
    let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let alter = |value: &str, operation| IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 2,
            resource_name: Str::from("orders"),
            configs: vec![AlterableConfig {
                name: Str::from("max.message.bytes"),
                config_operation: operation,
                value: Some(Str::from(value)),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let described = async |client: &mut Client, resource_type, name: &str| {
        let resource = DescribeConfigsResource {
            resource_type,
            resource_name: Str::from(name),
            ..Default::default()
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            ..Default::default()
        };
        let result = client.request(&request, 4).await.results[0].clone();
        result.configs[0].clone()
    };
    for (value, operation, code, expected) in [
        ("5000", 0, ErrorCode::NONE, "5000"),
        ("many", 0, ErrorCode::INVALID_CONFIG, "5000"),
        ("6000", 2, ErrorCode::INVALID_CONFIG, "5000"),
        ("", 1, ErrorCode::NONE, "1048588"),
    ] {
        let answer = client.request(&alter(value, operation), 1).await.responses[0].clone();
        assert_eq!(answer.error_code, code, "{value} {operation}");
        let config = described(&mut client, 2, "orders").await;
        assert_eq!(config.name, "max.message.bytes");
        assert_eq!(config.value.as_deref(), Some(expected));
        assert_eq!(config.config_source == 5, expected == "1048588");
    }
    let broker = described(&mut client, 4, "1").await;
    assert_eq!(
        (broker.name.as_str(), broker.value.as_deref()),
        ("message.max.bytes", Some("1048588"))
    );
}

#[tokio::test]
async fn a_cluster_does_not_start_with_an_impossible_topic() {
    let error = Cluster::builder()
        .topic("no topic", 1)
        .start()
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        ClusterError::Topic {
            code: ErrorCode::INVALID_TOPIC_EXCEPTION,
            ..
        }
    ));
    let error = Cluster::builder()
        .topic("orders", 0)
        .start()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("orders"), "{error}");
}
