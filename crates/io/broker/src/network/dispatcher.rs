//! What a connection hands its requests to: the broker's table, or a test's own.

use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::apis::{Handled, Handling, api_name, dispatch};
use crate::context::{ApiRequest, BrokerContext, ClientConnection};

/// Takes requests in the order in which they came over a connection.
pub(crate) trait Dispatcher: Debug + Send + Sync + 'static {
    /// The work that answers a request. Polled once before the next request is taken.
    fn dispatch(&self, request: ApiRequest) -> Handling;

    /// The API's name for metrics.
    fn api_name(&self, api_key: i16) -> &'static str {
        api_name(api_key)
    }
}

/// A broker's.
#[derive(Debug)]
pub(crate) struct BrokerDispatcher(pub(crate) Arc<BrokerContext>);

impl Dispatcher for BrokerDispatcher {
    fn dispatch(&self, request: ApiRequest) -> Handling {
        let broker = &self.0;
        let client_id = request.header.client_id.as_deref().unwrap_or_default();
        if !broker.quotas.limits_time(&broker.host.image.load(), client_id) {
            return dispatch(broker, request);
        }
        let (client, client_id) = (Arc::clone(&request.client), client_id.to_owned());
        Box::pin(metered(
            Arc::clone(broker),
            dispatch(broker, request),
            client,
            client_id,
        ))
    }
}

/// Measures the time that the work takes of threads, for which its client then waits (`request_percentage`, KIP-124).
async fn metered(
    broker: Arc<BrokerContext>,
    mut work: Handling,
    client: Arc<ClientConnection>,
    client_id: String,
) -> Handled {
    let mut spent = Duration::ZERO;
    let handled = poll_fn(|context| {
        let began = Instant::now();
        let polled = work.as_mut().poll(context);
        spent += began.elapsed();
        polled
    })
    .await;
    let (image, now) = (broker.host.image.load(), broker.host.clock.now());
    client.mute(broker.quotas.charge_time(&image, &client_id, spent, now));
    handled
}
