//! What clients tell of themselves (KIP-714), kept for `/metrics`.
//!
//! Kafka hands pushes to a plugin of the operator's; here they are shown beside the broker's own metrics, the last push of each client.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use config::client_metrics::ClientMetricsSubscription;
use metadata::{ConfigMap, MetadataImage};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::MetricType;
use records::{BatchError, Compression, decompress};
use telemetry::{ClientDescription, ClientInstances, OWN_LABELS, Push, Refusal, Sample, Shown, Subscription, samples};
use types::{ClientInstanceId, ErrorCode};

use crate::blocking::BlockingPool;
use crate::clock::Clock;

/// Decompressed bytes of a push that are looked at. Read, they may take thirty times as much for a moment.
const PUSH_BYTES_MAX: usize = 2 << 20;
/// Of every metric: clients say no more of them than the name.
const HELP: &str = "Pushed by a client";

/// The clients that push to this broker.
#[derive(Debug)]
pub struct ClientTelemetry {
    max_bytes: usize,
    clock: Arc<dyn Clock>,
    pool: BlockingPool,
    /// One push is read at a time.
    reading: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    instances: ClientInstances,
    /// What the subscriptions were made of.
    configs: Vec<Arc<ConfigMap>>,
}

impl ClientTelemetry {
    /// `telemetry.max.bytes`: of a push, as sent. Pushes are read on `pool`.
    #[must_use]
    pub fn new(max_bytes: usize, clock: Arc<dyn Clock>, pool: BlockingPool) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            clock,
            pool,
            reading: tokio::sync::Mutex::default(),
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
    /// Kafka's; INVALID_RECORD, which makes clients stop, of a payload that can't be read.
    pub(crate) async fn push(
        &self,
        image: &MetadataImage,
        push: &Push,
        payload: Bytes,
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
        let codec = u8::try_from(push.codec)
            .ok()
            .and_then(|id| Compression::from_id(id).ok());
        let codec = codec.ok_or(Refusal(ErrorCode::UnsupportedCompressionType))?;
        let samples = {
            let _one = self.reading.lock().await;
            let read = self.pool.run(move || read(codec, &payload)).await;
            read.ok_or(Refusal(ErrorCode::UnknownServerError))??
        };
        self.state.lock().instances.keep(push.instance_id, samples);
        Ok(())
    }
}

fn read(codec: Compression, payload: &Bytes) -> Result<Vec<Sample>, Refusal> {
    let plain = decompress(codec, payload, PUSH_BYTES_MAX).map_err(|error| match error {
        // The client goes on with its next interval: it may have less to say by then.
        BatchError::DecompressedTooLarge { .. } => Refusal(ErrorCode::TelemetryTooLarge),
        _ => Refusal(ErrorCode::InvalidRecord),
    })?;
    if plain.len() > PUSH_BYTES_MAX {
        return Err(Refusal(ErrorCode::TelemetryTooLarge));
    }
    samples(&plain).map_err(|_| Refusal(ErrorCode::InvalidRecord))
}

impl Collector for ClientTelemetry {
    /// Every client that was heard lately.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shown = self.state.lock().instances.shown(self.clock.now());
        let clients: Vec<(String, &Shown)> = shown.iter().map(|one| (one.instance.to_string(), one)).collect();
        let samples = clients
            .iter()
            .flat_map(|(instance, one)| one.samples.iter().map(move |sample| (instance, one, sample)));
        let mut samples: Vec<_> = samples.collect();
        samples.sort_by(|left, right| left.2.name.cmp(&right.2.name));
        for of_one_name in samples.chunk_by(|left, right| left.2.name == right.2.name) {
            let Some((_, _, first)) = of_one_name.first() else {
                continue;
            };
            let mut family = encoder.encode_descriptor(&first.name, HELP, None, MetricType::Gauge)?;
            for (instance, one, sample) in of_one_name {
                let client = &one.client;
                let who = [
                    &client.client_id,
                    instance,
                    &client.software_name,
                    &client.software_version,
                ];
                family
                    .encode_family(&Labels { who, sample })?
                    .encode_gauge(&sample.value)?;
            }
        }
        Ok(())
    }
}

/// Of one value: who pushed it, in the order of [`OWN_LABELS`], and what the client says.
#[derive(Debug)]
struct Labels<'a> {
    who: [&'a String; 4],
    sample: &'a Sample,
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let who = OWN_LABELS
            .iter()
            .copied()
            .zip(self.who.iter().map(|text| text.as_str()));
        let own = self
            .sample
            .labels
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        for label in who.chain(own) {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl State {
    /// Takes the subscriptions of the image, where they have changed.
    fn follow(&mut self, image: &MetadataImage) {
        let same = image
            .client_metrics()
            .map(Arc::as_ptr)
            .eq(self.configs.iter().map(Arc::as_ptr));
        if same {
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
