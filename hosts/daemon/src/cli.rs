//! The command line as types. Every text a user reads in `--help` is a doc comment here.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use selvedge::time::Duration;

/// Where commands look for a server when nothing else is said.
pub(crate) const SERVER_DEFAULT: &str = "http://127.0.0.1:8080";
/// Names the server for commands that are not told with `--server`.
pub(crate) const SERVER_ENV: &str = "SELVEDGE_SERVER";

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for `run`: the run completed
  1  failed; for `run`: the run failed, was cancelled or timed out
  2  wrong usage, configuration, document or input
  3  no server answers";

const SERVE_HELP: &str = "\
Every option can also be set as an environment variable (SELVEDGE_ and the option's name: \
SELVEDGE_BASE_PATH) and in the file named by --config (base_path = \"/x\"). A flag counts before a \
variable, a variable before the file, the file before the default.

The log goes to standard error. With port 0 in --bind, the address that was taken is printed to standard \
output, alone on one line.

The first SIGTERM or SIGINT stops taking connections and lets requests finish; the second exits at once.

Exit codes:
  0  stopped by a signal
  1  the address, the database or the log failed
  2  wrong usage or configuration, or a faulty document in --workflows";

const BENCH_HELP: &str = "\
Without --server, each workload gets a server of its own: this program again, as a process whose use of \
processors, memory and disk is metered. Its database is in a temporary directory, which should lie on the disk \
that is to be measured. With --server only latencies, rates and counts are known.

docs/benchmarks.md says what each workload does and how to read the figures.";

/// Durable workflows: one binary that serves them, works on them and follows them.
#[derive(Debug, Parser)]
#[command(name = "selvedge", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API over HTTP on one address
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Work on tasks: run their shell commands
    Worker(WorkerArgs),
    /// Run a workflow document and follow it to its end
    Run(RunArgs),
    /// Check workflow documents, without a server
    Validate(ValidateArgs),
    /// Draw a workflow document's graph, without a server
    Graph(GraphArgs),
    /// List runs
    Runs(RunsArgs),
    /// Print what a run's tasks wrote
    Logs(LogsArgs),
    /// Cancel a run
    Cancel(CancelArgs),
    /// Continue a failed, cancelled or timed-out run from what did not succeed
    Retry(RetryArgs),
    /// Send a signal to a run
    Signal(SignalArgs),
    /// Measure a server under load
    #[command(after_help = BENCH_HELP)]
    Bench(BenchArgs),
    /// Print a shell's completion script
    Completions(CompletionsArgs),
}

/// As they were given; `config` reads and checks them together with the environment and the file.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bind: Option<String>,
    /// The database: a file, :memory:, or a libsql server's http://, https:// or libsql:// address [default:
    /// selvedge.db]
    #[arg(long, value_name = "PLACE", value_hint = ValueHint::FilePath)]
    pub(crate) database: Option<String>,
    /// What the database's server asks for; better given as SELVEDGE_DATABASE_TOKEN, which no list of processes
    /// shows
    #[arg(long, value_name = "TOKEN")]
    pub(crate) database_token: Option<String>,
    /// Save every workflow document (*.yaml, *.yml, *.toml, *.json) of this directory at start
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) workflows: Option<String>,
    /// The path under which the server is mounted, such as /selvedge [default: none]
    #[arg(long, value_name = "PATH")]
    pub(crate) base_path: Option<String>,
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// How log lines look: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log: Option<String>,
    /// The least level that is logged: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Let everybody who can reach the address do everything, on addresses other than loopback too
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) unauthenticated: Option<String>,
    /// How many connections may be open at once; further ones wait [default: 4096]
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_connections: Option<String>,
    /// How many `http` tasks this server runs at once; 0 leaves them to other servers [default: 64]
    #[arg(long, value_name = "COUNT")]
    pub(crate) http_concurrency: Option<String>,
    /// How many `wasm` tasks this server runs at once; 0 leaves them to other servers [default: 4]
    #[arg(long, value_name = "COUNT")]
    pub(crate) wasm_concurrency: Option<String>,
    /// How much memory a call of a `wasm` task may have, in MiB [default: 64]
    #[arg(long, value_name = "MIB")]
    pub(crate) wasm_memory: Option<String>,
    /// How long requests may take to finish once the server is asked to stop [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) shutdown_grace: Option<String>,
    /// Print the settings and where each comes from, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}

impl ServeArgs {
    /// The settings that were given as flags, by the name that the environment and the file use.
    pub(crate) fn given(&self) -> Vec<(&'static str, &str)> {
        [
            ("bind", &self.bind),
            ("database", &self.database),
            ("database_token", &self.database_token),
            ("workflows", &self.workflows),
            ("base_path", &self.base_path),
            ("log", &self.log),
            ("log_level", &self.log_level),
            ("unauthenticated", &self.unauthenticated),
            ("max_connections", &self.max_connections),
            ("http_concurrency", &self.http_concurrency),
            ("wasm_concurrency", &self.wasm_concurrency),
            ("wasm_memory", &self.wasm_memory),
            ("shutdown_grace", &self.shutdown_grace),
        ]
        .into_iter()
        .filter_map(|(key, text)| Some((key, text.as_deref()?)))
        .collect()
    }
}

/// Which server a command talks to.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server's address, its base path included [env: SELVEDGE_SERVER] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) server: Option<String>,
}

impl ServerArgs {
    /// The flag, else what the environment says, else [`SERVER_DEFAULT`].
    pub(crate) fn address(&self, env: Option<OsString>) -> String {
        let env = env.and_then(|text| text.into_string().ok()).filter(|text| !text.is_empty());
        self.server.clone().or(env).unwrap_or_else(|| SERVER_DEFAULT.to_owned())
    }
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// A queue to take tasks from; may be repeated
    #[arg(
        long = "queue",
        value_name = "NAME",
        default_value = "shell",
        env = "SELVEDGE_QUEUE",
        value_delimiter = ','
    )]
    pub(crate) queues: Vec<String>,
    /// A label that this worker carries; may be repeated
    #[arg(long = "label", value_name = "LABEL", env = "SELVEDGE_LABEL", value_delimiter = ',')]
    pub(crate) labels: Vec<String>,
    /// How many tasks to run at once [default: the number of processors]
    #[arg(long, value_name = "COUNT", env = "SELVEDGE_CONCURRENCY", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: Option<u16>,
    /// This worker's id [default: the host's name and a random part]
    #[arg(long, value_name = "ID", env = "SELVEDGE_WORKER_ID")]
    pub(crate) worker_id: Option<String>,
    /// How long the server waits for a heartbeat before it gives a task to somebody else, 1s to 1h
    #[arg(long, value_name = "DURATION", default_value = "30s", env = "SELVEDGE_LEASE_TTL", value_parser = lease_ttl)]
    pub(crate) lease_ttl: Duration,
    /// How long a command may take to end after SIGTERM, before SIGKILL; a task's own shorter grace counts
    #[arg(long, value_name = "DURATION", default_value = "30s", env = "SELVEDGE_KILL_GRACE")]
    pub(crate) kill_grace: Duration,
    /// How long tasks may take to finish once the worker is asked to stop; then they are given back
    #[arg(long, value_name = "DURATION", default_value = "30s", env = "SELVEDGE_SHUTDOWN_GRACE")]
    pub(crate) shutdown_grace: Duration,
}

fn lease_ttl(text: &str) -> Result<Duration, String> {
    let ttl: Duration = text.parse().map_err(|fault: selvedge::time::TimeError| fault.to_string())?;
    match ttl.as_millis() {
        1_000..=3_600_000 => Ok(ttl),
        _ => Err(format!("expected 1s to 1h, found {ttl}")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The workflow document: YAML, TOML or JSON by its ending; - reads YAML or JSON from standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// One member of the input: name=value, the value read as JSON if it is JSON and as text otherwise
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
    /// The input as JSON
    #[arg(long, value_name = "JSON", conflicts_with = "input_file")]
    pub(crate) input_json: Option<String>,
    /// The input from a JSON, YAML or TOML file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The run's id [default: the server makes one]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Print the whole run as JSON at the end, and no progress
    #[arg(long)]
    pub(crate) json: bool,
    /// Start the run, print its id and leave it running
    #[arg(long, conflicts_with = "local")]
    pub(crate) detach: bool,
    /// How long the run may take; it ends as timed_out after that
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Duration>,
    /// Bring up a server and a shell worker in this process for the time of the run
    #[arg(long, conflicts_with = "server")]
    pub(crate) local: bool,
    /// With --local: keep the state in this file; the same --id follows a run that it already holds
    #[arg(long, value_name = "PATH", requires = "local", value_hint = ValueHint::FilePath)]
    pub(crate) database: Option<PathBuf>,
    /// With --local: a queue whose tasks run as shell commands; may be repeated
    #[arg(long = "queue", value_name = "NAME", requires = "local", default_value = "shell")]
    pub(crate) queues: Vec<String>,
    /// With --local: a label that the worker carries; may be repeated
    #[arg(long = "label", value_name = "LABEL", requires = "local")]
    pub(crate) labels: Vec<String>,
    /// With --local: how many tasks to run at once [default: the number of processors]
    #[arg(long, value_name = "COUNT", requires = "local", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Workflow documents: YAML, TOML or JSON by their ending; - reads YAML or JSON from standard input
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// The workflow document: YAML, TOML or JSON by its ending; - reads YAML or JSON from standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// What to print
    #[arg(long, value_enum, default_value = "mermaid")]
    pub(crate) format: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Graphviz
    Dot,
    /// Mermaid, as in Markdown
    Mermaid,
    /// Nodes and edges
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Only runs of this status; may be repeated
    #[arg(long = "status", value_name = "STATUS")]
    pub(crate) statuses: Vec<String>,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run's id
    pub(crate) run: String,
    /// Only what this task wrote
    pub(crate) task: Option<String>,
    /// Go on printing until the run ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The run's id
    pub(crate) run: String,
    /// Cut running tasks at once instead of letting them stop
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The run's id
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SignalArgs {
    /// The run's id
    pub(crate) run: String,
    /// The signal's name
    pub(crate) name: String,
    /// What the signal carries, read as JSON if it is JSON and as text otherwise
    pub(crate) payload: Option<String>,
    /// Sending the same id again does not count again
    #[arg(long, value_name = "ID")]
    pub(crate) signal_id: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// What to measure [default: one-task ten-tasks fan-out signals reads]
    #[arg(value_enum, value_name = "WORKLOAD")]
    pub(crate) workloads: Vec<BenchWorkload>,
    /// Load a server that runs already, at this address; it gets workflows and runs that stay there
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) server: Option<String>,
    /// How many connections ask at once; several numbers are measured one after the other
    #[arg(long, value_name = "COUNT", default_value = "64", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) connections: Vec<u16>,
    /// How many operations are measured, instead of a time
    #[arg(long, value_name = "COUNT", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) runs: Option<u64>,
    /// How long is measured [default: 5s; of fan-out ten runs]
    #[arg(long, value_name = "DURATION")]
    pub(crate) duration: Option<Duration>,
    /// Operations each second, whatever became of the ones before [default: each connection's next one when its last one ended]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// How many workers do the tasks
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) workers: u16,
    /// How many tasks a worker takes at once
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) tasks_per_claim: u16,
    /// How many runs are stored beforehand, in claim-full, sleepers, flat-stored and flat-pages
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub(crate) stored: u64,
    /// Where databases are made [default: the system's directory for temporary files]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "server")]
    pub(crate) directory: Option<PathBuf>,
    /// How the report looks
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: BenchFormat,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1e6).contains(&rate) => Ok(rate),
        _ => Err(format!("expected 0.01 to 1000000, found {text}")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchWorkload {
    /// Start, one task, result
    OneTask,
    /// The same with ten tasks, one after the other
    TenTasks,
    /// One run of 1,000 parallel tasks at a time
    FanOut,
    /// Start, signal, result
    Signals,
    /// Reads of runs and pages while runs of one task are written
    Reads,
    /// Claims with many stored runs and many ready tasks
    ClaimFull,
    /// Many sleeping runs, of which some fall due at one instant
    Sleepers,
    /// A task of a run of 10,000 beside one of a run of ten
    FlatTasks,
    /// Runs of one task with many stored runs beside none
    FlatStored,
    /// A page under each filter beside one without
    FlatPages,
}

impl BenchWorkload {
    /// What is measured unless something is named: all that takes seconds.
    pub(crate) const USUAL: [BenchWorkload; 5] = [
        BenchWorkload::OneTask,
        BenchWorkload::TenTasks,
        BenchWorkload::FanOut,
        BenchWorkload::Signals,
        BenchWorkload::Reads,
    ];

    /// Whether it fills a database, or compares two servers.
    pub(crate) fn needs_own_server(self) -> bool {
        !Self::USUAL.contains(&self)
    }
}

impl fmt::Display for BenchWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no workload is hidden");
        f.write_str(value.get_name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchFormat {
    /// Tables
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn lines_are_read_or_refused() {
        for (line, good) in [
            ("selvedge serve", true),
            ("selvedge serve --bind 127.0.0.1:0 --unauthenticated --print-config", true),
            ("selvedge serve --unauthenticated=false", true),
            ("selvedge serve --bnd x", false),
            ("selvedge worker --queue shell --queue gpu --concurrency 4 --label docker", true),
            ("selvedge worker --concurrency 0", false),
            ("selvedge worker --lease-ttl 500ms", false),
            ("selvedge worker --lease-ttl 2h", false),
            ("selvedge run a.yaml --input a=1 -i b=x --detach", true),
            ("selvedge run a.yaml --local --database x.db --id one", true),
            ("selvedge run a.yaml --local --server http://h", false),
            ("selvedge run a.yaml --database x.db", false),
            ("selvedge run a.yaml --local --detach", false),
            ("selvedge run a.yaml --input-json {} --input-file x", false),
            ("selvedge run a.yaml --timeout soon", false),
            ("selvedge validate", false),
            ("selvedge graph a.yaml --format dot", true),
            ("selvedge graph a.yaml --format png", false),
            ("selvedge runs --limit 0", false),
            ("selvedge runs --status failed --status running", true),
            ("selvedge logs r1 build -f", true),
            ("selvedge signal r1 go {\"a\":1}", true),
            ("selvedge signal r1", false),
            ("selvedge completions bash", true),
            ("selvedge bench", true),
            (
                "selvedge bench one-task sleepers --connections 1,64 --runs 100 --workers 2 --format json",
                true,
            ),
            ("selvedge bench --server http://h --rate 100 --duration 3s", true),
            ("selvedge bench three-tasks", false),
            ("selvedge bench --runs 10 --duration 3s", false),
            ("selvedge bench --rate 0", false),
            ("selvedge bench --connections 0", false),
            ("selvedge bench --server http://h --directory /tmp", false),
        ] {
            assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), good, "{line}");
        }
    }

    #[test]
    fn the_flag_names_the_server_before_the_environment() {
        for (flag, env, address) in [
            (None, None, SERVER_DEFAULT),
            (None, Some(""), SERVER_DEFAULT),
            (None, Some("http://env"), "http://env"),
            (Some("http://flag"), Some("http://env"), "http://flag"),
        ] {
            let args = ServerArgs { server: flag.map(str::to_owned) };
            assert_eq!(args.address(env.map(OsString::from)), address);
        }
    }
}
