//! What clients tell of themselves (KIP-714), kept for `/metrics`.
//!
//! Kafka hands pushes to a plugin of the operator's; here they are shown beside the broker's own metrics, the last push of each client.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::client_metrics::ClientMetricsSubscription;
use metadata::{ConfigMap, MetadataImage};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use records::{Compression, decompress};
use telemetry::{ClientDescription, ClientInstances, Push, Refusal, Shown, Subscription, samples};
use types::{ClientInstanceId, ErrorCode};

use crate::clock::Clock;

/// Decompressed bytes of a push that are looked at.
const PUSH_BYTES_MAX: usize = 1 << 20;
/// Of every metric: clients say no more of them than the name.
const HELP: &str = "Pushed by a client";

type Labels<'a> = Vec<(&'a str, String)>;

/// The clients that push to this broker.
#[derive(Debug)]
pub struct ClientTelemetry {
    max_bytes: usize,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    instances: ClientInstances,
    /// What the subscriptions were made of.
    configs: Vec<Arc<ConfigMap>>,
}

impl ClientTelemetry {
    /// `telemetry.max.bytes`: of a push, as sent.
    #[must_use]
    pub fn new(max_bytes: usize, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            clock,
            state: Mutex::default(),
        })
    }

    /// The same, as answers tell it.
    pub(crate) fn max_bytes(&self) -> i32 {
        i32::try_from(self.max_bytes).unwrap_or(i32::MAX)
    }

    /// A client asks what it is to push.
    ///
    /// # Errors
    /// It asks too early.
    pub(crate) fn ask(
        &self,
        image: &MetadataImage,
        instance_id: ClientInstanceId,
        client: &ClientDescription,
    ) -> Result<Subscription, Refusal> {
        let mut state = self.state.lock();
        state.follow(image);
        state.instances.ask(self.clock.now(), instance_id, client)
    }

    /// A client pushes.
    ///
    /// # Errors
    /// Kafka's; INVALID_RECORD of a payload that can't be read.
    pub(crate) fn push(
        &self,
        image: &MetadataImage,
        push: &Push,
        payload: &bytes::Bytes,
        client: &ClientDescription,
    ) -> Result<(), Refusal> {
        {
            let mut state = self.state.lock();
            state.follow(image);
            state.instances.push(self.clock.now(), push, client, self.max_bytes)?;
        }
        // A client that ends may have nothing to say.
        if payload.is_empty() {
            return Ok(());
        }
        let unreadable = || Refusal(ErrorCode::InvalidRecord);
        let codec = u8::try_from(push.codec)
            .ok()
            .and_then(|id| Compression::from_id(id).ok());
        let codec = codec.ok_or(Refusal(ErrorCode::UnsupportedCompressionType))?;
        let plain = decompress(codec, payload, PUSH_BYTES_MAX).map_err(|_| unreadable())?;
        let samples = samples(&plain).map_err(|_| unreadable())?;
        self.state.lock().instances.keep(push.instance_id, samples);
        Ok(())
    }
}

impl Collector for ClientTelemetry {
    /// Every client that was heard lately.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut state = self.state.lock();
        let mut by_name: BTreeMap<&str, Vec<(Labels<'_>, f64)>> = BTreeMap::new();
        for Shown {
            instance,
            client,
            samples,
        } in state.instances.shown(self.clock.now())
        {
            let who = [
                ("client_id", client.client_id.clone()),
                ("client_instance_id", instance.to_string()),
                ("client_software_name", client.software_name.clone()),
                ("client_software_version", client.software_version.clone()),
            ];
            for sample in samples {
                // What the client says of these is the same, or not to be believed.
                let own = sample
                    .labels
                    .iter()
                    .filter(|(name, _)| who.iter().all(|(taken, _)| taken != name));
                let own = own.map(|(name, value)| (name.as_str(), value.clone()));
                let labels: Labels<'_> = who.iter().cloned().chain(own).collect();
                by_name.entry(&sample.name).or_default().push((labels, sample.value));
            }
        }
        for (name, values) in by_name {
            let mut family = encoder.encode_descriptor(name, HELP, None, MetricType::Gauge)?;
            for (labels, value) in values {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

impl State {
    /// Takes the subscriptions of the image, where they have changed.
    fn follow(&mut self, image: &MetadataImage) {
        if image
            .client_metrics()
            .map(Arc::as_ptr)
            .eq(self.configs.iter().map(Arc::as_ptr))
        {
            return;
        }
        self.configs = image.client_metrics().cloned().collect();
        let texts = |config: &Arc<ConfigMap>| {
            let texts = config.iter().map(|(key, text)| (key.as_str(), text.as_str()));
            // The controller checked them; one of a later version is passed over.
            ClientMetricsSubscription::parse(texts).ok()
        };
        let subscriptions = self.configs.iter().filter_map(texts).collect();
        self.instances.set_subscriptions(subscriptions);
    }
}
