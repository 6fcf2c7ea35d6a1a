//! Streams that are kept for the next request.
//!
//! To sqld a stream is a connection of SQLite: to open it and to read the schema takes about a millisecond of
//! its processor, several times what a small request takes itself. So a few streams stay open from one request
//! to the next. Between requests they hold no transaction and no lock: every request ends its own, asks whether
//! that is so, and a stream of which it is not is closed.
//!
//! A connection learns of a changed schema when it runs its next statement, and sqld has counted the columns of a
//! `SELECT *` by then. So streams that are older than a change by this driver are not used again. After a change
//! by another process, a newer version that migrates, a stream may show one `SELECT *` the columns of before.
//!
//! A server has room for a limited number of streams (sqld: 128), of all its clients, and forgets one that
//! nobody uses for ten seconds. So there are few, and requests beyond them open a stream for themselves and
//! close it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;

/// How long after its last request a stream is used again. sqld closes it after ten seconds.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A fixed number of seats for streams.
#[derive(Debug)]
pub(super) struct Streams {
    places: Mutex<Places>,
    kept_max: usize,
}

#[derive(Debug, Default)]
struct Places {
    idle: Vec<Stream>,
    /// Streams that are kept, idle or in use.
    kept: usize,
    /// How often the schema was changed.
    schema: u64,
}

/// An open stream between two requests.
#[derive(Debug)]
pub(super) struct Stream {
    /// What the next request has to show.
    pub(super) baton: String,
    /// Where the next request has to go, when the server keeps its streams apart.
    pub(super) pipeline: Option<Url>,
    used_at: Instant,
}

/// The right to use a stream for one request.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    streams: &'a Streams,
    /// The stream to go on with; otherwise the request opens one.
    pub(super) stream: Option<Stream>,
    kept: bool,
    /// The schema's number when the request was begun.
    schema: u64,
}

impl Streams {
    pub(super) fn new(kept_max: usize) -> Self {
        Streams { places: Mutex::default(), kept_max }
    }

    /// A seat on an idle stream, on a new one that may be kept, or on one for this request alone.
    pub(super) fn seat(&self) -> Seat<'_> {
        let mut places = self.lock();
        let before = places.idle.len();
        places.idle.retain(|stream| stream.used_at.elapsed() < IDLE_MAX);
        places.kept -= before - places.idle.len();
        if let Some(stream) = places.idle.pop() {
            return Seat { streams: self, stream: Some(stream), kept: true, schema: places.schema };
        }
        let kept = places.kept < self.kept_max;
        places.kept += usize::from(kept);
        Seat { streams: self, stream: None, kept, schema: places.schema }
    }

    /// Uses no stream again that was opened before this: the schema has changed.
    pub(super) fn renew(&self) {
        let mut places = self.lock();
        places.schema += 1;
        places.kept -= places.idle.len();
        places.idle.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Every change leaves the places whole.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// The stream as an answer has left it.
    pub(super) fn new(baton: String, pipeline: Option<Url>) -> Self {
        Stream { baton, pipeline, used_at: Instant::now() }
    }
}

impl Seat<'_> {
    /// Whether the stream is to stay open.
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Leaves the stream to the next request.
    pub(super) fn leave(mut self, stream: Stream) {
        let mut places = self.streams.lock();
        if places.schema == self.schema {
            places.idle.push(stream);
            self.kept = false;
        }
    }
}

impl Drop for Seat<'_> {
    /// The stream is not kept: the request failed, or nobody waits for it any more.
    fn drop(&mut self) {
        if self.kept {
            self.streams.lock().kept -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(baton: &str) -> Stream {
        Stream::new(baton.into(), None)
    }

    fn baton(seat: &Seat<'_>) -> Option<String> {
        seat.stream.as_ref().map(|stream| stream.baton.clone())
    }

    #[test]
    fn few_streams_are_kept() {
        let streams = Streams::new(2);
        let (first, second, third) = (streams.seat(), streams.seat(), streams.seat());
        assert_eq!([&first, &second, &third].map(Seat::is_kept), [true, true, false]);
        first.leave(stream("1"));
        // One that is given up makes room for another.
        drop((second, third));
        let (again, new, alone) = (streams.seat(), streams.seat(), streams.seat());
        assert_eq!(baton(&again).as_deref(), Some("1"));
        assert_eq!([&again, &new, &alone].map(Seat::is_kept), [true, true, false]);
        assert_eq!([&new, &alone].map(baton), [None, None]);
        drop((again, new, alone));
        assert_eq!(streams.lock().kept, 0);
    }

    #[test]
    fn an_old_stream_is_not_used_again() {
        let streams = Streams::new(1);
        let old = Instant::now().checked_sub(IDLE_MAX).expect("the machine runs for longer");
        streams.seat().leave(Stream { used_at: old, ..stream("old") });
        let seat = streams.seat();
        assert_eq!((baton(&seat), seat.is_kept()), (None, true));
    }

    #[test]
    fn a_stream_from_before_a_change_of_the_schema_is_not_used_again() {
        let streams = Streams::new(2);
        let (idle, busy) = (streams.seat(), streams.seat());
        idle.leave(stream("idle"));
        streams.renew();
        busy.leave(stream("busy"));
        assert_eq!(baton(&streams.seat()), None);
        assert_eq!(streams.lock().kept, 0);
    }

    #[test]
    fn where_none_are_kept_each_request_is_alone() {
        let streams = Streams::new(0);
        let seat = streams.seat();
        assert_eq!((baton(&seat), seat.is_kept()), (None, false));
    }
}
