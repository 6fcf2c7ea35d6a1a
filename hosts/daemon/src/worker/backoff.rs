//! Waiting between tries of a call: longer each time, never in step with others.

use std::time::Duration;

use tokio::time::sleep;

use selvedge_tokio as platform;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The next pause of a series.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// Pauses, at least as long as the server asked for.
    pub(super) async fn pause(&mut self, at_least: Option<Duration>) {
        let pause = self.next(share());
        sleep(pause.max(at_least.unwrap_or_default())).await;
    }

    /// Half of the pause is fixed, half is `share` of it.
    fn next(&mut self, share: f64) -> Duration {
        let pause = self.0.mul_f64(0.5 + share / 2.0);
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

/// A random number from 0 to 1.
pub(super) fn share() -> f64 {
    let mut bytes = [0; 4];
    platform::random(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(Backoff::default().next(0.0), FIRST / 2);
        assert!((0.0..=1.0).contains(&share()));
    }
}
