//! What a connection hands its requests to: the broker's table, or a test's own.

use std::fmt::Debug;
use std::sync::Arc;

use crate::apis::{Handling, api_name, dispatch};
use crate::context::{ApiRequest, BrokerContext};

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
        dispatch(&self.0, request)
    }
}
