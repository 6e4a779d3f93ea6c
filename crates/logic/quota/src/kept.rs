//! What is remembered of many clients, for as long as it matters.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries kept before those that are over are swept out.
const SWEEP_AT: usize = 1_024;

/// Entries by key. Those that are over are swept out whenever there are twice as many as the last sweep left.
#[derive(Debug)]
pub struct Kept<K, V> {
    entries: HashMap<K, V>,
    sweep_at: usize,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            sweep_at: SWEEP_AT,
        }
    }
}

impl<K: Eq + Hash, V: Default> Kept<K, V> {
    /// The entry of a key, a new one if there is none.
    pub fn entry(&mut self, key: K, is_over: impl Fn(&V) -> bool) -> &mut V {
        if self.entries.len() >= self.sweep_at && !self.entries.contains_key(&key) {
            self.entries.retain(|_, entry| !is_over(entry));
            self.sweep_at = SWEEP_AT.max(2 * self.entries.len());
        }
        self.entries.entry(key).or_default()
    }

    /// The entry of a key, if there is one.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_swept_out_and_the_rest_stays() {
        let mut kept = Kept::<usize, usize>::default();
        for key in 0..10 * SWEEP_AT {
            *kept.entry(key, |used| key - used > 100) = key;
            assert!(kept.len() <= SWEEP_AT);
        }
        assert_eq!(kept.get_mut(&(10 * SWEEP_AT - 1)), Some(&mut (10 * SWEEP_AT - 1)));
        assert_eq!(kept.get_mut(&0), None);
        // With everything in use it grows, and looks seldom whether that is still so.
        let looks = std::cell::Cell::new(0);
        let mut kept = Kept::<usize, usize>::default();
        for key in 0..10 * SWEEP_AT {
            kept.entry(key, |_| {
                looks.set(looks.get() + 1);
                false
            });
        }
        assert_eq!(kept.len(), 10 * SWEEP_AT);
        assert!(looks.get() < 20 * SWEEP_AT, "{}", looks.get());
    }
}
