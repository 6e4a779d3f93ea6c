//! Latencies, counted in bins of at most 6 % each.

/// Bins of a power of two.
const SUB_BINS: u32 = 16;
/// Its binary logarithm.
const SUB_BITS: u32 = 4;

/// How many took how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    bins: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Latencies {
    /// Counts `count` operations that took `us` microseconds each.
    pub fn add(&mut self, us: u64, count: u64) {
        let bin = bin_of(us);
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, 0);
        }
        if let Some(place) = self.bins.get_mut(bin) {
            *place += count;
        }
        self.count += count;
        self.max_us = self.max_us.max(us);
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        if other.bins.len() > self.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (place, more) in self.bins.iter_mut().zip(&other.bins) {
            *place += more;
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The time within which so many thousandths of all were done; at most 6 % too long.
    pub fn per_mille_us(&self, per_mille: u64) -> u64 {
        let wanted = (self.count.saturating_mul(per_mille)).div_ceil(1000).max(1);
        let mut sum = 0;
        for (bin, count) in self.bins.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return upper_of(bin).min(self.max_us);
            }
        }
        self.max_us
    }
}

fn bin_of(us: u64) -> usize {
    if us < u64::from(SUB_BINS) {
        return us as usize;
    }
    let exponent = 63 - us.leading_zeros();
    let sub = (us >> (exponent - SUB_BITS)) & u64::from(SUB_BINS - 1);
    ((exponent - SUB_BITS + 1) * SUB_BINS) as usize + sub as usize
}

/// The longest time that falls into a bin.
fn upper_of(bin: usize) -> u64 {
    let bin = bin as u64;
    let sub_bins = u64::from(SUB_BINS);
    if bin < sub_bins {
        return bin;
    }
    let shift = bin / sub_bins - 1;
    ((sub_bins + bin % sub_bins + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bin_holds_its_times_and_is_narrow(us in 0_u64..1 << 40) {
            let upper = upper_of(bin_of(us));
            prop_assert!(upper >= us);
            prop_assert!(upper <= us + us / 16 + 1);
            prop_assert_eq!(bin_of(upper), bin_of(us));
            prop_assert_eq!(bin_of(upper + 1), bin_of(us) + 1);
        }
    }

    #[test]
    fn percentiles_are_found() {
        let mut all = Latencies::default();
        assert_eq!(all.per_mille_us(500), 0);
        for us in 1..=1000 {
            all.add(us, 1);
        }
        assert!(
            (500..=532).contains(&all.per_mille_us(500)),
            "{}",
            all.per_mille_us(500)
        );
        assert!((990..=1000).contains(&all.per_mille_us(990)));
        let mut twice = all.clone();
        twice.merge(&all);
        assert_eq!((twice.count(), twice.max_us()), (2000, 1000));
        assert_eq!(twice.per_mille_us(500), all.per_mille_us(500));
    }
}
