//! What a newcomer does wrong, and what the binary says: what is wrong, where, and what to do about it.

mod common;

use selvedge::store::database::{Batch, Database, Outcome, Statement};
use serde_json::{Value, json};

use common::{Ended, Process, Server, command, directory, eventually, file, run, sandboxed, seen_by};

/// The command ended with this code, and said all of this on standard error.
#[track_caller]
fn said(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} is not in:\n{}", ended.stderr);
    }
}

/// `serve` with these arguments, which is not to start.
async fn refused(arguments: &[&str]) -> Ended {
    run(&[&["serve", "--bind", "127.0.0.1:0"], arguments].concat()).await
}

#[tokio::test]
async fn faulty_documents_do_not_run() {
    let directory = directory();
    for (name, text, parts) in [
        (
            "broken",
            "selvedge: 1\nname: b\ntasks:\n  a: [1, 2\n  b: 3\n",
            &["error: ", "broken.yaml:5:4: cannot be read as YAML: "][..],
        ),
        (
            "cycle",
            "selvedge: 1\nname: c\ntasks:\n  a: { needs: [b], value: 1 }\n  b: { needs: [a], value: 1 }\n",
            &["cycle.yaml:4:16: needs form a cycle: a → b → a"],
        ),
        (
            "typo",
            "selvedge: 1\nname: t\ntasks:\n  a:\n    wroker: shell\n  b:\n    value: 1\n    need: [a]\n",
            &[
                "typo.yaml:5:13: unknown field `wroker`, did you mean `worker`?",
                "typo.yaml:8:11: unknown field `need`, did you mean `needs`?",
            ],
        ),
        (
            "missing",
            "selvedge: 1\nname: m\ntasks:\n  build: { value: 1 }\n  a: { needs: [biuld], value: 1 }\n",
            &["missing.yaml:5:", "biuld", "did you mean `build`?"],
        ),
        ("future", "selvedge: 2\nname: f\ntasks: { a: { value: 1 } }\n", &["future.yaml:1:11: ", "1"]),
    ] {
        let path = file(directory.path(), &format!("{name}.yaml"), text);
        said(&run(&["run", &path, "--local"]).await, 2, parts);
    }
    said(
        &run(&["run", "/nowhere.yaml", "--local"]).await,
        2,
        &["/nowhere.yaml: cannot be read: No such file"],
    );
    let text = file(directory.path(), "notes.txt", "");
    said(
        &run(&["run", &text, "--local"]).await,
        2,
        &["expected a file that ends in .yaml, .yml, .toml or .json"],
    );
}

#[tokio::test]
async fn an_input_of_the_wrong_type_is_named() {
    let directory = directory();
    let text = "selvedge: 1\nname: typed\ninput:\n  type: object\n  required: [count]\n  additionalProperties: false\n\
        \x20 properties: { count: { type: integer }, name: { type: string } }\ntasks: { a: { value: 1 } }\n";
    let path = file(directory.path(), "typed.yaml", text);
    for (more, parts) in [
        (&["--input", "count=many"][..], &["/input/count: expected integer, found string \"many\""][..]),
        (&[], &["`count` is required"]),
        (&["--input", "count=1", "--input", "nmae=x"], &["/input", "nmae"]),
        (&["--input", "count=x", "--input", "name=1"], &["/input/count: ", "/input/name: "]),
        (&["--input", "count"], &["--input: expected name=value, found \"count\""]),
        (&["--input-json", "{count: 1}"], &["--input-json: expected JSON"]),
    ] {
        said(&run(&[&["run", &path, "--local"], more].concat()).await, 2, parts);
    }
    assert_eq!(run(&["run", &path, "--local", "--input", "count=1"]).await.code, Some(0));
}

#[tokio::test]
async fn a_task_that_nobody_takes_is_told_of() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let text = "selvedge: 1\nname: q\ntasks:\n  train: { worker: gpu, labels: [big], with: { command: echo trained } }\n";
    let path = file(directory.path(), "q.yaml", text);
    let _worker = server.worker(directory.path(), &[]).await;
    let mut follow = Process::start(&["run", &path, "--server", &server.url]);
    follow.shows("task train waits: no online worker with the labels big asks on its queue gpu").await;
    let advice = format!("selvedge worker --server {} --queue gpu --label big", server.url);
    follow.shows(&advice).await;
    // What it says helps.
    let words: Vec<_> = advice.split(' ').skip(4).collect();
    let _gpu = server.worker(directory.path(), &words).await;
    let ended = follow.ended().await;
    said(&ended, 0, &["| trained", "completed"]);
    assert_eq!(ended.stderr.matches("task train waits").count(), 1, "{}", ended.stderr);

    let mut local = Process::start(&["run", &path, "--local"]);
    local.shows("warning: task train is for the queue gpu").await;
    local.shows("pass --queue gpu").await;
}

#[tokio::test]
async fn unknown_names_are_named() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let problem = server.api().post("/runs", json!({"workflow": "nothing"})).await.expect(404);
    assert_eq!(problem["type"], "/problems/not-found");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("nothing")), "{problem}");
    for (line, part) in [
        (&["logs", "nowhere"][..], "nowhere"),
        (&["cancel", "nowhere"], "nowhere"),
        (&["signal", "nowhere", "go"], "nowhere"),
    ] {
        said(&run(&[line, &["--server", &server.url]].concat()).await, 1, &["error: ", part]);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of() {
    // A port that was free a moment ago, on an address of our own.
    let free = std::net::TcpListener::bind(common::own_address(9)).expect("a free port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let url = format!("http://{address}");
    for line in [&["runs"][..], &["logs", "r"], &["cancel", "r"], &["signal", "r", "go"]] {
        let ended = run(&[line, &["--server", &url]].concat()).await;
        let no_server = format!("no server answers at {url} (connection refused)");
        said(&ended, 3, &[&no_server, "start one with `selvedge serve`, or pass --server"]);
    }
    // A worker waits for its server instead.
    let mut worker = Process::start(&["worker", "--server", &url]);
    worker.shows("waiting for the server: no server answers at").await;
    said(
        &run(&["runs", "--server", "127.0.0.1:8080"]).await,
        2,
        &["--server: expected an address such as http://"],
    );
}

#[tokio::test]
async fn addresses_that_cannot_be_had_are_named() {
    let directory = directory();
    let database = directory.path().join("s.db");
    let server = Server::start(&database).await;
    let port = server.url.rsplit(':').next().expect("a port");
    let other = directory.path().join("o.db");
    let other = other.to_str().expect("ASCII");
    let ended = run(&["serve", "--bind", server.address(), "--database", other]).await;
    said(
        &ended,
        1,
        &[&format!("port {port} is taken by another program"), "pass --bind 127.0.0.1:0 for a free port"],
    );

    let ended = run(&["serve", "--bind", "0.0.0.0:0", "--database", other]).await;
    said(
        &ended,
        2,
        &["0.0.0.0:0 can be reached from other machines", "Bind a loopback address", "--unauthenticated"],
    );
    let ended = run(&["serve", "--bind", "8080", "--database", other]).await;
    said(&ended, 2, &["--bind: expected a host and a port"]);
    assert!(!std::path::Path::new(other).exists(), "a server that is refused leaves no database");
}

#[tokio::test]
async fn settings_that_do_not_exist_are_named() {
    let directory = directory();
    let path =
        file(directory.path(), "s.toml", "bind = \"127.0.0.1:0\"\ndatabse = \"x.db\"\nlog = \"xml\"\n");
    let ended = run(&["serve", "--config", &path]).await;
    said(&ended, 2, &[&format!("{path}:2: unknown setting \"databse\"; did you mean database?")]);
    said(&run(&["serve", "--config", "/nowhere.toml"]).await, 2, &["--config: /nowhere.toml cannot be read"]);
    said(&run(&["serve", "--databse", "x"]).await, 2, &["--databse", "--database"]);
    let mut line = command(&["serve", "--bind", "127.0.0.1:0"]);
    line.env("SELVEDGE_LOG_LEVEL", "loud");
    said(&Process::of(line).ended().await, 2, &["SELVEDGE_LOG_LEVEL: expected error, warn"]);
}

#[tokio::test]
async fn databases_that_cannot_be_used_are_named() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name).to_str().expect("ASCII").to_owned();

    let text = file(directory.path(), "notes.db", "these are notes, not a database\n");
    said(
        &refused(&["--database", &text]).await,
        1,
        &[&text, "is not an SQLite database; it was left as it is"],
    );
    assert_eq!(std::fs::read_to_string(&text).expect("it is there"), "these are notes, not a database\n");

    let missing = path("missing/s.db");
    said(&refused(&["--database", &missing]).await, 1, &[&missing, "the directory", "No such file"]);
    let itself = path(".");
    said(&refused(&["--database", &itself]).await, 1, &["is a directory, expected a file"]);
    said(
        &refused(&["--database", "postgres://host"]).await,
        2,
        &[
            "--database: expected the address of a libsql server (http://, https:// or libsql://), found postgres://",
        ],
    );

    let owned = path("owned.db");
    let server = Server::start(owned.as_ref()).await;
    let in_use = format!("is in use by another process (pid {})", server.process.id());
    said(
        &refused(&["--database", &owned]).await,
        1,
        &[&owned, &in_use, "stop that one, or name another file"],
    );
    let hello = common::of_repository("examples/hello.yaml");
    let local = ["run", hello.to_str().expect("ASCII"), "--local", "--database", &owned];
    said(&run(&local).await, 1, &[&owned, &in_use]);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let directory = directory();
    let path = directory.path().join("s.db");
    assert_eq!(Server::start(&path).await.stop().await.code, Some(0));
    {
        let database = selvedge_libsql::Local::open(&path, Default::default()).expect("a database");
        let mut batch = Batch::default();
        batch.expect(1, Statement::new("INSERT INTO migrations VALUES (9999, 0)", vec![]));
        assert_eq!(database.write(vec![batch]).await, Ok(vec![Outcome::Committed]));
    }
    let path = path.to_str().expect("ASCII");
    let parts = [
        path,
        "the database is of version 9999, and this program knows versions up to",
        "use a newer selvedge",
    ];
    said(&refused(&["--database", path]).await, 1, &parts);
}

#[tokio::test]
async fn a_read_only_directory_is_named() {
    let directory = directory();
    let path = directory.path().join("s.db");
    let path = path.to_str().expect("ASCII");
    let line = ["serve", "--bind", "127.0.0.1:0", "--database", path];
    let Some(line) = sandboxed("ro", directory.path(), &line) else { return };
    let ended = Process::of(line).ended().await;
    said(
        &ended,
        1,
        &[&format!("the directory of the database {path} is not writable"), "Read-only file system"],
    );
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let directory = directory();
    let path = directory.path().join("s.db");
    let line = ["serve", "--bind", "127.0.0.1:0", "--database", path.to_str().expect("ASCII")];
    let Some(line) = sandboxed("size=8m", directory.path(), &line) else { return };
    let server = Server::of(line).await;
    let api = server.api();
    api.save("selvedge: 1\nname: w\ntasks: { a: { worker: q } }\n").await;
    let start = async |number: usize| {
        let input = json!({"filler": "x".repeat(20_000)});
        api.post("/runs", json!({"workflow": "w", "id": format!("r{number}"), "input": input})).await
    };
    start(0).await.expect(201);

    let filler = seen_by(server.process.id(), directory.path()).join("filler");
    let fill = std::fs::write(&filler, vec![0; 16 << 20]).expect_err("16 MiB do not fit on 8");
    assert_eq!(fill.kind(), std::io::ErrorKind::StorageFull, "{fill}");
    // The log of the database may have some room left.
    let mut acknowledged = vec!["r0".to_owned()];
    let full = loop {
        let reply = start(acknowledged.len()).await;
        match reply.status {
            201 => acknowledged.push(format!("r{}", acknowledged.len())),
            _ => break reply,
        }
        assert!(acknowledged.len() < 1000, "the disk never fills");
    };
    assert!(full.headers["retry-after"].to_str().is_ok_and(|after| after.parse::<u32>().is_ok()));
    let problem = full.expect(503);
    assert!(problem["title"].is_string() && !problem.to_string().contains("SQL"), "{problem}");

    assert_eq!(ids(&api.all("/runs?sort=created_at").await), acknowledged, "reads go on");
    start(acknowledged.len()).await.expect(503);
    std::fs::remove_file(&filler).expect("it is there");
    eventually("the server takes runs again", async || {
        let reply = start(acknowledged.len()).await;
        (reply.status == 201).then_some(())
    })
    .await;
    acknowledged.push(format!("r{}", acknowledged.len()));
    assert_eq!(ids(&api.all("/runs?sort=created_at").await), acknowledged);
    assert_eq!(server.stop().await.code, Some(0));
}

fn ids(runs: &[Value]) -> Vec<String> {
    runs.iter().filter_map(|run| run["id"].as_str()).map(str::to_owned).collect()
}
