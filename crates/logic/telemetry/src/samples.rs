//! A push as Prometheus sees it: one value for each name and set of labels.

use std::collections::BTreeMap;

use prost::{DecodeError, Message};

use crate::otlp::{Data, KeyValue, MetricsData, Number, Value};

/// Points of one push that are looked at. A Java client with a hundred partitions sends a few hundred.
const POINTS_MAX: usize = 5_000;
const LABELS_MAX: usize = 16;
/// Attributes of one point, or of the client, that are looked at.
const ATTRIBUTES_MAX: usize = 32;
/// Longer names and values are cut.
const TEXT_BYTES: usize = 200;
/// The labels that tell who pushes: what the client says of these is the same, or not to be believed.
pub const OWN_LABELS: [&str; 4] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
];

/// One value of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// As Prometheus takes it: `kafka_client_producer_connection_creation_total`.
    pub name: String,
    /// Names as Prometheus takes them, sorted, each once.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// Reads the metrics of a push: gauges, sums, and of histograms the count and the sum.
///
/// # Errors
/// Bytes that aren't OpenTelemetry's.
pub fn samples(payload: &[u8]) -> Result<Vec<Sample>, DecodeError> {
    let data = MetricsData::decode(payload)?;
    let mut found = Found {
        samples: BTreeMap::new(),
        points_left: POINTS_MAX,
    };
    for resource in &data.resource_metrics {
        let common = resource.resource.as_ref();
        let common = labels(
            common
                .map(|resource| resource.attributes.as_slice())
                .unwrap_or_default(),
        );
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            match &metric.data {
                Some(Data::Gauge(numbers) | Data::Sum(numbers)) => {
                    for point in &numbers.data_points {
                        let Some(value) = point.value.filter(|_| found.takes_a_point()) else {
                            continue;
                        };
                        found.note(metric_name(&metric.name), &common, &point.attributes, as_float(value));
                    }
                }
                Some(Data::Histogram(histogram)) => {
                    for point in &histogram.data_points {
                        if !found.takes_a_point() {
                            break;
                        }
                        let name = metric_name(&metric.name);
                        found.note(format!("{name}_count"), &common, &point.attributes, count(point.count));
                        if let Some(sum) = point.sum {
                            found.note(format!("{name}_sum"), &common, &point.attributes, sum);
                        }
                    }
                }
                None => {}
            }
        }
    }
    let samples = found.samples.into_iter();
    Ok(samples
        .map(|((name, labels), value)| Sample { name, labels, value })
        .collect())
}

type Labels = BTreeMap<String, String>;

/// What a push has said so far.
struct Found {
    samples: BTreeMap<(String, Vec<(String, String)>), f64>,
    points_left: usize,
}

impl Found {
    fn takes_a_point(&mut self) -> bool {
        let takes = self.points_left > 0;
        self.points_left = self.points_left.saturating_sub(1);
        takes
    }

    fn note(&mut self, name: String, common: &Labels, attributes: &[KeyValue], value: f64) {
        let mut all = common.clone();
        for (label, text) in labels(attributes) {
            if all.len() < LABELS_MAX || all.contains_key(&label) {
                all.insert(label, text);
            }
        }
        self.samples.insert((name, all.into_iter().collect()), value);
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown as a float in any case")]
fn as_float(value: Number) -> f64 {
    match value {
        Number::Double(value) => value,
        Number::Int(value) => value as f64,
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown as a float in any case")]
fn count(value: u64) -> f64 {
    value as f64
}

/// `org.apache.kafka.consumer.fetch.manager.fetch.latency.avg` as `kafka_client_consumer_fetch_manager_fetch_latency_avg`.
fn metric_name(name: &str) -> String {
    let own = name.strip_prefix("org.apache.kafka.").unwrap_or(name);
    format!("kafka_client_{}", word(own))
}

/// What Prometheus takes as a part of a name.
fn word(text: &str) -> String {
    let letters = text.bytes().take(TEXT_BYTES);
    letters
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte)
            } else {
                '_'
            }
        })
        .collect()
}

fn labels(attributes: &[KeyValue]) -> Labels {
    let mut labels = Labels::new();
    for attribute in attributes.iter().take(ATTRIBUTES_MAX) {
        let Some(value) = attribute.value.as_ref().and_then(|value| value.value.as_ref()) else {
            continue;
        };
        let value = match value {
            Value::Text(text) => cut(text).to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Double(value) => value.to_string(),
        };
        let mut name = word(&attribute.key);
        // A label's name doesn't begin with a digit, and `__` is Prometheus' own.
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            name.insert(0, 'a');
        }
        let is_own = OWN_LABELS.contains(&name.as_str());
        if !is_own && (labels.len() < LABELS_MAX || labels.contains_key(&name)) {
            labels.insert(name, value);
        }
    }
    labels
}

/// No more than 200 bytes of a text.
#[must_use]
pub fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::otlp::{
        AnyValue, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Numbers, Resource, ResourceMetrics,
        ScopeMetrics,
    };

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
        }
    }

    fn push(attributes: Vec<KeyValue>, metrics: Vec<Metric>) -> Vec<u8> {
        let resource = ResourceMetrics {
            resource: Some(Resource { attributes }),
            scope_metrics: vec![ScopeMetrics { metrics }],
        };
        MetricsData {
            resource_metrics: vec![resource],
        }
        .encode_to_vec()
    }

    fn point(attributes: Vec<KeyValue>, value: Number) -> Numbers {
        Numbers {
            data_points: vec![NumberDataPoint {
                attributes,
                value: Some(value),
            }],
        }
    }

    fn metric(name: &str, data: Data) -> Metric {
        Metric {
            name: name.to_owned(),
            data: Some(data),
        }
    }

    #[test]
    fn names_labels_and_values_are_prometheus() {
        let node = vec![attribute("node.id", Value::Int(2))];
        let latency = point(node, Number::Double(1.5));
        let sizes = Histogram {
            data_points: vec![HistogramDataPoint {
                attributes: Vec::new(),
                count: 3,
                sum: Some(9.0),
            }],
        };
        let payload = push(
            vec![attribute("group_id", Value::Text("g".to_owned()))],
            vec![
                metric(
                    "org.apache.kafka.consumer.node.request.latency.avg",
                    Data::Gauge(latency),
                ),
                metric("org.apache.kafka.sizes", Data::Histogram(sizes)),
                metric("org.apache.kafka.total", Data::Sum(point(Vec::new(), Number::Int(7)))),
            ],
        );
        let shown: Vec<String> = samples(&payload)
            .unwrap()
            .into_iter()
            .map(|sample| format!("{} {:?} {}", sample.name, sample.labels, sample.value))
            .collect();
        assert_eq!(
            shown,
            [
                r#"kafka_client_consumer_node_request_latency_avg [("group_id", "g"), ("node_id", "2")] 1.5"#,
                r#"kafka_client_sizes_count [("group_id", "g")] 3"#,
                r#"kafka_client_sizes_sum [("group_id", "g")] 9"#,
                r#"kafka_client_total [("group_id", "g")] 7"#,
            ]
        );
    }

    #[test]
    fn one_name_with_the_same_labels_is_one_value() {
        let twice = Numbers {
            data_points: [1, 2]
                .map(|value| NumberDataPoint {
                    attributes: Vec::new(),
                    value: Some(Number::Int(value)),
                })
                .to_vec(),
        };
        let payload = push(Vec::new(), vec![metric("a", Data::Gauge(twice))]);
        let found = samples(&payload).unwrap();
        assert_eq!((found.len(), found[0].value.to_string()), (1, "2".to_owned()));
    }

    #[test]
    fn a_push_without_end_is_cut() {
        let points = (0..POINTS_MAX + 10).map(|at| {
            let many = (0..LABELS_MAX + 5).map(|label| attribute(&format!("{label}"), Value::Text("x".repeat(1_000))));
            NumberDataPoint {
                attributes: many.chain([attribute("at", Value::Int(at as i64))]).collect(),
                value: Some(Number::Int(1)),
            }
        });
        let unlike = Numbers {
            data_points: points.take(3).collect(),
        };
        let payload = push(Vec::new(), vec![metric(&"n".repeat(10_000), Data::Gauge(unlike))]);
        for sample in samples(&payload).unwrap() {
            assert!(sample.name.len() < 2 * TEXT_BYTES && sample.labels.len() <= LABELS_MAX);
            assert!(sample.labels.iter().all(|(_, value)| value.len() <= TEXT_BYTES));
        }
        let points = (0..POINTS_MAX as i64 + 10).map(|at| NumberDataPoint {
            attributes: vec![attribute("at", Value::Int(at))],
            value: Some(Number::Int(1)),
        });
        let many = Numbers {
            data_points: points.collect(),
        };
        let payload = push(Vec::new(), vec![metric("a", Data::Gauge(many))]);
        assert_eq!(samples(&payload).unwrap().len(), POINTS_MAX);
    }

    #[test]
    fn a_client_does_not_say_who_it_is_by_a_label() {
        let attributes = vec![
            attribute("client_id", Value::Text("somebody".to_owned())),
            attribute("client.id", Value::Text("else".to_owned())),
            attribute("a", Value::Text("\u{1f600}".repeat(100))),
        ];
        let payload = push(
            Vec::new(),
            vec![metric("m", Data::Gauge(point(attributes, Number::Int(1))))],
        );
        let found = samples(&payload).unwrap();
        let labels: Vec<(&str, usize)> = found[0]
            .labels
            .iter()
            .map(|(name, text)| (name.as_str(), text.len()))
            .collect();
        assert_eq!(labels, [("a", TEXT_BYTES)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(found) = samples(&payload) {
                prop_assert!(found.iter().all(|sample| sample.name.is_ascii()));
            }
        }
    }
}
