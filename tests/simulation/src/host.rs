//! The host of one server process: a clock that may be wrong and is set right, and a network with moods.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use event_listener::Event;
use http::{Request, Response};
use selvedge::platform::{FetchError, Platform};
use selvedge::time::{Duration, Timestamp};

use crate::clock::Clock;
use crate::dice::Dice;

/// One machine. Clones are the same machine.
#[derive(Clone)]
pub struct Host(Rc<Inner>);

struct Inner {
    clock: Clock,
    /// How far its clock is ahead of the world's, in milliseconds.
    ahead: Cell<i64>,
    online: Cell<bool>,
    changed: Event,
    dice: RefCell<Dice>,
    errors: RefCell<Vec<String>>,
}

impl Host {
    /// A machine whose clock is this much ahead.
    pub fn new(clock: Clock, ahead: i64, dice: Dice) -> Self {
        Self(Rc::new(Inner {
            clock,
            ahead: Cell::new(ahead),
            online: Cell::new(true),
            changed: Event::new(),
            dice: RefCell::new(dice),
            errors: RefCell::default(),
        }))
    }

    /// Sets its clock by so many milliseconds, forwards or back.
    pub fn step(&self, by: i64) {
        self.0.ahead.set(self.0.ahead.get() + by);
    }

    /// Whether requests get out from now on.
    pub fn set_online(&self, online: bool) {
        self.0.online.set(online);
        self.0.changed.notify(usize::MAX);
    }

    /// Comes back when the machine has gone online or offline.
    pub async fn changed(&self) {
        self.0.changed.listen().await;
    }

    /// What the server has logged as an error since this was asked last.
    pub fn take_errors(&self) -> Vec<String> {
        self.0.errors.take()
    }

    fn below(&self, limit: u64) -> u64 {
        self.0.dice.borrow_mut().below(limit)
    }
}

impl Platform for Host {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.clock.now().as_millis() + self.0.ahead.get())
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut dice = self.0.dice.borrow_mut();
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&dice.number().to_le_bytes()[..chunk.len()]);
        }
    }

    async fn sleep(&self, duration: Duration) {
        self.0.clock.sleep(duration.as_millis()).await;
    }

    async fn fetch(&self, _: Request<Bytes>, _: usize) -> Result<Response<Bytes>, FetchError> {
        if !self.0.online.get() {
            return Err(FetchError::Network("the machine is offline".to_owned()));
        }
        self.0.clock.sleep(self.below(2500)).await;
        let answer = |status: u16, retry_after: Option<&str>| {
            let mut builder = Response::builder().status(status).header("content-type", "application/json");
            if let Some(seconds) = retry_after {
                builder = builder.header("retry-after", seconds);
            }
            builder.body(Bytes::from_static(b"{\"said\": 1}")).expect("it is a valid answer")
        };
        match self.below(8) {
            0 => Ok(answer(503, None)),
            1 => Ok(answer(429, Some("2"))),
            2 => Ok(answer(404, None)),
            3 => Err(FetchError::Network("reset".to_owned())),
            4 => {
                self.0.clock.sleep(40_000).await;
                Ok(answer(200, None))
            }
            _ => Ok(answer(200, None)),
        }
    }

    fn is_online(&self) -> bool {
        self.0.online.get()
    }

    fn log(&self, level: &'static str, message: std::fmt::Arguments<'_>) {
        if level == "error" {
            self.0.errors.borrow_mut().push(message.to_string());
        }
    }
}
