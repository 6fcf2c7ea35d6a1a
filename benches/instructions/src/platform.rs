//! A host whose clock stands and whose random numbers count up, so that every run of a scenario is the same.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use selvedge::platform::{FetchError, Platform};
use selvedge::time::{Duration, Timestamp};

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

#[derive(Debug, Default)]
pub(crate) struct Still(Cell<u64>);

impl Platform for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64, so that ids differ from their first characters on, as real ones do.
            let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.0.set(state);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }

    async fn fetch(&self, _: http::Request<Bytes>, _: usize) -> Result<http::Response<Bytes>, FetchError> {
        Err(FetchError::Network("a scenario has no network".to_owned()))
    }
}

/// The result of a future that never has to wait.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("nothing in a scenario waits"),
    }
}
