//! What a command writes: decoded where it is cut, kept in part, and passed on as log text.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::logs::{Piece, Stream};
use selvedge_tokio as platform;

/// How much of each stream is kept for the result.
pub(super) const CAPTURE_BYTES_MAX: usize = 64 << 10;
/// How much of a line goes into an error's message.
const LINE_CHARS_MAX: usize = 300;
/// How long a stream is waited for after its command's end.
const PATIENCE: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 16 << 10;

/// Cuts a stream of bytes into text at character boundaries. Bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The beginning of a character whose end has not come yet: at most three bytes.
    rest: Vec<u8>,
}

/// The end of what a stream said, as much as is kept: a program's last words matter most.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Capture {
    text: String,
    cut: bool,
}

impl Decoder {
    /// The text so far, without a character that is still incomplete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let mut bytes = [std::mem::take(&mut self.rest), bytes.to_vec()].concat();
        self.rest = bytes.split_off(bytes.len() - incomplete(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What is left when no more comes.
    pub(super) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

/// How many of the last bytes begin a character that more bytes could complete.
fn incomplete(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(3)..bytes.len();
    for start in last {
        if let Err(fault) = std::str::from_utf8(&bytes[start..])
            && fault.valid_up_to() == 0
            && fault.error_len().is_none()
        {
            return bytes.len() - start;
        }
    }
    0
}

impl Capture {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        // Cut rarely, so that each byte is moved a bounded number of times.
        if self.text.len() > 2 * CAPTURE_BYTES_MAX {
            self.trim();
        }
    }

    fn trim(&mut self) {
        if self.text.len() > CAPTURE_BYTES_MAX {
            let start = self.text.ceil_char_boundary(self.text.len() - CAPTURE_BYTES_MAX);
            self.text.drain(..start);
            self.cut = true;
        }
    }

    /// What is kept.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the beginning is missing.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The last line that says anything.
    pub(super) fn last_line(&self) -> Option<String> {
        let line = self.text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().take(LINE_CHARS_MAX).collect())
    }
}

/// Reads a stream to its end into `capture`, and passes everything on to the logs. When the logs cannot
/// keep up the command has to wait, as it would for a slow terminal.
///
/// A process that left the command's group may hold the stream open for ever. So once `ended` says when the
/// command ended, only [`PATIENCE`] is spent on waiting for more; time spent on the logs does not count.
pub(super) async fn pump(
    mut reader: impl AsyncRead + Unpin,
    stream: Stream,
    logs: mpsc::Sender<Piece>,
    capture: &mut Capture,
    ended: watch::Receiver<Option<Instant>>,
) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut patience = PATIENCE;
    loop {
        let began = Instant::now();
        let count = tokio::select! {
            biased;
            // A pipe that cannot be read has nothing more to say.
            count = reader.read(&mut buffer) => count.unwrap_or(0),
            () = lasting(ended.clone(), patience) => 0,
        };
        if let Some(ended) = *ended.borrow() {
            patience = patience.saturating_sub(began.max(ended).elapsed());
        }
        let text = if count == 0 { decoder.finish() } else { decoder.push(&buffer[..count]) };
        capture.push(&text);
        if !text.is_empty() {
            // Nobody listens any more once the lease is lost; the capture goes on all the same.
            let _ = logs.send(Piece { stream, text, at: platform::now() }).await;
        }
        if count == 0 {
            break;
        }
    }
    capture.trim();
}

/// Comes back when the command has ended and the patience after it is over.
async fn lasting(mut ended: watch::Receiver<Option<Instant>>, patience: Duration) {
    // Without a sender the command has ended too.
    let _ = ended.wait_for(Option::is_some).await;
    sleep(patience).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Every way to cut the bytes in two must give the same text as not cutting them.
    #[test]
    fn characters_survive_every_cut() {
        for bytes in [
            "plain".as_bytes(),
            "aä€😀z".as_bytes(),
            "😀".as_bytes(),
            b"\xff\xfe",
            b"a\xe2\x82",
            b"a\xe2\x28\xa1",
            b"\xf0\x9f\x98",
            b"\xe2\x82\xe2\x82\xac",
            b"\x80\x80\x80\x80",
            b"",
        ] {
            let whole = String::from_utf8_lossy(bytes);
            for cut in 0..=bytes.len() {
                let mut decoder = Decoder::default();
                let text =
                    [decoder.push(&bytes[..cut]), decoder.push(&bytes[cut..]), decoder.finish()].concat();
                assert_eq!(text, whole, "{bytes:x?} at {cut}");
            }
            let mut decoder = Decoder::default();
            let mut text: String = bytes.chunks(1).map(|byte| decoder.push(byte)).collect();
            text.push_str(&decoder.finish());
            assert_eq!(text, whole, "{bytes:x?} byte by byte");
        }
    }

    #[test]
    fn text_does_not_wait_for_more_than_one_character() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push("a€".as_bytes().split_last().expect("bytes").1), "a");
        assert_eq!(decoder.push(b"\xac"), "€");
    }

    #[tokio::test]
    async fn the_end_of_a_long_stream_is_kept_and_all_of_it_logged() {
        let lines: String = (0..20_000).map(|line| format!("line {line} ä\n")).collect();
        let (sender, mut receiver) = mpsc::channel(10_000);
        let mut capture = Capture::default();
        pump(lines.as_bytes(), Stream::Stdout, sender, &mut capture, running()).await;
        assert!(capture.is_cut() && capture.text().len() <= CAPTURE_BYTES_MAX);
        assert!(lines.ends_with(capture.text()));
        assert_eq!(capture.last_line().as_deref(), Some("line 19999 ä"));
        let mut logged = String::new();
        while let Some(piece) = receiver.recv().await {
            logged.push_str(&piece.text);
        }
        assert_eq!(logged, lines);
    }

    /// A command that has not ended as long as the test runs.
    fn running() -> watch::Receiver<Option<Instant>> {
        Box::leak(Box::new(watch::Sender::new(None))).subscribe()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stays_open_is_left_after_a_while() {
        let (mut writer, reader) = tokio::io::duplex(100);
        let (sender, mut receiver) = mpsc::channel(1);
        let (ended, has_ended) = watch::channel(None);
        let pumping = tokio::spawn(async move {
            let mut capture = Capture::default();
            pump(reader, Stream::Stdout, sender, &mut capture, has_ended).await;
            capture
        });
        writer.write_all(b"one").await.expect("room");
        assert_eq!(receiver.recv().await.map(|piece| piece.text).as_deref(), Some("one"));
        // However long the command runs, and however long the logs take.
        sleep(PATIENCE * 10).await;
        writer.write_all(b"two").await.expect("room");
        ended.send_replace(Some(Instant::now()));
        sleep(PATIENCE / 2).await;
        assert!(!pumping.is_finished());
        writer.write_all(b"three").await.expect("room");
        sleep(PATIENCE * 10).await;
        assert!(!pumping.is_finished(), "the logs have room for one piece");
        assert_eq!(receiver.recv().await.map(|piece| piece.text).as_deref(), Some("two"));
        assert_eq!(receiver.recv().await.map(|piece| piece.text).as_deref(), Some("three"));
        let began = Instant::now();
        assert_eq!(pumping.await.expect("no panic").text(), "onetwothree");
        assert!(began.elapsed() <= PATIENCE);
    }

    #[tokio::test]
    async fn a_short_stream_is_whole() {
        let (sender, _receiver) = mpsc::channel(10);
        let mut capture = Capture::default();
        pump(&b"one\n\n two \n \n"[..], Stream::Stderr, sender, &mut capture, running()).await;
        assert_eq!((capture.text(), capture.is_cut()), ("one\n\n two \n \n", false));
        assert_eq!(capture.last_line().as_deref(), Some("two"));
        assert_eq!(Capture::default().last_line(), None);
    }
}
