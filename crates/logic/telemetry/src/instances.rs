//! The clients that ask for subscriptions and push. Mirrors what Kafka's `ClientMetricsManager` decides.

use std::collections::HashMap;
use std::sync::Arc;

use config::client_metrics::ClientMetricsSubscription;
use types::{ClientInstanceId, ErrorCode, TimestampMs};

use crate::samples::Sample;
use crate::subscription::{ClientDescription, Subscription};

/// Clients known at a time, as in Kafka; those heard last stay.
const INSTANCES_MAX: usize = 16_384;
/// Bytes kept of all clients' values, about.
pub const KEPT_BYTES_MAX: usize = 32 << 20;
/// What is kept is cut to so many eighths when it becomes too much, so that not every push looks for what can go.
const EIGHTHS_LEFT: usize = 7;
/// Of a value, beside its texts.
const SAMPLE_BYTES: usize = 128;
/// A client is remembered for three intervals, and no less than this.
const REMEMBERED_MS: i64 = 60_000;
/// Of codecs, beyond those of records: none.
const LAST_CODEC: i8 = 4;

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub ErrorCode);

/// A push without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push {
    /// Who pushes.
    pub instance_id: ClientInstanceId,
    /// What it thinks it is subscribed to.
    pub subscription_id: i32,
    /// Its last one.
    pub terminating: bool,
    /// As for records: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub codec: i8,
    /// Bytes of the payload, as sent.
    pub bytes: usize,
}

#[derive(Debug)]
struct Instance {
    client: ClientDescription,
    subscription: Subscription,
    /// Of the subscriptions that this one was made of.
    version: u64,
    heard: TimestampMs,
    asked: Option<TimestampMs>,
    pushed: Option<TimestampMs>,
    terminating: bool,
    /// It was told to ask anew, and may do so at once.
    sent_back: bool,
    samples: Arc<[Sample]>,
    /// About, of the samples.
    bytes: usize,
}

/// A client and its values.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its id.
    pub instance: ClientInstanceId,
    /// Who it is.
    pub client: ClientDescription,
    /// What it pushed last.
    pub samples: Arc<[Sample]>,
}

/// The clients of one broker.
#[derive(Debug, Default)]
pub struct ClientInstances {
    subscriptions: Vec<ClientMetricsSubscription>,
    version: u64,
    instances: HashMap<ClientInstanceId, Instance>,
    kept_bytes: usize,
}

impl ClientInstances {
    /// The subscriptions of the cluster are others from now on.
    pub fn set_subscriptions(&mut self, subscriptions: Vec<ClientMetricsSubscription>) {
        self.subscriptions = subscriptions;
        self.version += 1;
    }

    /// A client asks what it is to push.
    ///
    /// # Errors
    /// THROTTLING_QUOTA_EXCEEDED: it asks again before its interval is over, and nothing has changed.
    pub fn ask(
        &mut self,
        now: TimestampMs,
        instance_id: ClientInstanceId,
        client: &ClientDescription,
    ) -> Result<Subscription, Refusal> {
        let instance = self.instance(now, instance_id, client);
        let last = instance.asked.max(instance.pushed);
        if !instance.sent_back && !is_over(last, instance.subscription.interval_ms, now) {
            return Err(Refusal(ErrorCode::ThrottlingQuotaExceeded));
        }
        instance.asked = Some(now);
        instance.sent_back = false;
        Ok(instance.subscription.clone())
    }

    /// A client pushes. Whoever isn't refused may hand in its values by [`ClientInstances::keep`].
    ///
    /// # Errors
    /// Kafka's: INVALID_REQUEST of a client that has ended, THROTTLING_QUOTA_EXCEEDED, UNKNOWN_SUBSCRIPTION_ID,
    /// UNSUPPORTED_COMPRESSION_TYPE, TELEMETRY_TOO_LARGE above `max_bytes`.
    pub fn push(
        &mut self,
        now: TimestampMs,
        push: &Push,
        client: &ClientDescription,
        max_bytes: usize,
    ) -> Result<(), Refusal> {
        if push.instance_id == ClientInstanceId::ZERO {
            return Err(Refusal(ErrorCode::InvalidRequest));
        }
        let instance = self.instance(now, push.instance_id, client);
        let outcome = instance.check(now, push, max_bytes);
        instance.terminating = push.terminating;
        if let Err(Refusal(error)) = &outcome {
            let again = [ErrorCode::UnknownSubscriptionId, ErrorCode::UnsupportedCompressionType];
            instance.sent_back = again.contains(error);
        }
        outcome
    }

    /// What a client pushed takes the place of what it pushed before.
    pub fn keep(&mut self, instance_id: ClientInstanceId, samples: Vec<Sample>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else {
            return;
        };
        let bytes = samples.iter().map(bytes_of).sum();
        self.kept_bytes = self.kept_bytes.saturating_sub(instance.bytes).saturating_add(bytes);
        (instance.samples, instance.bytes) = (samples.into(), bytes);
        if self.kept_bytes > KEPT_BYTES_MAX {
            let left = KEPT_BYTES_MAX / 8 * EIGHTHS_LEFT;
            self.forget_oldest(|instances| instances.kept_bytes <= left, |instance| instance.bytes > 0);
        }
    }

    /// All values of those who are still there.
    pub fn shown(&mut self, now: TimestampMs) -> Vec<Shown> {
        self.forget_silent(now);
        let shown = self.instances.iter().filter(|(_, instance)| instance.bytes > 0);
        shown
            .map(|(id, instance)| Shown {
                instance: *id,
                client: instance.client.clone(),
                samples: Arc::clone(&instance.samples),
            })
            .collect()
    }

    fn instance(&mut self, now: TimestampMs, id: ClientInstanceId, client: &ClientDescription) -> &mut Instance {
        if !self.instances.contains_key(&id) && self.instances.len() >= INSTANCES_MAX {
            self.forget_silent(now);
            let left = INSTANCES_MAX / 8 * EIGHTHS_LEFT;
            if self.instances.len() >= INSTANCES_MAX {
                self.forget_oldest(|instances| instances.instances.len() <= left, |_| true);
            }
        }
        let (version, subscriptions) = (self.version, &self.subscriptions);
        let subscription = || Subscription::of(subscriptions, id, client);
        let instance = self.instances.entry(id).or_insert_with(|| Instance {
            client: client.clone(),
            subscription: subscription(),
            version,
            heard: now,
            asked: None,
            pushed: None,
            terminating: false,
            sent_back: false,
            samples: Arc::default(),
            bytes: 0,
        });
        instance.heard = now;
        if instance.version != version {
            // It may ask at once, and must.
            instance.subscription = subscription();
            instance.version = version;
            (instance.asked, instance.pushed) = (None, None);
            instance.terminating = false;
        }
        instance
    }

    fn forget_silent(&mut self, now: TimestampMs) {
        let kept = &mut self.kept_bytes;
        self.instances.retain(|_, instance| {
            let remembered = REMEMBERED_MS.max(3 * i64::from(instance.subscription.interval_ms));
            let stays = now.since(instance.heard) < remembered;
            if !stays {
                *kept = kept.saturating_sub(instance.bytes);
            }
            stays
        });
    }

    /// Forgets those of this kind who were heard longest ago, until it is enough.
    fn forget_oldest(&mut self, is_enough: impl Fn(&Self) -> bool, of_kind: impl Fn(&Instance) -> bool) {
        let kind = self.instances.iter().filter(|(_, instance)| of_kind(instance));
        let mut oldest: Vec<(TimestampMs, ClientInstanceId)> =
            kind.map(|(id, instance)| (instance.heard, *id)).collect();
        oldest.sort_unstable();
        for (_, id) in oldest {
            if is_enough(self) {
                return;
            }
            if let Some(instance) = self.instances.remove(&id) {
                self.kept_bytes = self.kept_bytes.saturating_sub(instance.bytes);
            }
        }
    }
}

fn bytes_of(sample: &Sample) -> usize {
    let texts = sample.labels.iter().map(|(name, text)| name.len() + text.len() + 48);
    SAMPLE_BYTES + sample.name.len() + texts.sum::<usize>()
}

impl Instance {
    fn check(&mut self, now: TimestampMs, push: &Push, max_bytes: usize) -> Result<(), Refusal> {
        if self.terminating {
            return Err(Refusal(ErrorCode::InvalidRequest));
        }
        // The first push after a question comes when the client likes: it spreads them.
        let in_time = self.asked > self.pushed || is_over(self.pushed, self.subscription.interval_ms, now);
        if in_time {
            self.pushed = Some(now);
        } else if !push.terminating {
            return Err(Refusal(ErrorCode::ThrottlingQuotaExceeded));
        }
        if push.subscription_id != self.subscription.id {
            return Err(Refusal(ErrorCode::UnknownSubscriptionId));
        }
        if !(0..=LAST_CODEC).contains(&push.codec) {
            return Err(Refusal(ErrorCode::UnsupportedCompressionType));
        }
        if push.bytes > max_bytes {
            return Err(Refusal(ErrorCode::TelemetryTooLarge));
        }
        Ok(())
    }
}

fn is_over(since: Option<TimestampMs>, interval_ms: i32, now: TimestampMs) -> bool {
    since.is_none_or(|since| now.since(since) >= i64::from(interval_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BYTES: usize = 1_000;

    fn subscription(configs: &[(&str, &str)]) -> ClientMetricsSubscription {
        ClientMetricsSubscription::parse(configs.iter().copied()).unwrap()
    }

    fn java() -> ClientDescription {
        ClientDescription {
            client_id: "app".to_owned(),
            software_name: "apache-kafka-java".to_owned(),
            ..ClientDescription::default()
        }
    }

    fn id(number: u128) -> ClientInstanceId {
        ClientInstanceId(types::Uuid::from_u128(number))
    }

    fn push(number: u128, subscription: &Subscription) -> Push {
        Push {
            instance_id: id(number),
            subscription_id: subscription.id,
            terminating: false,
            codec: 4,
            bytes: 10,
        }
    }

    fn sample() -> Sample {
        Sample {
            name: "kafka_client_a".to_owned(),
            labels: Vec::new(),
            value: 1.0,
        }
    }

    fn asked_for_everything() -> ClientInstances {
        let mut instances = ClientInstances::default();
        instances.set_subscriptions(vec![subscription(&[("metrics", "*"), ("interval.ms", "1000")])]);
        instances
    }

    #[test]
    fn a_client_is_asked_for_all_that_matches_it() {
        let mut instances = ClientInstances::default();
        let nothing = instances.ask(TimestampMs(0), id(1), &java()).unwrap();
        assert_eq!((nothing.interval_ms, nothing.metrics.len()), (300_000, 0));
        instances.set_subscriptions(vec![
            subscription(&[("metrics", "b,a"), ("interval.ms", "5000")]),
            subscription(&[("metrics", "c"), ("match", "client_software_name=.*java")]),
            subscription(&[("metrics", "*"), ("match", "client_id=other")]),
        ]);
        let some = instances.ask(TimestampMs(1), id(1), &java()).unwrap();
        assert_eq!(
            (some.interval_ms, some.metrics),
            (5_000, vec!["a".into(), "b".into(), "c".into()])
        );
        let other = ClientDescription {
            client_id: "other".to_owned(),
            ..java()
        };
        let all = instances.ask(TimestampMs(1), id(2), &other).unwrap();
        assert_eq!(all.metrics, ["*"]);
    }

    #[test]
    fn every_broker_gives_a_subscription_the_same_id() {
        let of = |number| {
            asked_for_everything()
                .ask(TimestampMs(0), id(number), &java())
                .unwrap()
                .id
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn whoever_comes_too_early_is_sent_back() {
        let mut instances = asked_for_everything();
        let subscribed = instances.ask(TimestampMs(0), id(1), &java()).unwrap();
        let throttled = Err(Refusal(ErrorCode::ThrottlingQuotaExceeded));
        assert_eq!(
            instances.ask(TimestampMs(999), id(1), &java()).err(),
            throttled.clone().err()
        );
        let mut push_at = |ms, terminating| {
            let push = Push {
                terminating,
                ..push(1, &subscribed)
            };
            instances.push(TimestampMs(ms), &push, &java(), MAX_BYTES)
        };
        assert_eq!(push_at(1, false), Ok(()), "the first is free");
        assert_eq!(push_at(1_000, false), throttled);
        assert_eq!(push_at(1_001, false), Ok(()));
        assert_eq!(push_at(1_002, true), Ok(()), "the last is, too");
        assert_eq!(push_at(9_000, false), Err(Refusal(ErrorCode::InvalidRequest)));
    }

    #[test]
    fn what_is_wrong_with_a_push_is_said() {
        let mut instances = asked_for_everything();
        let subscribed = instances.ask(TimestampMs(0), id(1), &java()).unwrap();
        let right = push(1, &subscribed);
        let mut now = 0;
        let mut error = |push: Push| {
            now += 10_000;
            instances.push(TimestampMs(now), &push, &java(), MAX_BYTES).err()
        };
        let refused = |error| Some(Refusal(error));
        let stranger = Push {
            instance_id: ClientInstanceId::ZERO,
            ..right
        };
        assert_eq!(error(stranger), refused(ErrorCode::InvalidRequest));
        let large = Push {
            bytes: MAX_BYTES + 1,
            ..right
        };
        assert_eq!(error(large), refused(ErrorCode::TelemetryTooLarge));
        let foreign = Push { codec: 5, ..right };
        assert_eq!(error(foreign), refused(ErrorCode::UnsupportedCompressionType));
        let old = Push {
            subscription_id: right.subscription_id.wrapping_add(1),
            ..right
        };
        assert_eq!(error(old), refused(ErrorCode::UnknownSubscriptionId));
        // Told to ask anew, it may do so at once.
        assert!(instances.ask(TimestampMs(40_001), id(1), &java()).is_ok());
    }

    #[test]
    fn a_change_of_subscriptions_reaches_a_client_that_pushes() {
        let mut instances = asked_for_everything();
        let before = instances.ask(TimestampMs(0), id(1), &java()).unwrap();
        instances.set_subscriptions(vec![subscription(&[("metrics", "a")])]);
        let refused = instances.push(TimestampMs(1), &push(1, &before), &java(), MAX_BYTES);
        assert_eq!(refused, Err(Refusal(ErrorCode::UnknownSubscriptionId)));
        assert_eq!(instances.ask(TimestampMs(2), id(1), &java()).unwrap().metrics, ["a"]);
    }

    #[test]
    fn the_silent_are_forgotten_and_what_is_kept_is_bounded() {
        let mut instances = asked_for_everything();
        let half = KEPT_BYTES_MAX / 2 / bytes_of(&sample());
        for number in 1..=3 {
            let now = TimestampMs(i64::try_from(number).unwrap());
            instances.ask(now, id(number), &java()).unwrap();
            instances.keep(id(number), vec![sample(); half]);
        }
        // The last two are more than seven eighths.
        let shown: Vec<ClientInstanceId> = instances
            .shown(TimestampMs(3))
            .iter()
            .map(|shown| shown.instance)
            .collect();
        assert_eq!(shown, [id(3)]);
        instances.keep(id(3), vec![sample()]);
        assert_eq!(instances.kept_bytes, bytes_of(&sample()));
        assert_eq!(instances.shown(TimestampMs(60_002)).len(), 1);
        assert_eq!(instances.shown(TimestampMs(60_003)).len(), 0);
        assert_eq!(instances.kept_bytes, 0);
    }

    #[test]
    fn a_flood_of_ids_leaves_those_who_were_heard_last() {
        let mut instances = asked_for_everything();
        for number in 1..=20_000 {
            let _ = instances.ask(TimestampMs(i64::try_from(number).unwrap()), id(number), &java());
            assert!(instances.instances.len() <= INSTANCES_MAX);
        }
        assert!(instances.instances.contains_key(&id(20_000)) && !instances.instances.contains_key(&id(1)));
    }
}
