//! What is written: records as applications write them, neither all alike nor by chance alone, so that codecs have
//! something to do. The same at every run.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// So many different ones, unless that is more than [`POOL_BYTES`].
const POOL: usize = 8_192;
/// They are made before the clock starts, and should stay in the processor's cache.
const POOL_BYTES: usize = 4 << 20;
const SEED: u64 = 7;
const WORDS: [&str; 24] = [
    "stream",
    "order",
    "paid",
    "castle",
    "letter",
    "bridge",
    "village",
    "clerk",
    "landlady",
    "schoolmaster",
    "north",
    "delivery",
    "refund",
    "gorge",
    "winter",
    "messenger",
    "telephone",
    "account",
    "invoice",
    "signal",
    "assistant",
    "window",
    "lantern",
    "snow",
];

/// Values that come round and round.
#[derive(Debug)]
pub(super) struct Payloads {
    pool: Vec<Vec<u8>>,
    next: usize,
}

impl Payloads {
    /// Of exactly so many bytes each.
    pub(super) fn new(bytes: usize) -> Self {
        let count = (POOL_BYTES / bytes.max(1)).clamp(1, POOL);
        let mut random = SmallRng::seed_from_u64(SEED);
        Self {
            pool: (0..count).map(|id| payload(&mut random, id, bytes)).collect(),
            next: 0,
        }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> &[u8] {
        let at = self.next;
        self.next = (at + 1) % self.pool.len();
        self.pool.get(at).map_or(&[], Vec::as_slice)
    }
}

fn payload(random: &mut SmallRng, id: usize, bytes: usize) -> Vec<u8> {
    let kind = WORDS[random.random_range(0..WORDS.len())];
    let mut text = format!(
        "{{\"id\":{id:08},\"user\":\"u{:05}\",\"ts\":{},\"kind\":\"{kind}\",\"amount\":{:05},\"note\":\"",
        random.random_range(0..50_000),
        1_760_000_000_000_u64 + 3 * id as u64,
        random.random_range(0..100_000),
    );
    while text.len() < bytes {
        text.push_str(WORDS[random.random_range(0..WORDS.len())]);
        text.push(if random.random_range(0..8) == 0 { '7' } else { ' ' });
    }
    let mut payload = text.into_bytes();
    payload.truncate(bytes.saturating_sub(2));
    payload.extend_from_slice(b"\"}");
    payload.truncate(bytes);
    payload
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn payloads_have_the_size_asked_for_and_come_round() {
        for bytes in [1, 2, 50, 100, 1024, 5 << 20] {
            let mut payloads = Payloads::new(bytes);
            let first = payloads.next().to_vec();
            assert_eq!(first.len(), bytes);
            let rest = payloads.pool.len() - 1;
            (0..rest).for_each(|_| assert_eq!(payloads.next().len(), bytes));
            assert_eq!(payloads.next(), first);
        }
    }

    #[test]
    fn payloads_differ_and_are_the_same_at_every_run() {
        let mut payloads = Payloads::new(100);
        let all: BTreeSet<Vec<u8>> = (0..1_000).map(|_| payloads.next().to_vec()).collect();
        assert_eq!(all.len(), 1_000);
        let mut again = Payloads::new(100);
        assert!((0..1_000).all(|_| all.contains(again.next())));
    }
}
