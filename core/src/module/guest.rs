//! What a module may ask while it runs: to log, to remember, to look up what was remembered, and the time.
//!
//! A guest is shared between the call, perhaps on a thread of its own, and the executor, which writes down
//! what the guest has said while the call is still under way. A guest has no effect outside of its sandbox,
//! so nothing need be written before it goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use event_listener::{Event, EventListener};

use crate::ids::CheckpointKey;
use crate::time::Timestamp;
use crate::value::{Payload, Value};

use super::Encoding;

/// What a call prints is kept up to this many bytes.
const LOG_BYTES_MAX: usize = 1 << 20;
/// Pieces of one stream are put together up to this many bytes.
const LOG_CHUNK_BYTES_MAX: usize = 16 << 10;
/// What stands where the rest of a log is missing.
const LOG_TRUNCATED: &str = "[selvedge: this call has printed more than 1 MiB, the rest is not kept]\n";

/// What `checkpoint_put` answers.
const STORED: i32 = 0;
const THERE_ALREADY: i32 = 1;
const BAD_KEY: i32 = -1;
const BAD_VALUE: i32 = -2;
const NO_ROOM: i32 = -3;

/// One side of a running module. Clones are the same guest.
#[derive(Debug, Clone)]
pub struct Guest(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    encoding: Encoding,
    now: Timestamp,
    said: Event,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// In the module's encoding, by key; earlier ones and new ones.
    checkpoints: BTreeMap<CheckpointKey, Bytes>,
    room: Room,
    new_checkpoints: Vec<(CheckpointKey, Payload)>,
    new_logs: Vec<LogChunk>,
    printed: usize,
}

/// How much may still be remembered.
#[derive(Debug, Clone, Copy)]
struct Room {
    count: usize,
    bytes: usize,
    value_bytes: usize,
}

/// What is remembered already, and what of it there may be.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// Those of earlier attempts, by key.
    pub earlier: BTreeMap<String, Payload>,
    /// How many there may be.
    pub count_max: usize,
    /// How many bytes their values may have together, as JSON.
    pub bytes_max: usize,
    /// How many bytes one value may have, as JSON.
    pub value_bytes_max: usize,
}

/// A piece of what a module printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// What it printed.
    pub text: String,
}

impl Guest {
    /// A guest that is told this time whenever it asks.
    pub fn new(encoding: Encoding, now: Timestamp, checkpoints: Checkpoints) -> Self {
        let Checkpoints { earlier, count_max, bytes_max, value_bytes_max } = checkpoints;
        let used: usize = earlier.values().map(Payload::byte_len).sum();
        let room = Room {
            count: count_max.saturating_sub(earlier.len()),
            bytes: bytes_max.saturating_sub(used),
            value_bytes: value_bytes_max,
        };
        let checkpoints = earlier.into_iter().filter_map(|(key, value)| {
            let bytes = match encoding {
                Encoding::Json => Bytes::copy_from_slice(value.as_str().as_bytes()),
                Encoding::MessagePack => value.to_value().to_msgpack().into(),
            };
            Some((key.parse().ok()?, bytes))
        });
        let state = State {
            checkpoints: checkpoints.collect(),
            room,
            new_checkpoints: Vec::new(),
            new_logs: Vec::new(),
            printed: 0,
        };
        Self(Arc::new(Inner { encoding, now, said: Event::new(), state: Mutex::new(state) }))
    }

    /// `now() -> i64`: milliseconds since 1970; the same in the whole attempt, so that what is computed from
    /// it is the same when it is computed again.
    pub fn now(&self) -> i64 {
        self.0.now.as_millis()
    }

    /// `log(stream, address, length)`: prints to `stdout` (1) or `stderr` (any other). What is no UTF-8 is
    /// replaced.
    pub fn log(&self, stream: i32, text: &[u8]) {
        let stream = if stream == 1 { "stdout" } else { "stderr" };
        let mut state = self.state();
        if state.printed > LOG_BYTES_MAX {
            return;
        }
        state.printed += text.len().max(1);
        let text = if state.printed > LOG_BYTES_MAX {
            LOG_TRUNCATED.into()
        } else {
            // A NUL is no text in a database.
            String::from_utf8_lossy(text).replace('\0', "\u{fffd}")
        };
        match state.new_logs.last_mut() {
            Some(last) if last.stream == stream && last.text.len() + text.len() <= LOG_CHUNK_BYTES_MAX => {
                last.text.push_str(&text);
            }
            _ => state.new_logs.push(LogChunk { stream, text }),
        }
        drop(state);
        self.0.said.notify(usize::MAX);
    }

    /// `checkpoint_get(key address, key length, address, length) -> i32`: the value under a key, of this or of
    /// an earlier attempt. The host answers its length, or -1 where there is none, and copies it to the
    /// address if it fits the length there.
    pub fn checkpoint(&self, key: &[u8]) -> Option<Bytes> {
        let key = std::str::from_utf8(key).ok()?;
        self.state().checkpoints.get(key).cloned()
    }

    /// `checkpoint_put(key address, key length, address, length) -> i32`: remembers a value, in the module's
    /// encoding. 0: it is remembered; 1: there is one of this key, which stays; -1: the key is not one; -2: the
    /// value is not one or too long; -3: there is no room.
    pub fn remember(&self, key: &[u8], value: &[u8]) -> i32 {
        let key = std::str::from_utf8(key).ok().and_then(|key| key.parse::<CheckpointKey>().ok());
        let Some(key) = key else { return BAD_KEY };
        let mut state = self.state();
        if state.checkpoints.contains_key(key.as_str()) {
            return THERE_ALREADY;
        }
        let read = match self.0.encoding {
            Encoding::Json => Value::from_json(value),
            Encoding::MessagePack => Value::from_msgpack(value),
        };
        let Ok(read) = read else { return BAD_VALUE };
        let payload = Payload::from(&read);
        if payload.byte_len() > state.room.value_bytes {
            return BAD_VALUE;
        }
        if state.room.count == 0 || payload.byte_len() > state.room.bytes {
            return NO_ROOM;
        }
        state.room.count -= 1;
        state.room.bytes -= payload.byte_len();
        state.checkpoints.insert(key.clone(), Bytes::copy_from_slice(value));
        state.new_checkpoints.push((key, payload));
        drop(state);
        self.0.said.notify(usize::MAX);
        STORED
    }

    /// What is new since this was asked the last time: the log, and the checkpoints in their order.
    pub fn take_new(&self) -> (Vec<LogChunk>, Vec<(CheckpointKey, Payload)>) {
        let mut state = self.state();
        (std::mem::take(&mut state.new_logs), std::mem::take(&mut state.new_checkpoints))
    }

    /// Hears of what is said from now on.
    pub fn listen(&self) -> EventListener {
        self.0.said.listen()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(encoding: Encoding, earlier: &[(&str, Value)]) -> Guest {
        let earlier = earlier.iter().map(|(key, value)| ((*key).to_owned(), Payload::from(value))).collect();
        let checkpoints = Checkpoints { earlier, count_max: 3, bytes_max: 20, value_bytes_max: 12 };
        Guest::new(encoding, Timestamp::from_millis(7), checkpoints)
    }

    #[test]
    fn the_first_value_of_a_key_stays_and_every_refusal_has_its_number() {
        let guest = guest(Encoding::Json, &[("old", Value::Int(1))]);
        assert_eq!(guest.now(), 7);
        let rows: [(&[u8], &[u8], i32); 9] = [
            (b"old", b"2", THERE_ALREADY),
            (b"a b", b"1", BAD_KEY),
            (b"\xff", b"1", BAD_KEY),
            (b"a", b"{", BAD_VALUE),
            (b"a", b"\"aaaaaaaaaaaa\"", BAD_VALUE),
            (b"a", b" [1, 2] ", STORED),
            (b"a", b"3", THERE_ALREADY),
            (b"b", b"\"aaaaaaaaaa\"", STORED),
            (b"c", b"1", NO_ROOM),
        ];
        for (key, value, expected) in rows {
            assert_eq!(guest.remember(key, value), expected, "{key:?} {value:?}");
        }
        assert_eq!(guest.checkpoint(b"old").as_deref(), Some(&b"1"[..]));
        assert_eq!(guest.checkpoint(b"a").as_deref(), Some(&b" [1, 2] "[..]));
        assert_eq!(guest.checkpoint(b"c"), None);
        let (_, new) = guest.take_new();
        let new: Vec<(&str, &str)> = new.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(new, [("a", "[1,2]"), ("b", "\"aaaaaaaaaa\"")]);
        assert_eq!(guest.take_new().1.len(), 0);
    }

    #[test]
    fn values_are_read_and_given_in_the_modules_encoding() {
        let guest = guest(Encoding::MessagePack, &[("old", Value::Bytes(vec![1, 2]))]);
        assert_eq!(guest.checkpoint(b"old").as_deref(), Some(&[0xc4, 2, 1, 2][..]));
        assert_eq!(guest.remember(b"a", b"1"), STORED, "0x31 is the integer 49");
        assert_eq!(guest.remember(b"b", b"[]"), BAD_VALUE, "there is a byte too many");
        assert_eq!(guest.take_new().1[0].1.as_str(), "49");
    }

    #[test]
    fn logs_are_put_together_and_end_with_a_mark() {
        let guest = guest(Encoding::Json, &[]);
        for (stream, text) in [(1, &b"a"[..]), (1, b"\xff\0"), (2, b"b"), (1, b"c")] {
            guest.log(stream, text);
        }
        let chunk = |stream, text: &str| LogChunk { stream, text: text.to_owned() };
        let expected = [chunk("stdout", "a\u{fffd}\u{fffd}"), chunk("stderr", "b"), chunk("stdout", "c")];
        assert_eq!(guest.take_new().0, expected);
        for _ in 0..LOG_BYTES_MAX + 10 {
            guest.log(1, b"x");
        }
        let (logs, _) = guest.take_new();
        assert!(logs.iter().all(|chunk| chunk.text.len() <= LOG_CHUNK_BYTES_MAX));
        assert!(logs.last().is_some_and(|last| last.text.ends_with(LOG_TRUNCATED)));
        guest.log(1, b"x");
        assert_eq!(guest.take_new().0, []);
    }
}
