//! How long operations took: an HDR histogram, three significant digits from a nanosecond to hours.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Three digits: a quantile is off by at most a thousandth of itself.
const DIGITS: u8 = 3;

/// Many durations, of which quantiles are known.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u32>);

impl Default for Latencies {
    fn default() -> Self {
        // Without a maximum it grows by itself.
        Latencies(Histogram::new(DIGITS).expect("three digits are within what it takes"))
    }
}

impl Latencies {
    /// Counts one more.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.record(nanos).expect("a histogram that grows takes every number");
    }

    /// Counts those of another one, too.
    pub fn add(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("a histogram that grows takes every number");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What the given part of all, between 0 and 1, did not exceed; zero where there are none.
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(part))
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.mean() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let (mut one, mut other) = (Latencies::default(), Latencies::default());
        for n in 1..=1000 {
            let half = if n % 2 == 0 { &mut one } else { &mut other };
            half.record(Duration::from_micros(n));
        }
        one.add(&other);
        assert_eq!(one.count(), 1000);
        for (part, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = one.quantile(part).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.002, "{part}: {found} instead of {micros}");
        }
        assert!(Latencies::default().quantile(0.5).is_zero());
    }

    #[test]
    fn hours_fit() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_nanos(1));
        latencies.record(Duration::from_secs(10_000));
        assert!(latencies.max() >= Duration::from_secs(10_000));
    }
}
