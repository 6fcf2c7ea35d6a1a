//! Bodies with a watch on them: requests that stand still fail, answers count as under way to their end. Long answers
//! are handed over in pieces.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// What of an answer's body is handed over at once: hyper copies it behind what is in line already.
const PIECE_BYTES_MAX: usize = 64 << 10;
/// How long a request's body may stand still.
const BODY_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    in_flight: AtomicUsize,
    begun: AtomicU64,
}

impl Traffic {
    /// How many there were so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether none is being answered.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0
    }
}

/// Counts a request as being answered until the last byte of its answer is handed over.
pub(super) struct Flight(Arc<Traffic>);

impl Flight {
    pub(super) fn new(traffic: &Arc<Traffic>) -> Self {
        traffic.in_flight.fetch_add(1, Ordering::AcqRel);
        traffic.begun.fetch_add(1, Ordering::AcqRel);
        Self(traffic.clone())
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer's body, in flight and in pieces.
pub(super) struct Download<B> {
    body: B,
    /// What of a long frame is left.
    rest: Bytes,
    _flight: Flight,
}

impl<B> Download<B> {
    pub(super) fn new(body: B, flight: Flight) -> Self {
        Self { body, rest: Bytes::new(), _flight: flight }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Download<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.rest.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// A request's body that fails when it stands still for too long.
pub struct Upload {
    body: Incoming,
    /// Set while the body stands still.
    patience: Option<Pin<Box<Sleep>>>,
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// Nothing came for too long.
    #[error("the request's body stood still for {} s", BODY_STALL_TIMEOUT.as_secs())]
    Stalled,
}

impl Upload {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, patience: None }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.patience = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(UploadError::from)));
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + BODY_STALL_TIMEOUT)));
        patience.as_mut().poll(context).map(|()| Some(Err(UploadError::Stalled)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn a_long_answer_is_handed_over_in_pieces() {
        let rows = [
            (0, vec![]),
            (1, vec![1]),
            (PIECE_BYTES_MAX, vec![PIECE_BYTES_MAX]),
            (2 * PIECE_BYTES_MAX + 7, vec![PIECE_BYTES_MAX, PIECE_BYTES_MAX, 7]),
        ];
        for (length, pieces) in rows {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let flight = Flight::new(&Arc::new(Traffic::default()));
            let mut body = Download::new(Full::new(Bytes::from(bytes.clone())), flight);
            let (mut seen, mut whole) = (Vec::new(), Vec::new());
            while !body.is_end_stream() {
                assert_eq!(body.size_hint().exact(), Some((length - whole.len()) as u64));
                let frame = body.frame().await.expect("it is not at its end").expect("it cannot fail");
                let piece = frame.into_data().expect("it has no trailers");
                seen.push(piece.len());
                whole.extend_from_slice(&piece);
            }
            assert!(body.frame().await.is_none());
            assert_eq!((seen, whole), (pieces, bytes), "{length} bytes");
        }
    }
}
