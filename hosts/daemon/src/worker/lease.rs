//! Keeping a lease alive, and learning from it when to stop.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::backoff::share;
use crate::client::{Call, Client, ClientError, Prospect};

/// Heartbeats go out at this share of the ttl, or up to a quarter of that earlier.
const BEAT_SHARE: u32 = 3;
/// Beats come at least this often, because they bring the wish to stop.
const BEAT_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Beats that found no server are repeated at this share of the ttl.
const RETRY_SHARE: u32 = 10;

/// What the server last said of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// Go on.
    Work,
    /// Stop, and say so.
    Cancel,
    /// The task is not ours any more: whatever is reported will be refused.
    Lost,
}

/// One lease as the parts of an attempt see it. Wishes only ever grow.
#[derive(Debug)]
pub(super) struct Held {
    lease_id: String,
    ttl: Duration,
    wish: watch::Sender<Wish>,
}

impl Held {
    /// A lease that was just granted.
    pub(super) fn new(lease_id: String, ttl: Duration) -> Self {
        Self { lease_id, ttl, wish: watch::Sender::new(Wish::Work) }
    }

    pub(super) fn lease_id(&self) -> &str {
        &self.lease_id
    }

    pub(super) fn is_lost(&self) -> bool {
        *self.wish.borrow() == Wish::Lost
    }

    /// Comes back when the server wants the work to stop, for whatever reason.
    pub(super) async fn stopped(&self) -> Wish {
        self.reached(Wish::Cancel).await
    }

    /// Comes back when nothing that is reported counts any more.
    pub(super) async fn lost(&self) {
        self.reached(Wish::Lost).await;
    }

    /// Beats until the lease is lost, and then never comes back.
    pub(super) async fn keep(&self, client: &Client) {
        let mut renewed = Instant::now();
        let mut pause = self.beat_pause();
        loop {
            sleep(pause).await;
            match self.beat(client).await {
                Ok(answer) => {
                    renewed = Instant::now();
                    pause = self.beat_pause();
                    if answer.get("cancel_requested").and_then(Value::as_bool) == Some(true) {
                        self.grow(Wish::Cancel);
                    }
                }
                Err(fault) if fault.prospect() == Prospect::Never => break self.lose(&fault),
                Err(fault) if renewed.elapsed() >= self.ttl => break self.lose(&fault),
                Err(_) => pause = self.ttl / RETRY_SHARE,
            }
        }
        std::future::pending().await
    }

    /// The lease is lost, as another call found out.
    pub(super) fn lose(&self, fault: &ClientError) {
        if !self.is_lost() {
            tracing::warn!(lease_id = self.lease_id, "the lease is lost: {fault}");
        }
        self.grow(Wish::Lost);
    }

    async fn beat(&self, client: &Client) -> Result<Value, ClientError> {
        let call = Call::post(&["leases", &self.lease_id, "heartbeat"]);
        client.send(call.within(self.ttl / BEAT_SHARE)).await
    }

    fn beat_pause(&self) -> Duration {
        (self.ttl / BEAT_SHARE).min(BEAT_INTERVAL_MAX).mul_f64(1.0 - share() / 4.0)
    }

    fn grow(&self, wish: Wish) {
        self.wish.send_modify(|now| *now = wish.max(*now));
    }

    async fn reached(&self, wish: Wish) -> Wish {
        let mut wishes = self.wish.subscribe();
        let reached = wishes.wait_for(|now| *now >= wish).await;
        *reached.expect("the sender lives as long as self")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wishes_only_grow() {
        let held = Held::new("l".into(), Duration::from_secs(30));
        held.grow(Wish::Cancel);
        held.grow(Wish::Work);
        assert_eq!(held.stopped().await, Wish::Cancel);
        assert!(!held.is_lost());
        held.grow(Wish::Lost);
        assert_eq!(held.stopped().await, Wish::Lost);
        held.lost().await;
    }

    #[test]
    fn beats_come_in_time() {
        for (ttl_secs, longest_millis) in [(3, 1000), (30, 5000), (3600, 5000)] {
            let held = Held::new("l".into(), Duration::from_secs(ttl_secs));
            for _ in 0..100 {
                let pause = held.beat_pause().as_millis();
                assert!(
                    (longest_millis * 3 / 4 - 1..=longest_millis).contains(&pause),
                    "{ttl_secs} s: {pause} ms"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_is_gone_for_the_ttl_loses_the_lease() {
        selvedge_tokio::install_tls();
        // Port 1 of loopback: nobody listens there.
        let client = Client::new("http://127.0.0.1:1").expect("an address");
        let held = Held::new("l".into(), Duration::from_millis(50));
        tokio::select! {
            () = held.keep(&client) => unreachable!("it never comes back"),
            () = held.lost() => {}
        }
    }
}
