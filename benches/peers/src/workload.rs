//! What is measured, as a table.

use crate::contender::Contender;

/// One thing that several contenders do.
pub struct Workload {
    /// Its name on the command line and in results.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// The steps of each workflow, where there are workflows.
    pub steps: u32,
    /// How many callers there are, from measurement to measurement.
    pub connections: &'static [usize],
    /// Who does it.
    pub contenders: &'static [Contender],
    /// Those of them that the others are compared with.
    pub ours: &'static [Contender],
}

const SERVER: &[Contender] = &[Contender::Selvedge];
const EMBED: &[Contender] = &[Contender::Embed];
const SERVERS: &[Contender] =
    &[Contender::Selvedge, Contender::Restate, Contender::RestateTuned, Contender::WorkflowGraph];
const EMBEDDED: &[Contender] = &[Contender::Embed, Contender::Dbos];

/// All of them, in the order of the results.
pub const WORKLOADS: &[Workload] = &[
    server("a", "1 step", 1),
    server("c", "3 steps", 3),
    server("b", "10 steps", 10),
    embedded("e1", "1 step", 1),
    embedded("e3", "3 steps", 3),
    embedded("e10", "10 steps", 10),
    Workload {
        id: "http",
        title: "a request",
        steps: 0,
        connections: &[64],
        contenders: &[Contender::Health, Contender::GetRun, Contender::Hyper],
        ours: &[Contender::Health, Contender::GetRun],
    },
    Workload {
        id: "commit",
        title: "a commit of 64 workflows, 4 rows each",
        steps: 0,
        connections: &[64],
        contenders: &[Contender::Sqlite],
        ours: &[],
    },
    Workload {
        id: "fsync",
        title: "4 KiB appended",
        steps: 0,
        connections: &[1],
        contenders: &[Contender::Fsync],
        ours: &[],
    },
];

const fn server(id: &'static str, title: &'static str, steps: u32) -> Workload {
    Workload { id, title, steps, connections: &[1, 64], contenders: SERVERS, ours: SERVER }
}

const fn embedded(id: &'static str, title: &'static str, steps: u32) -> Workload {
    Workload { id, title, steps, connections: &[1, 64], contenders: EMBEDDED, ours: EMBED }
}
