//! The server's API as tests call it.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::eventually;

/// Longer than any call of a test waits.
const TIMEOUT: Duration = Duration::from_secs(70);

/// One server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// There was no answer: the call may have taken effect or not.
#[derive(Debug)]
pub(crate) struct Lost;

impl Api {
    pub(crate) fn new(url: &str) -> Self {
        selvedge_tokio::install_tls();
        let http = reqwest::Client::builder().tls_certs_only([]).timeout(TIMEOUT).no_proxy().build();
        Self { http: http.expect("a client"), url: url.to_owned() }
    }

    /// The same client, and another server.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { http: self.http.clone(), url: url.to_owned() }
    }

    /// One call, which may find the server gone. `path` is what follows `/api/v1`.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply, Lost> {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|_| Lost)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|_| Lost)?;
        let body = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).expect("answers are JSON"),
        };
        Ok(Reply { status, headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await.expect("the server answers")
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Option<Value>>) -> Reply {
        self.call(Method::POST, path, body.into().as_ref()).await.expect("the server answers")
    }

    /// Saves this document, given as YAML, as a workflow.
    pub(crate) async fn save(&self, document: &str) {
        let put = self.http.put(format!("{}/api/v1/workflows/{}", self.url, named(document)));
        let put = put.header("content-type", "application/yaml").body(document.to_owned());
        let put = put.send().await.expect("the server answers");
        let status = put.status();
        assert!(status.is_success(), "{}", put.text().await.expect("a body"));
    }

    /// Saves this document, given as YAML, and starts a run of it.
    pub(crate) async fn start(&self, document: &str, run: &str) {
        self.save(document).await;
        self.post("/runs", json!({"workflow": named(document), "id": run})).await.expect(201);
    }

    /// All items of a list. `path` has no cursor and no limit.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{joint}limit=1000{cursor}")).await.expect(200);
            items.extend(page["items"].as_array().expect("a page").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Comes back with the run when it has this status.
    pub(crate) async fn run_is(&self, run: &str, status: &str) -> Value {
        eventually(&format!("run {run} is {status}"), async || {
            let run = self.get(&format!("/runs/{run}")).await.expect(200);
            (run["status"] == status).then_some(run)
        })
        .await
    }

    /// Comes back with the task when it has this status.
    pub(crate) async fn task_is(&self, run: &str, task: &str, status: &str) -> Value {
        eventually(&format!("task {task} of run {run} is {status}"), async || {
            let task = self.get(&format!("/runs/{run}/tasks/{task}")).await.expect(200);
            (task["status"] == status).then_some(task)
        })
        .await
    }

    /// What a task has written, of one stream.
    pub(crate) async fn written(&self, run: &str, task: &str, stream: &str) -> String {
        let chunks = self.all(&format!("/runs/{run}/tasks/{task}/logs?stream={stream}")).await;
        chunks.iter().filter_map(|chunk| chunk["text"].as_str()).collect()
    }
}

impl Reply {
    /// The body, if this was the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

fn named(document: &str) -> &str {
    let line = document.lines().find_map(|line| line.strip_prefix("name: "));
    line.expect("a document with a line for its name")
}
