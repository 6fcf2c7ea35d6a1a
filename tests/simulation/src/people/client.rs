//! A client: starts a run, does things to it while it is under way, and sees it through.

use std::cell::{Cell, RefCell};

use futures_util::future::join;
use serde_json::{Value, json};

use crate::plan::{self, Act, Start, Step};
use crate::street::{Ask, Inquiry, Person};

/// Lives a client's life.
pub async fn client(person: Person, plan: plan::Client) {
    let client =
        Client { person, plan, runs: RefCell::default(), sent: Cell::new(0), etag: RefCell::default() };
    client.live().await;
}

struct Client {
    person: Person,
    plan: plan::Client,
    /// The runs it looks after: its own first.
    runs: RefCell<Vec<String>>,
    sent: Cell<u32>,
    etag: RefCell<Option<String>>,
}

impl Client {
    async fn live(&self) {
        let run = self.start().await;
        self.runs.borrow_mut().push(run.clone());
        let (beside, along): (Vec<&Step>, Vec<&Step>) = self.plan.steps.iter().partition(|step| step.beside);
        join(self.take(&run, along), self.take(&run, beside)).await;
        let mut seen = 0;
        while seen < self.runs.borrow().len() {
            let run = self.runs.borrow()[seen].clone();
            self.see_through(&run).await;
            seen += 1;
        }
        self.person.is_content();
    }

    /// Starts the run; its id.
    async fn start(&self) -> String {
        let own = format!("run-{}", self.plan.part);
        let mark = format!("mark-{}", self.plan.part);
        let document: Value = serde_json::from_str(self.plan.document.json).expect("a document of ours");
        let mut body = json!({ "input": { "by": u8::from(self.person.below(3) > 0) } });
        if self.plan.start == Start::ByName {
            let name = self.plan.document.name;
            let inquiry = Inquiry::post(Ask::Save, format!("/api/v1/workflows/{name}"), Some(document));
            self.person.insist(&Inquiry { method: "PUT", ..inquiry }).await;
            body["workflow"] = name.into();
        } else {
            body["document"] = document;
        }
        if let Some(after) = self.plan.start_after {
            body["start_after"] = after.into();
        }
        let id = matches!(self.plan.start, Start::WithId | Start::ByName).then_some(own);
        if let Some(id) = &id {
            body["id"] = id.as_str().into();
        }
        if self.plan.start != Start::Bare {
            body["tags"] = json!([mark]);
        }
        let ask = Ask::Start { mark: mark.clone(), id: id.clone(), start: self.plan.start };
        let mut inquiry = Inquiry::post(ask, "/api/v1/runs", Some(body));
        if self.plan.start == Start::WithKey {
            inquiry = inquiry.keyed(mark);
        }
        let reply = self.person.insist(&inquiry).await;
        // A repetition of a start whose answer was lost finds the run.
        id.or_else(|| reply.body["id"].as_str().map(str::to_owned)).unwrap_or_default()
    }

    async fn take(&self, run: &str, steps: Vec<&Step>) {
        for step in steps {
            self.person.sleep(step.after, step.after + 1).await;
            self.act(run, step).await;
        }
    }

    async fn act(&self, run: &str, step: &Step) {
        match step.act {
            Act::Pause | Act::Resume | Act::Cancel | Act::Force | Act::Retry => {
                self.steer(run, step.act).await
            }
            Act::PauseIf => {
                self.look(run).await;
                self.steer(run, Act::PauseIf).await;
            }
            Act::Signal => self.signal(run, true).await,
            Act::SignalWithKey => self.signal(run, false).await,
            Act::Rerun => self.rerun(run, step.part).await,
            Act::Events => self.read_events(run).await,
            Act::Look => self.look(run).await,
            Act::Tasks => {
                let ask = Ask::Tasks { run: run.to_owned() };
                self.person.call(&Inquiry::get(ask, format!("/api/v1/runs/{run}/tasks"))).await;
            }
            Act::Result => {
                self.result(run, 2).await;
            }
        }
    }

    async fn steer(&self, run: &str, act: Act) {
        let action = match act {
            Act::Pause | Act::PauseIf => "pause",
            Act::Resume => "resume",
            Act::Cancel => "cancel",
            Act::Force => "cancel?force=true",
            _ => "retry",
        };
        let ask = Ask::Steer { run: run.to_owned(), act };
        let mut inquiry = Inquiry::post(ask, format!("/api/v1/runs/{run}/{action}"), None);
        if act == Act::PauseIf {
            inquiry.if_match = self.etag.borrow().clone();
        }
        self.person.insist(&inquiry).await;
    }

    async fn signal(&self, run: &str, with_id: bool) {
        let number = self.sent.get();
        self.sent.set(number + 1);
        let payload = format!("{run}/{number}");
        let id = with_id.then(|| format!("s{number}"));
        let mut body = json!({ "payload": payload });
        if let Some(id) = &id {
            body["signal_id"] = id.as_str().into();
        }
        let ask = Ask::Signal { run: run.to_owned(), id, payload };
        let mut inquiry = Inquiry::post(ask, format!("/api/v1/runs/{run}/signals/go"), Some(body));
        if !with_id {
            inquiry = inquiry.keyed(format!("{run}-{number}"));
        }
        self.person.insist(&inquiry).await;
    }

    async fn rerun(&self, run: &str, part: u32) {
        let id = format!("again-{part}");
        let from = self.plan.document.from.filter(|_| self.person.below(2) == 0);
        let ask = Ask::Rerun { id: id.clone() };
        let body = json!({ "id": id, "from": from });
        let reply =
            self.person.insist(&Inquiry::post(ask, format!("/api/v1/runs/{run}/rerun"), Some(body))).await;
        let exists = reply.body["type"].as_str().is_some_and(|slug| slug.contains("run-exists"));
        if reply.status == 201 || exists {
            self.runs.borrow_mut().push(id);
        }
    }

    async fn look(&self, run: &str) {
        let ask = Ask::Look { run: run.to_owned() };
        let reply = self.person.call(&Inquiry::get(ask, format!("/api/v1/runs/{run}"))).await;
        if let Some(etag) = reply.and_then(|reply| reply.etag) {
            self.etag.replace(Some(etag));
        }
    }

    /// Reads pages until one is short, or the connection is lost.
    async fn read_events(&self, run: &str) {
        let (limit, mut after) = (1 + self.person.below(20) as usize, 0);
        loop {
            let path = format!("/api/v1/runs/{run}/events?sort=seq&after={after}&limit={limit}");
            let ask = Ask::Events { run: run.to_owned(), after };
            let Some(reply) = self.person.call(&Inquiry::get(ask, path)).await else { return };
            let items = reply.body["items"].as_array().map_or(0, Vec::len);
            after += items;
            if items < limit {
                return;
            }
        }
    }

    /// Waits for the result; the status, if the run has ended.
    async fn result(&self, run: &str, seconds: u64) -> Option<u16> {
        let ask = Ask::Result { run: run.to_owned() };
        let path = format!("/api/v1/runs/{run}/result?timeout={seconds}s");
        let reply = self.person.call(&Inquiry::get(ask, path)).await?;
        matches!(reply.status, 200 | 422).then_some(reply.status)
    }

    /// Waits until the run has ended, and sees to it that nothing holds it up that only a client can do.
    async fn see_through(&self, run: &str) {
        loop {
            if let Some(status) = self.result(run, 6).await {
                if status == 422 && self.person.misbehaves() && self.person.below(2) == 0 {
                    self.steer(run, Act::Retry).await;
                    continue;
                }
                return;
            }
            self.steer(run, Act::Resume).await;
            if !self.plan.document.ends_alone {
                self.signal(run, true).await;
            }
            self.person.sleep(100, 1000).await;
        }
    }
}
