//! Starting on a server's database: what is said, what is not, and what ends it.

use std::path::Path;

use selvedge_test_sqld::Sqld;
use serde_json::json;

use super::common::{Process, Server, command, directory, file, run};

const WORKFLOW: &str = "selvedge: 1\nname: one\ntasks:\n  only: { value: 7 }\n";

#[tokio::test]
async fn what_one_daemon_writes_another_reads() {
    let sqld = Sqld::start();
    let (url, mut servers) = (sqld.url(), Vec::new());
    for form in [url.clone(), url.replace("http://", "libsql://") + "?tls=0"] {
        servers.push(Server::start(Path::new(&form)).await);
    }
    assert!(servers[0].process.stderr().contains(&format!("database {url}")));
    let info = servers[0].api().get("/info").await.expect(200);
    assert_eq!(info["durability"], "server", "{info}");
    servers[0].api().start(WORKFLOW, "first").await;
    servers[1].api().run_is("first", "completed").await;
    assert_eq!(servers[1].api().task_is("first", "only", "completed").await["output"], json!(7));
    let [first, second] = <[Server; 2]>::try_from(servers).ok().expect("two");
    assert_eq!((first.stop().await.code, second.stop().await.code), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_database_that_cannot_be_had_ends_the_start() {
    let sqld = Sqld::start();
    let https = sqld.url().replace("http://", "https://");
    // An Ed25519 key that nobody has signed a token with.
    let key = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
    let guarded = Sqld::with(&[("SQLD_AUTH_JWT_KEY", key)]);
    for (place, code, expected) in [
        ("http://127.0.0.1:1", 1, "the database http://127.0.0.1:1 cannot be reached: Connection refused"),
        (&https, 1, "it does not speak TLS"),
        ("http://nowhere.invalid", 1, "the database http://nowhere.invalid cannot be reached: dns error"),
        (&guarded.url(), 1, "refused the token with status 401"),
        (
            "ws://h",
            2,
            "--database: expected the address of a libsql server (http://, https:// or libsql://), found",
        ),
        ("libsql://h?authToken=s3cret", 2, "--database: the address of a database does not hold its token"),
        ("http://s3cret@h", 2, "--database: the address of a database holds no user or password"),
    ] {
        let ended =
            run(&["serve", "--bind", "127.0.0.1:0", "--database", place, "--database-token", "s3cret"]).await;
        assert_eq!(ended.code, Some(code), "{place}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{place}: {}", ended.stderr);
        assert!(!ended.stderr.contains("s3cret"), "{place}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn the_token_is_taken_from_everywhere_and_printed_nowhere() {
    let directory = directory();
    let settings = file(directory.path(), "s.toml", "database = \"http://h\"\ndatabase_token = \"s3cret\"\n");
    let print = ["serve", "--print-config"];
    let of_file = command(&[&print[..], &["--config", &settings]].concat());
    let of_flag = command(&[&print[..], &["--database-token", "s3cret"]].concat());
    let mut of_env = command(&print);
    of_env.env("SELVEDGE_DATABASE_TOKEN", "s3cret");
    for (command, source) in
        [(of_file, "s.toml:2"), (of_flag, "--database-token"), (of_env, "SELVEDGE_DATABASE_TOKEN")]
    {
        let ended = Process::of(command).ended().await;
        let line = ended.stdout.lines().find(|line| line.contains("database_token"));
        let line = line.unwrap_or_else(|| panic!("{}", ended.stdout));
        assert!(
            line.starts_with("# database_token is set and not shown") && line.ends_with(source),
            "{line}"
        );
        assert!(!ended.stdout.contains("s3cret"), "{}", ended.stdout);
    }
}
