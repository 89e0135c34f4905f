//! DescribeCluster: the brokers.

use wolff_codec::messages::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::serve::{Call, Serve, Served};

impl Serve for DescribeClusterRequest {
    async fn serve(self, call: &Call<'_>) -> Served<DescribeClusterResponse> {
        let model = call.shared.model();
        let brokers = model
            .living()
            .map(|(broker_id, node)| DescribeClusterBroker {
                broker_id,
                host: node.host.clone(),
                port: node.port.into(),
                ..Default::default()
            });
        let response = DescribeClusterResponse {
            cluster_id: model.cluster_id().clone(),
            controller_id: model.controller(),
            brokers: brokers.collect(),
            ..Default::default()
        };
        Served::Answer(match call.script.error() {
            Some(error_code) => DescribeClusterResponse {
                error_code,
                ..Default::default()
            },
            None => response,
        })
    }
}
