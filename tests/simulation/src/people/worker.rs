//! A worker: claims for ever, and does with a task what workers do.

use serde_json::{Value, json};

use crate::plan;
use crate::street::{Ask, Inquiry, Person, Report};

/// Lives a worker's life. It does not end.
pub async fn worker(person: Person, plan: plan::Worker) {
    let worker = Worker { person, plan };
    let mut number = 0u64;
    loop {
        let Some(tasks) = worker.claim(number).await else {
            // Perhaps the same claim again, perhaps a new one.
            number += worker.person.below(2);
            worker.person.sleep(100, 1000).await;
            continue;
        };
        number += 1;
        if tasks.is_empty() && worker.plan.wait == 0 {
            worker.person.sleep(300, 1500).await;
        }
        if worker.misbehaves() && worker.person.below(12) == 0 {
            // It dies, and another of its name begins where it knows nothing of these tasks.
            worker.person.sleep(500, 8000).await;
            number += 1000;
            continue;
        }
        worker.work_on(&tasks).await;
    }
}

struct Worker {
    person: Person,
    plan: plan::Worker,
}

impl Worker {
    /// The leases that it was given.
    async fn claim(&self, number: u64) -> Option<Vec<String>> {
        let (name, plan) = (self.person.name(), &self.plan);
        let mut body = json!({
            "worker_id": &**name,
            "queues": plan.queues,
            "labels": plan.labels,
            "max_tasks": plan.max_tasks,
            "wait": format!("{}s", plan.wait),
            "lease_ttl": format!("{}s", plan.lease_ttl),
        });
        if plan.claim_ids {
            body["claim_id"] = format!("{name}-{number}").into();
        }
        let (worker, queues, labels, wait) = (name.clone(), plan.queues, plan.labels, plan.wait);
        let ask = Ask::Claim { worker, queues, labels, wait };
        let reply = self.person.call(&Inquiry::post(ask, "/api/v1/tasks/claim", Some(body))).await?;
        let tasks = reply.body["tasks"].as_array()?;
        let leases: Vec<String> =
            tasks.iter().filter_map(|task| task["lease_id"].as_str().map(str::to_owned)).collect();
        leases.iter().for_each(|lease| self.person.leak(lease));
        Some(leases)
    }

    async fn work_on(&self, leases: &[String]) {
        if leases.len() > 1 && self.person.below(3) == 0 {
            self.person.sleep(10, 1500).await;
            let reports = leases.iter().map(|lease| (lease.clone(), self.some_report())).collect();
            return self.report_together(reports).await;
        }
        for lease in leases {
            self.work(lease).await;
        }
    }

    fn misbehaves(&self) -> bool {
        self.person.misbehaves() && self.person.below(self.plan.behaves + 1) < self.plan.behaves
    }

    fn some_report(&self) -> Report {
        match self.misbehaves() {
            true => match self.person.below(4) {
                0 => Report::Fail { retryable: true },
                1 => Report::Release,
                _ => Report::Complete(1),
            },
            false => Report::Complete(1),
        }
    }

    async fn work(&self, lease: &str) {
        if !self.misbehaves() {
            self.person.sleep(10, 800).await;
            return self.report(lease, Report::Complete(1)).await;
        }
        let ttl = self.plan.lease_ttl * 1000;
        match self.person.below(14) {
            // It forgets the task.
            0 => {}
            // It answers late.
            1 | 2 => {
                self.person.sleep(ttl - 500, ttl + 4000).await;
                self.report(lease, Report::Complete(1)).await;
            }
            // It answers twice, and then otherwise.
            3 => {
                self.report(lease, Report::Complete(1)).await;
                self.report(lease, Report::Complete(1)).await;
                self.report(lease, Report::Complete(2)).await;
            }
            4 => {
                self.report(lease, Report::Fail { retryable: true }).await;
                self.report(lease, Report::Complete(2)).await;
            }
            // It lies about who it is.
            5 => {
                self.report(&format!("{lease}x"), Report::Complete(3)).await;
                if let Some(other) = self.person.someones_lease() {
                    self.report(&other, Report::Complete(4)).await;
                }
                self.report(lease, Report::Complete(1)).await;
            }
            // It takes long and says so.
            6..8 => {
                for _ in 0..3 {
                    self.person.sleep(ttl / 3, ttl + 200).await;
                    self.heartbeat(lease).await;
                }
                self.report(lease, Report::Complete(1)).await;
            }
            8 | 9 => self.report(lease, Report::Fail { retryable: true }).await,
            10 => self.report(lease, Report::Fail { retryable: false }).await,
            11 => self.report(lease, Report::Release).await,
            _ => {
                self.person.sleep(10, 3000).await;
                self.report(lease, Report::Complete(1)).await;
            }
        }
    }

    async fn report(&self, lease: &str, report: Report) {
        let (how, body) = match &report {
            Report::Complete(number) => ("complete", Some(json!({ "output": number }))),
            Report::Fail { retryable } => (
                "fail",
                Some(json!({ "error": { "message": "broken", "code": "worker" }, "retryable": retryable })),
            ),
            Report::Release => ("release", None),
        };
        let ask = Ask::Report(vec![(lease.to_owned(), report)]);
        let mut inquiry = Inquiry::post(ask, format!("/api/v1/leases/{lease}/{how}"), body);
        if self.person.below(6) == 0 {
            inquiry = inquiry.keyed(format!("{lease}-{how}"));
        }
        self.person.insist(&inquiry).await;
    }

    /// Several reports in one request; it is made once, whatever becomes of it.
    async fn report_together(&self, reports: Vec<(String, Report)>) {
        let item = |(lease, report): &(String, Report)| match report {
            Report::Complete(number) => json!({ "action": "complete", "lease_id": lease, "output": number }),
            Report::Fail { retryable } => json!({
                "action": "fail", "lease_id": lease, "error": { "message": "broken", "code": "worker" },
                "retryable": retryable,
            }),
            Report::Release => json!({ "action": "release", "lease_id": lease }),
        };
        let items: Vec<Value> = reports.iter().map(item).collect();
        let inquiry =
            Inquiry::post(Ask::Report(reports), "/api/v1/leases/batch", Some(json!({ "items": items })));
        self.person.call(&inquiry).await;
    }

    async fn heartbeat(&self, lease: &str) {
        let ask = Ask::Heartbeat { lease: lease.to_owned() };
        self.person.call(&Inquiry::post(ask, format!("/api/v1/leases/{lease}/heartbeat"), None)).await;
    }
}
