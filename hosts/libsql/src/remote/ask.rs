//! One program from a stream to its results: on a stream that was kept where there is one, and on a new one
//! where the server does not know it any more.

use super::failure::Lost;
use super::hrana::{After, Answer, Program, Reply, close};
use super::streams::{Seat, Stream, Streams};
use super::wire::Wire;

/// Whether a program is sent again although it may have been run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It changes nothing: once, if the connection broke. One that was kept alive may have been closed by the
    /// server just then.
    Once,
    /// It changes something.
    Never,
}

impl Wire {
    /// Runs a program.
    pub(super) async fn run(
        &self,
        streams: &Streams,
        program: &Program<'_>,
        again: Again,
    ) -> Result<Answer, Lost> {
        let mut seat = streams.seat();
        let after = if seat.is_kept() { After::Keep } else { After::Close };
        let mut broken = false;
        loop {
            let stream = seat.stream.take();
            match self.once(stream.as_ref(), program, after).await {
                Ok(reply) => return Ok(self.settle(seat, reply).await),
                // It was not run: the server does not know the stream, or nobody is where it should be.
                Err(lost) if stream.is_some_and(|stream| is_stale(&stream, &lost)) => {}
                Err(Lost::Broken(_)) if again == Again::Once && !broken => broken = true,
                Err(lost) => return Err(lost),
            }
        }
    }

    async fn once(
        &self,
        stream: Option<&Stream>,
        program: &Program<'_>,
        after: After,
    ) -> Result<Reply, Lost> {
        let to = stream.and_then(|stream| stream.pipeline.as_ref()).unwrap_or(self.address().pipeline());
        let baton = stream.map(|stream| stream.baton.as_str());
        let body = self.send(to, program.body(baton, after)).await?;
        Reply::read(&body).map_err(Lost::Garbled)
    }

    /// Leaves the stream to the next request if it may be used again, and closes it otherwise.
    async fn settle(&self, seat: Seat<'_>, reply: Reply) -> Answer {
        let Reply { answer, baton, base_url, is_clean } = reply;
        let Some(baton) = baton else { return answer };
        let here = self.address().pipeline();
        let told = base_url.map(|base_url| self.address().of_stream(&base_url));
        let is_followed = !matches!(told, Some(None));
        let elsewhere = told.flatten();
        if is_clean && is_followed && seat.is_kept() {
            seat.leave(Stream::new(baton, elsewhere));
        } else {
            // Where this fails the server closes it by itself, after some seconds.
            let _ = self.send(elsewhere.as_ref().unwrap_or(here), close(&baton)).await;
        }
        answer
    }
}

fn is_stale(stream: &Stream, lost: &Lost) -> bool {
    lost.is_about_stream() || (stream.pipeline.is_some() && matches!(lost, Lost::Unsent(_)))
}
