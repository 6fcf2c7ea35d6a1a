//! The commands, as somebody types them: what they print and how they exit.

mod common;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use common::{Ended, Process, Server, command, directory, eventually, file, is_running, of_repository, run};

fn example(name: &str) -> String {
    of_repository(&format!("examples/{name}.yaml")).to_str().expect("a path of ASCII").to_owned()
}

/// Standard output as JSON, of a command that did what it was for.
#[track_caller]
fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|fault| panic!("{fault}: {}", ended.stdout))
}

/// A run of one shell task called `t`.
fn document(name: &str, command: &str, more: &str) -> String {
    let command = json!(command);
    format!(
        "selvedge: 1\nname: {name}\ntasks:\n  t: {{ worker: shell, {more} with: {{ command: {command} }} }}\n"
    )
}

#[tokio::test]
async fn examples_run_locally() {
    let every = std::fs::read_dir(of_repository("examples")).expect("the examples");
    let names = every.map(|entry| entry.expect("a file").file_name().into_string().expect("ASCII"));
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    // A new example comes with a test of its own, here or below.
    assert_eq!(names, ["approval.yaml", "diamond.yaml", "flaky.yaml", "hello.yaml", "http.yaml"]);

    for (name, more, output) in [
        ("hello", &[][..], json!("Hello, world!")),
        ("hello", &["--input", "name=Ada"], json!("Hello, Ada!")),
        ("diamond", &[], json!({"words": 9, "lines": 3, "summary": "9 words in 3 lines"})),
        ("flaky", &[], json!({"said": "attempt 3: it works\n", "optional": "failed"})),
    ] {
        let ended = run(&[&["run", &example(name), "--local"], more].concat()).await;
        assert_eq!(json_of(&ended), output, "{name}");
        assert!(ended.stderr.contains(" completed\n"), "{}", ended.stderr);
        assert!(!ended.stderr.contains('\x1b'), "no colours where there is no terminal: {}", ended.stderr);
    }
}

#[tokio::test]
async fn the_example_of_http_asks_a_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/page", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("connections come");
            let service = hyper::service::service_fn(async |request: Request<hyper::body::Incoming>| {
                let status = if request.uri().path() == "/page" { 200 } else { 404 };
                let answer = Response::builder().status(status).body(Full::new(Bytes::from("hello")));
                Ok::<_, std::convert::Infallible>(answer.expect("a response"))
            });
            let stream = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
        }
    });
    let input = format!("url={url}");
    let ended = run(&["run", &example("http"), "--local", "--input", &input]).await;
    assert_eq!(json_of(&ended), json!({"url": url, "status": 200}));
    let ended = run(&["run", &example("http"), "--local", "--input", &format!("{input}/missing")]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("task fetch: ") && ended.stderr.contains("404"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_example_of_approval_waits_for_a_signal() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let _worker = server.worker(directory.path(), &[]).await;
    let url = ["--server", &server.url];
    for (payload, shipped) in [(r#"{"ok": true, "by": "Ada"}"#, true), (r#"{"ok": false}"#, false)] {
        let id = format!("approval-{shipped}");
        let mut follow = Process::start(&[&["run", &example("approval"), "--id", &id], &url[..]].concat());
        follow.shows(&format!("selvedge signal {id} approval")).await;
        let sent = run(&[&["signal", &id, "approval", payload], &url[..]].concat()).await;
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
        assert!(sent.stdout.contains("the signal approval is stored"), "{}", sent.stdout);
        let ended = follow.ended().await;
        assert_eq!(json_of(&ended), json!({"shipped": shipped}));
        assert_eq!(ended.stderr.contains("shipped, approved by Ada"), shipped, "{}", ended.stderr);
    }
}

#[tokio::test]
async fn runs_are_followed_listed_and_read_on_a_server() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let _worker = server.worker(directory.path(), &[]).await;
    let selvedge = async |line: &str| {
        let mut words: Vec<_> = line.split(' ').collect();
        words.extend(["--server", &server.url]);
        run(&words).await
    };
    let hello = example("hello");
    let ended = selvedge(&format!("run {hello} --id one")).await;
    assert_eq!(json_of(&ended), "Hello, world!");
    assert!(ended.stderr.contains("greet            | Hello, world!"), "{}", ended.stderr);

    let run = json_of(&selvedge(&format!("run {hello} --json --id two --input name=Ada")).await);
    assert_eq!(
        (&run["id"], &run["status"], &run["output"]),
        (&json!("two"), &json!("completed"), &json!("Hello, Ada!"))
    );
    let again = selvedge(&format!("run {hello} --id two")).await;
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    assert!(again.stderr.contains("two"), "{}", again.stderr);

    let bad = file(
        directory.path(),
        "bad.yaml",
        &document("bad", "echo oh no >&2; exit 3", "retry: { max_attempts: 1 },"),
    );
    let ended = selvedge(&format!("run {bad} --id three")).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended.stderr.contains("three failed: task t: ") && ended.stderr.contains("oh no"),
        "{}",
        ended.stderr
    );

    let detached = selvedge(&format!("run {hello} --id four --detach")).await;
    assert_eq!((detached.code, detached.stdout.as_str()), (Some(0), "four\n"));
    server.api().run_is("four", "completed").await;

    let table = selvedge("runs").await.stdout;
    let first: Vec<_> = table.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(first, ["RUN", "four", "three", "two", "one"], "{table}");
    let failed = json_of(&selvedge("runs --status failed --json").await);
    assert_eq!(failed["items"][0]["id"], "three");
    assert_eq!(failed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(selvedge("runs --workflow nothing").await.stderr, "no runs\n");
    assert_eq!(selvedge("runs --status nothing").await.code, Some(2));

    let logs = selvedge("logs two").await;
    assert_eq!((logs.code, logs.stdout.as_str(), logs.stderr.as_str()), (Some(0), "Hello, Ada!", ""));
    let logs = selvedge("logs three t").await;
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("", "oh no\n"));
    for line in
        ["logs nowhere", "logs one nothing", "cancel nowhere", "retry nowhere", "retry one", "signal one x"]
    {
        let ended = selvedge(line).await;
        assert_eq!(ended.code, Some(1), "{line}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{line}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn logs_follow_a_run_to_its_end() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let _worker = server.worker(directory.path(), &[]).await;
    let command = "echo first; while [ ! -e go ]; do sleep 0.02; done; echo last";
    server.api().start(&document("slow", command, ""), "r").await;
    let mut logs = Process::start(&["logs", "-f", "r", "--server", &server.url]);
    logs.shows("first\n").await;
    std::fs::write(directory.path().join("go"), "").expect("writable");
    let ended = logs.ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "first\nlast\n"));
}

#[tokio::test]
async fn cancel_and_retry_steer_a_run() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let _worker = server.worker(directory.path(), &["--lease-ttl", "1s"]).await;
    let url = ["--server", &server.url];
    let path = directory.path().join("pid");
    let command = "[ -e pid ] && exit 0; echo $$ > pid; sleep 600 & wait";
    server.api().start(&document("long", command, ""), "r").await;
    let pid = eventually("the command runs", async || {
        std::fs::read_to_string(&path).ok()?.trim().parse::<u32>().ok()
    })
    .await;
    let ended = run(&[&["cancel", "r"], &url[..]].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("run r is cancel"), "{}", ended.stdout);
    eventually("the command is gone", async || (!is_running(pid)).then_some(())).await;
    server.api().run_is("r", "cancelled").await;
    let ended = run(&[&["retry", "r"], &url[..]].concat()).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "run r is running\n"), "{}", ended.stderr);
    server.api().run_is("r", "completed").await;
}

#[tokio::test]
async fn an_interrupt_cancels_the_run_that_is_followed() {
    let directory = directory();
    let path =
        file(directory.path(), "long.yaml", &document("long", "echo here; echo $$ > pid; sleep 600", ""));
    let mut local = command(&["run", &path, "--local"]);
    local.current_dir(directory.path());
    let mut local = Process::of(local);
    local.shows("here").await;
    let pid = std::fs::read_to_string(directory.path().join("pid"))
        .expect("it runs")
        .trim()
        .parse()
        .expect("an id");
    local.signal(Signal::INT);
    let ended = local.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cancelled"), "{}", ended.stderr);
    assert!(!is_running(pid));
}

/// The headline: killed in the middle, and the same command finishes what it began.
#[tokio::test]
async fn the_same_command_finishes_a_run_that_was_killed() {
    let directory = directory();
    let text = "selvedge: 1\nname: durable\ntasks:\n\
        \x20 first: { worker: shell, with: { command: echo x >> first; echo one } }\n\
        \x20 second:\n    needs: [first]\n    worker: shell\n    retry: { delay: 10ms }\n\
        \x20   with: { command: 'echo begun; while [ ! -e go ]; do [ -e first ] || exit; sleep 0.02; done; echo two' }\n\
        output: ${{ [tasks.first.output.stdout, tasks.second.output.stdout] }}\n";
    let path = file(directory.path(), "durable.yaml", text);
    let again = || {
        let mut line = command(&["run", &path, "--local", "--database", "state.db", "--id", "mine"]);
        line.current_dir(directory.path());
        Process::of(line)
    };
    let mut killed = again();
    killed.shows("| begun").await;
    killed.kill();
    std::fs::write(directory.path().join("go"), "").expect("writable");
    let ended = again().ended().await;
    assert_eq!(json_of(&ended), json!(["one\n", "begun\ntwo\n"]));
    assert!(ended.stderr.contains("run mine is here already"), "{}", ended.stderr);
    let first = std::fs::read_to_string(directory.path().join("first")).expect("it ran");
    assert_eq!(first, "x\n", "what was completed before the kill did not run again");
    // And once more: it is done.
    assert_eq!(json_of(&again().ended().await), json!(["one\n", "begun\ntwo\n"]));
}

#[tokio::test]
async fn exit_codes_say_who_was_wrong() {
    let directory = directory();
    let failing = file(directory.path(), "f.yaml", &document("f", "exit 1", "retry: { max_attempts: 1 },"));
    let nobody = ["--server", "http://127.0.0.1:1"];
    for (line, code) in [
        (&["run", &failing, "--local"][..], 1),
        (&["run"], 2),
        (&["run", "/nowhere.yaml", "--local"], 2),
        (&["nonsense"], 2),
        (&["runs", nobody[0], nobody[1]], 3),
        (&["run", &failing, nobody[0], nobody[1]], 3),
        (&["--version"], 0),
        (&["--help"], 0),
    ] {
        let ended = run(line).await;
        assert_eq!(ended.code, Some(code), "{line:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn validate_names_file_line_and_column() {
    let directory = directory();
    let good = example("hello");
    let broken = file(directory.path(), "broken.yaml", "selvedge: 1\nname: b\ntasks:\n  a: [1, 2\n  b: 3\n");
    let cycle = file(
        directory.path(),
        "cycle.yaml",
        "selvedge: 1\nname: c\ntasks:\n  a: { needs: [c], value: 1 }\n  b: { needs: [a], value: 1 }\n  c: { needs: [b], value: 1 }\n",
    );
    let typo = file(
        directory.path(),
        "typo.yaml",
        "selvedge: 1\nname: t\ntasks:\n  a:\n    value: 1\n    retrys: 2\n",
    );
    let json = file(directory.path(), "typo.json", r#"{"selvedge": 1, "name": "t", "taks": {}}"#);
    let toml = file(directory.path(), "broken.toml", "selvedge = 1\nname = \n");

    assert_eq!(run(&["validate", &good]).await.stdout, format!("{good}: valid\n"));
    let ended = run(&["validate", &good, &broken, &cycle, &typo, &json, &toml]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), format!("{good}: valid\n").as_str()));
    for place in [
        format!("{broken}:5:4: cannot be read as YAML: "),
        format!("{cycle}:4:16: needs form a cycle: a → c → b → a"),
        format!("{typo}:6:13: unknown field `retrys`, did you mean `retry`?"),
        format!("{json}:1:38: unknown field `taks`, did you mean `tasks`?"),
        format!("{toml}:2:8: cannot be read as TOML: "),
    ] {
        assert!(ended.stderr.lines().any(|line| line.starts_with(&place)), "{place} in\n{}", ended.stderr);
    }
}

#[tokio::test]
async fn graphs_have_three_formats() {
    let diamond = example("diamond");
    for (format, part) in [
        (&["--format", "dot"][..], "\"fetch\" -> \"count_words\""),
        (&["--format", "mermaid"], "flowchart LR"),
        (&[], "flowchart LR"),
    ] {
        let ended = run(&[&["graph", &diamond], format].concat()).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
    let graph = json_of(&run(&["graph", &diamond, "--format", "json"]).await);
    assert_eq!(graph["waves"], json!([["fetch"], ["count_lines", "count_words"], ["report"]]));
    assert_eq!(graph["edges"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn shells_get_completions() {
    for (shell, part) in [
        ("bash", "complete -F _selvedge"),
        ("zsh", "#compdef selvedge"),
        ("fish", "complete -c selvedge"),
        ("elvish", "selvedge"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let ended = run(&["completions", shell]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains(part) && ended.stdout.contains("validate"), "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"]).await.code, Some(2));
}
