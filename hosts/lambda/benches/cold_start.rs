//! Cold start: from the start of the process to its first answer, beside a function of `lambda_http` that only
//! says hello. `cargo bench --package selvedge-lambda` prints medians and their ratio.
//!
//! Both run against the same small runtime API in this process, in turns, so that whatever else the machine does
//! meets both. What AWS adds before the process starts (fetching the code, making the sandbox) is the same for both
//! but for the size of the binary, which is printed, too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lambda_http::{Body, Response, service_fn};
use selvedge_test_sqld::Sqld;
use serde_json::{Value, json};

/// Makes this program the function that says hello.
const HELLO_ENV: &str = "COLD_START_HELLO";
const ROUNDS: usize = 30;
/// Rounds before those that count: files come into memory.
const WARM_UP: usize = 3;

fn main() -> ExitCode {
    if std::env::var_os(HELLO_ENV).is_some() {
        return hello();
    }
    // `cargo test` runs benches, too: once, to see that they still work.
    let (rounds, warm_up) = match std::env::args().any(|word| word == "--bench") {
        true => (ROUNDS, WARM_UP),
        false => (1, 1),
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("selvedge.db").to_str().expect("UTF-8").to_owned();
    let sqld = Sqld::start();
    let bootstrap = Path::new(env!("CARGO_BIN_EXE_bootstrap"));
    let itself = std::env::current_exe().expect("this program is a file");
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..rounds + warm_up {
        let round_times = [
            first_answer(bootstrap, "SELVEDGE_DATABASE", &sqld.url()),
            first_answer(bootstrap, "SELVEDGE_DATABASE", &file),
            first_answer(&itself, HELLO_ENV, "1"),
        ];
        if round >= warm_up {
            times.iter_mut().zip(round_times).for_each(|(times, time)| times.push(time));
        }
    }
    let [on_sqld, on_file, bare] = times.map(median);
    let ratio = |time: Duration| time.as_secs_f64() / bare.as_secs_f64();
    say(&format!(
        "init to first answer (a list of runs), medians of {rounds} rounds in turns, databases there already"
    ));
    for (name, time, program) in [
        ("selvedge on sqld", on_sqld, bootstrap),
        ("selvedge on a file", on_file, bootstrap),
        ("bare hello", bare, &itself),
    ] {
        say(&format!("  {name:20} {:7.2} ms  {:5.2} times  {}", millis(time), ratio(time), size(program)));
    }
    ExitCode::SUCCESS
}

/// What a function of `lambda_http` is at least.
fn hello() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let service = service_fn(|_: lambda_http::Request| async {
        Ok::<_, lambda_http::Error>(Response::new(Body::Text("hello".to_owned())))
    });
    match runtime.expect("a runtime of one thread").block_on(lambda_http::run(service)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The time from the start of a program to its first answer, which must be a good one.
fn first_answer(program: &Path, variable: &str, value: &str) -> Duration {
    let api = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = api.local_addr().expect("it is bound").to_string();
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs([("AWS_LAMBDA_FUNCTION_NAME", "f"), ("AWS_LAMBDA_FUNCTION_VERSION", "1")])
        .envs([
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_RUNTIME_API", &address),
            (variable, value),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let answer = serve_one(&api);
    let took = began.elapsed();
    child.kill().expect("it runs until it is killed");
    child.wait().expect("a child of ours");
    assert_eq!(answer["statusCode"], 200, "{answer}");
    took
}

/// Gives one event to whoever asks for it, and comes back with the answer.
fn serve_one(api: &TcpListener) -> Value {
    loop {
        let (stream, _) = api.accept().expect("a connection");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        while let Some((line, body)) = read_request(&mut reader) {
            if line.starts_with("GET ") {
                send_event(&stream);
            } else {
                return serde_json::from_slice(&body).expect("answers are JSON");
            }
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        assert!(!line.to_ascii_lowercase().starts_with("transfer-encoding:"), "bodies have a length");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

fn send_event(mut stream: &TcpStream) {
    let path = "/api/v1/runs";
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": { "accept": "application/json", "host": "a.example" },
        "requestContext": {
            "domainName": "a.example", "stage": "$default", "timeEpoch": 0,
            "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1" },
        },
        "isBase64Encoded": false,
    })
    .to_string();
    let deadline =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + Duration::from_secs(30);
    let (length, deadline) = (event.len(), deadline.as_millis());
    let head = format!(
        "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: {deadline}\r\n\
         lambda-runtime-invoked-function-arn: arn\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all((head + &event).as_bytes()).expect("it listens");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn size(program: &Path) -> String {
    let bytes = PathBuf::from(program).metadata().expect("it is a file").len();
    format!("binary {:.1} MB", bytes as f64 / 1e6)
}

fn say(text: &str) {
    // A reader that has gone needs no report.
    let _ = writeln!(std::io::stdout(), "{text}");
}
