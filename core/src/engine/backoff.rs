//! When the next attempt may begin.

use sha2::{Digest, Sha256};

use crate::time::Duration;
use crate::workflow::model::{Backoff, Retry};

use super::task::Key;

/// The delay after attempt `attempt` (from 1, within the present budget) failed.
///
/// `exponential` is `delay · 2^(attempt−1)`, at most `max_delay`; then varied by up to `jitter` of itself,
/// up or down, by a number that follows from the run's seed, the instance and the attempt alone.
pub fn delay(retry: &Retry, seed: u64, key: Key, attempt: u32) -> Duration {
    let base = match retry.backoff {
        Backoff::None => return Duration::ZERO,
        Backoff::Fixed => retry.delay.as_millis(),
        Backoff::Exponential => {
            let factor = 1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
            retry.delay.as_millis().saturating_mul(factor)
        }
    };
    let base = base.min(retry.max_delay.as_millis());
    let spread = 1.0 + retry.jitter * (2.0 * unit(seed, key, attempt) - 1.0);
    Duration::from_millis((base as f64 * spread).round() as u64)
}

/// A number in [0, 1) that looks random and is always the same for the same arguments.
fn unit(seed: u64, key: Key, attempt: u32) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(key.task.0.to_be_bytes());
    hash.update(key.index.map_or(u64::MAX, u64::from).to_be_bytes());
    hash.update(attempt.to_be_bytes());
    let digest = hash.finalize();
    let bits = digest[..8].iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::model::TaskIx;

    fn retry(backoff: Backoff, jitter: f64) -> Retry {
        Retry {
            max_attempts: 9,
            backoff,
            delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(10),
            jitter,
        }
    }

    #[test]
    fn delays_without_jitter() {
        let key = Key::of(TaskIx(0));
        for (backoff, attempt, secs) in [
            (Backoff::None, 1, 0),
            (Backoff::Fixed, 1, 2),
            (Backoff::Fixed, 7, 2),
            (Backoff::Exponential, 1, 2),
            (Backoff::Exponential, 2, 4),
            (Backoff::Exponential, 3, 8),
            (Backoff::Exponential, 4, 10),
            (Backoff::Exponential, 1000, 10),
        ] {
            assert_eq!(
                delay(&retry(backoff, 0.0), 7, key, attempt),
                Duration::from_secs(secs),
                "{backoff:?} {attempt}"
            );
        }
    }

    #[test]
    fn jitter_stays_in_its_share_and_follows_the_seed() {
        let key = Key::of(TaskIx(3));
        let retry = retry(Backoff::Fixed, 0.5);
        let delays: Vec<u64> = (0..100).map(|seed| delay(&retry, seed, key, 1).as_millis()).collect();
        assert!(delays.iter().all(|d| (1000..=3000).contains(d)), "{delays:?}");
        assert!(delays.iter().any(|d| *d < 1500) && delays.iter().any(|d| *d > 2500));
        assert_eq!(delay(&retry, 5, key, 1), delay(&retry, 5, key, 1));
        assert_ne!(delay(&retry, 5, key, 1), delay(&retry, 5, key, 2));
    }
}
