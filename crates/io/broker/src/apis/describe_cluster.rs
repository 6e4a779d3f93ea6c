//! DescribeCluster (60): cluster id, brokers at the listener asked through, controller.

use std::sync::Arc;

use types::ErrorCode;
use wire::messages::describe_cluster_response::DescribeClusterBroker;
use wire::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::authorized_operations::{CLUSTER, NOT_ASKED};
use super::exchange::{Handled, decode, respond, text};
use crate::context::{ApiRequest, BrokerContext};

/// KIP-919's types of endpoints.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
const FIRST_VERSION_WITH_FENCED: i16 = 2;

pub(super) async fn handle(broker: Arc<BrokerContext>, request: ApiRequest) -> Handled {
    let header = request.header;
    let body: DescribeClusterRequest = decode(&header, request.body)?;
    if body.endpoint_type != BROKERS {
        let (code, message) = if body.endpoint_type == CONTROLLERS {
            let message =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            (ErrorCode::MismatchedEndpointType, message.to_owned())
        } else {
            (
                ErrorCode::UnsupportedEndpointType,
                format!("Unsupported endpoint type {}", body.endpoint_type),
            )
        };
        let response = DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(&message)));
        return respond(&header, &response);
    }
    let image = broker.host.image.load();
    let fenced_too = header.api_version >= FIRST_VERSION_WITH_FENCED && body.include_fenced_brokers;
    let brokers: Vec<DescribeClusterBroker> = image
        .brokers()
        .filter(|registration| fenced_too || !registration.fenced)
        .filter_map(|registration| {
            let address = registration.listener(&request.client.listener)?;
            Some(
                DescribeClusterBroker::default()
                    .with_broker_id(registration.id.0.into())
                    .with_host(text(&address.host))
                    .with_port(i32::from(address.port))
                    .with_rack(registration.rack.as_deref().map(text))
                    .with_is_fenced(registration.fenced),
            )
        })
        .collect();
    // As in Metadata: every broker passes requests on to the active controller, so it names itself.
    let alive = |id: &i32| {
        image
            .broker(types::BrokerId(*id))
            .is_some_and(|registration| !registration.fenced)
    };
    let mut ids = brokers.iter().map(|shown| shown.broker_id.0).filter(alive);
    let first = ids.clone().next();
    let controller = ids.find(|id| *id == broker.host.local.0).or(first).unwrap_or(-1);
    let operations = if body.include_cluster_authorized_operations {
        CLUSTER
    } else {
        NOT_ASKED
    };
    let response = DescribeClusterResponse::default()
        .with_cluster_id(image.cluster_id().map(|id| text(&id.0)).unwrap_or_default())
        .with_controller_id(controller.into())
        .with_brokers(brokers)
        .with_cluster_authorized_operations(operations);
    respond(&header, &response)
}
