//! Where people and servers meet: requests on their way, and what people know of each other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use serde_json::Value;

use crate::clock::Clock;
use crate::dice::Dice;
use crate::plan::{Act, Start};

/// One request, with what it is about in the words of those who check its answer.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number in this world.
    pub number: u64,
    /// Who asks.
    pub person: Rc<str>,
    /// What is asked.
    pub ask: Ask,
    /// `POST`, `GET`, `PUT`.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// A JSON body.
    pub body: Option<Value>,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// The `If-Match`.
    pub if_match: Option<String>,
    /// A number from which follows which server is asked.
    pub server: u64,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum Ask {
    /// To save a workflow.
    Save,
    /// To start a run.
    Start {
        /// The tag by which it is known, if nothing else is.
        mark: String,
        /// The id, if it is the client's.
        id: Option<String>,
        /// How.
        start: Start,
    },
    /// To do something to a run.
    Steer {
        /// The run.
        run: String,
        /// What.
        act: Act,
    },
    /// To send a signal.
    Signal {
        /// The run.
        run: String,
        /// The sender's id.
        id: Option<String>,
        /// What it carries: no two signals the same.
        payload: String,
    },
    /// To run a run again.
    Rerun {
        /// The id of the new run.
        id: String,
    },
    /// To be given tasks.
    Claim {
        /// Who asks.
        worker: Rc<str>,
        /// On which queues.
        queues: &'static [&'static str],
        /// What it carries.
        labels: &'static [&'static str],
        /// How long it waits, in seconds.
        wait: u64,
    },
    /// To end a lease, or several.
    Report(Vec<(String, Report)>),
    /// To extend a lease.
    Heartbeat {
        /// The lease.
        lease: String,
    },
    /// For a run's result, waiting for it.
    Result {
        /// The run.
        run: String,
    },
    /// For a page of a run's history.
    Events {
        /// The run.
        run: String,
        /// After how many events.
        after: usize,
    },
    /// For a run.
    Look {
        /// The run.
        run: String,
    },
    /// For a run's tasks.
    Tasks {
        /// The run.
        run: String,
    },
}

/// What a worker says of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It is done, with this output.
    Complete(i64),
    /// It has failed.
    Fail {
        /// Whether another attempt makes sense.
        retryable: bool,
    },
    /// It goes back.
    Release,
}

impl Ask {
    /// A word for counting.
    pub fn word(&self) -> String {
        match self {
            Ask::Save => "save".to_owned(),
            Ask::Start { start, .. } => format!("start {start:?}"),
            Ask::Steer { act, .. } => format!("steer {act:?}"),
            Ask::Signal { id: Some(_), .. } => "signal with an id".to_owned(),
            Ask::Signal { id: None, .. } => "signal with a key".to_owned(),
            Ask::Rerun { .. } => "rerun".to_owned(),
            Ask::Claim { .. } => "claim".to_owned(),
            Ask::Report(reports) => match reports.as_slice() {
                [(_, Report::Complete(_))] => "complete".to_owned(),
                [(_, Report::Fail { retryable: true })] => "fail".to_owned(),
                [(_, Report::Fail { retryable: false })] => "fail for good".to_owned(),
                [(_, Report::Release)] => "release".to_owned(),
                _ => "several reports".to_owned(),
            },
            Ask::Heartbeat { .. } => "heartbeat".to_owned(),
            Ask::Result { .. } => "result".to_owned(),
            Ask::Events { .. } => "events".to_owned(),
            Ask::Look { .. } => "look".to_owned(),
            Ask::Tasks { .. } => "tasks".to_owned(),
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Rc<Value>,
    /// The `ETag`.
    pub etag: Option<String>,
    /// The revision of the run that it names.
    pub revision: Option<i64>,
}

/// A request on its way.
pub struct Request {
    /// What is asked.
    pub call: Call,
    /// Where the answer goes. Dropped, the connection is lost.
    pub reply: oneshot::Sender<Reply>,
}

/// Where people and servers meet. Clones are the same street.
#[derive(Clone)]
pub struct Street(Rc<Inner>);

struct Inner {
    clock: Clock,
    requests: RefCell<VecDeque<Request>>,
    calls: Cell<u64>,
    mischief: Cell<bool>,
    content: Cell<usize>,
    leases: RefCell<Vec<String>>,
}

impl Street {
    /// An empty street.
    pub fn new(clock: Clock) -> Self {
        Self(Rc::new(Inner {
            clock,
            requests: RefCell::default(),
            calls: Cell::new(0),
            mischief: Cell::new(true),
            content: Cell::new(0),
            leases: RefCell::default(),
        }))
    }

    /// The requests that no server has seen yet.
    pub fn take_requests(&self) -> VecDeque<Request> {
        self.0.requests.take()
    }

    /// From now on people behave.
    pub fn calm_down(&self) {
        self.0.mischief.set(false);
    }

    /// How many clients have seen all their runs end.
    pub fn content(&self) -> usize {
        self.0.content.get()
    }
}

/// Somebody on the street, with choices of their own.
pub struct Person {
    street: Street,
    name: Rc<str>,
    dice: RefCell<Dice>,
}

impl Person {
    /// A person of this name.
    pub fn new(street: Street, name: &str, dice: Dice) -> Self {
        Self { street, name: name.into(), dice: RefCell::new(dice) }
    }

    /// Their name.
    pub fn name(&self) -> &Rc<str> {
        &self.name
    }

    /// A number below the limit.
    pub fn below(&self, limit: u64) -> u64 {
        self.dice.borrow_mut().below(limit)
    }

    /// Whether people misbehave.
    pub fn misbehaves(&self) -> bool {
        self.street.0.mischief.get()
    }

    /// Waits between so many milliseconds.
    pub async fn sleep(&self, least: u64, limit: u64) {
        let millis = least + self.below(limit - least);
        self.street.0.clock.sleep(millis).await;
    }

    /// Has seen all their runs end.
    pub fn is_content(&self) {
        self.street.0.content.set(self.street.0.content.get() + 1);
    }

    /// Notes a lease for others to lie about.
    pub fn leak(&self, lease: &str) {
        self.street.0.leases.borrow_mut().push(lease.to_owned());
    }

    /// A lease that somebody was given some time.
    pub fn someones_lease(&self) -> Option<String> {
        let leases = self.street.0.leases.borrow();
        (!leases.is_empty()).then(|| leases[self.below(leases.len() as u64) as usize].clone())
    }

    /// A request and its answer; `None` if the connection was lost.
    pub async fn call(&self, inquiry: &Inquiry) -> Option<Reply> {
        let (reply, answer) = oneshot::channel();
        let number = self.street.0.calls.get();
        self.street.0.calls.set(number + 1);
        let Inquiry { ask, method, path, body, key, if_match } = inquiry.clone();
        let (person, server) = (self.name.clone(), self.dice.borrow_mut().number());
        let call = Call { number, person, ask, method, path, body, key, if_match, server };
        self.street.0.requests.borrow_mut().push_back(Request { call, reply });
        answer.await.ok()
    }

    /// The request again and again until the server has said something final.
    pub async fn insist(&self, inquiry: &Inquiry) -> Reply {
        loop {
            match self.call(inquiry).await {
                Some(reply) if !is_passing(&reply) => return reply,
                _ => self.sleep(100, 1500).await,
            }
        }
    }
}

/// Whether the same request may be answered differently in a moment.
fn is_passing(reply: &Reply) -> bool {
    let in_progress =
        || reply.body["type"].as_str().is_some_and(|slug| slug.contains("idempotency-in-progress"));
    reply.status == 503 || (reply.status == 409 && in_progress())
}

/// A request before it is on its way.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// What is asked.
    pub ask: Ask,
    /// `POST`, `GET`, `PUT`.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// A JSON body.
    pub body: Option<Value>,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// The `If-Match`.
    pub if_match: Option<String>,
}

impl Inquiry {
    /// A POST.
    pub fn post(ask: Ask, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { ask, method: "POST", path: path.into(), body, key: None, if_match: None }
    }

    /// A GET.
    pub fn get(ask: Ask, path: impl Into<String>) -> Self {
        Self { ask, method: "GET", path: path.into(), body: None, key: None, if_match: None }
    }

    /// The same with an idempotency key.
    #[must_use]
    pub fn keyed(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }
}
