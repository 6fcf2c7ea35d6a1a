//! Log text on its way to the server: gathered into batches, numbered, sent in order, each exactly once.
//!
//! Every chunk has a number within its attempt. A batch whose answer was lost is sent again as it was, and
//! the server ignores the numbers that it has. An attempt that was given back goes on under another lease,
//! perhaps in another worker, so the numbers of a lease begin at its time instead of at nought.

use std::time::Duration;

use selvedge::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::backoff::Backoff;
use super::lease::Held;
use crate::client::{Call, Client, Prospect};
use selvedge_tokio as platform;

/// How long text waits for more before it is sent.
const BATCH_AGE_MAX: Duration = Duration::from_millis(200);
/// How much text is sent at once, unless a single piece is longer.
const BATCH_BYTES_MAX: usize = 32 << 10;
/// How many chunks are sent at once; servers take 1000.
const BATCH_CHUNKS_MAX: usize = 500;
/// How many pieces may wait before the command has to.
pub(super) const BACKLOG_PIECES_MAX: usize = 64;

/// More chunks than any lease makes in a millisecond; times this, today's time still fits 53 bits.
const SEQ_PER_MILLI: u64 = 1000;

/// Which of a command's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Some text, whole characters, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) stream: Stream,
    pub(super) text: String,
    pub(super) at: Timestamp,
}

/// Pieces that are sent together; neighbours of the same stream are one chunk.
#[derive(Debug, Default)]
struct Batch {
    pieces: Vec<Piece>,
    bytes: usize,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl Batch {
    fn push(&mut self, piece: Piece) {
        self.bytes += piece.text.len();
        match self.pieces.last_mut() {
            Some(last) if last.stream == piece.stream => last.text.push_str(&piece.text),
            _ => self.pieces.push(piece),
        }
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_MAX || self.pieces.len() >= BATCH_CHUNKS_MAX
    }

    /// The call's body, its chunks numbered from `seq` on; `seq` moves on.
    fn body(&self, seq: &mut u64) -> Value {
        let chunks: Vec<_> = self
            .pieces
            .iter()
            .map(|piece| {
                let number = *seq;
                *seq += 1;
                json!({ "seq": number, "stream": piece.stream.name(), "text": piece.text, "at": piece.at.to_string() })
            })
            .collect();
        json!({ "chunks": chunks })
    }
}

/// Sends what comes until nobody writes any more. Once the lease is lost, or the server will not have it,
/// the rest is read and dropped, so that the command never waits for a server that does not listen.
pub(super) async fn ship(client: &Client, held: &Held, mut pieces: mpsc::Receiver<Piece>) {
    let mut seq = u64::try_from(platform::now().as_millis()).unwrap_or_default() * SEQ_PER_MILLI;
    while let Some(batch) = next_batch(&mut pieces).await {
        if held.is_lost() {
            continue;
        }
        let body = batch.body(&mut seq);
        tokio::select! {
            () = send(client, held.lease_id(), &body) => {}
            () = held.lost() => {}
        }
    }
}

async fn next_batch(pieces: &mut mpsc::Receiver<Piece>) -> Option<Batch> {
    let mut batch = Batch::default();
    batch.push(pieces.recv().await?);
    let end = Instant::now() + BATCH_AGE_MAX;
    while !batch.is_full() {
        match timeout_at(end, pieces.recv()).await {
            Ok(Some(piece)) => batch.push(piece),
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

async fn send(client: &Client, lease_id: &str, body: &Value) {
    let mut backoff = Backoff::default();
    loop {
        let Err(fault) = client.send(Call::post(&["leases", lease_id, "logs"]).body(body)).await else {
            return;
        };
        if fault.prospect() == Prospect::Never {
            // A lost lease is told by its heartbeat; anything else is worth a line.
            if !matches!(fault.status(), Some(404 | 409)) {
                tracing::warn!(lease_id, "log text was refused: {fault}");
            }
            return;
        }
        backoff.pause(fault.retry_after()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(stream: Stream, text: &str) -> Piece {
        Piece { stream, text: text.into(), at: Timestamp::from_millis(0) }
    }

    #[test]
    fn neighbours_of_a_stream_are_one_chunk_and_numbers_go_on() {
        let mut batch = Batch::default();
        for (stream, text) in
            [(Stream::Stdout, "a"), (Stream::Stdout, "b"), (Stream::Stderr, "c"), (Stream::Stdout, "d")]
        {
            batch.push(piece(stream, text));
        }
        let mut seq = 5;
        let at = "1970-01-01T00:00:00.000Z";
        let expected = json!({"chunks": [
            {"seq": 5, "stream": "stdout", "text": "ab", "at": at},
            {"seq": 6, "stream": "stderr", "text": "c", "at": at},
            {"seq": 7, "stream": "stdout", "text": "d", "at": at},
        ]});
        assert_eq!((batch.body(&mut seq), seq), (expected, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_sent_when_it_is_full_or_old_or_last() {
        let (sender, mut receiver) = mpsc::channel(BACKLOG_PIECES_MAX);
        let half = "x".repeat(BATCH_BYTES_MAX / 2);
        for _ in 0..3 {
            sender.send(piece(Stream::Stdout, &half)).await.expect("room");
        }
        let began = Instant::now();
        let full = next_batch(&mut receiver).await.expect("a batch");
        assert_eq!((full.bytes, began.elapsed()), (BATCH_BYTES_MAX, Duration::ZERO));
        let old = next_batch(&mut receiver).await.expect("a batch");
        assert_eq!((old.bytes, began.elapsed()), (BATCH_BYTES_MAX / 2, BATCH_AGE_MAX));
        sender.send(piece(Stream::Stdout, "end")).await.expect("room");
        drop(sender);
        let last = next_batch(&mut receiver).await.expect("a batch");
        assert_eq!((last.bytes, began.elapsed()), (3, BATCH_AGE_MAX));
        assert!(next_batch(&mut receiver).await.is_none());
    }
}
