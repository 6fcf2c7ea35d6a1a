//! The graph of a workflow, for people and programs: waves, JSON, Graphviz DOT and Mermaid.
//!
//! An arrow leads from a task to one that needs it: the way the work flows.

use std::fmt::Write as _;

use crate::value::Value;

use super::expression::Template;
use super::model::{Kind, Task, TaskIx, Workflow};

/// What a drawn node says about its task is cut to this many characters.
const DETAIL_CHARS_MAX: usize = 60;

/// The tasks by depth: those of one wave need only tasks of the waves before it.
pub fn waves(workflow: &Workflow) -> Vec<Vec<TaskIx>> {
    let mut waves: Vec<Vec<TaskIx>> = Vec::new();
    for (ix, depth) in (0..).map(TaskIx).zip(depths(workflow)) {
        if depth == waves.len() {
            waves.push(Vec::new());
        }
        waves[depth].push(ix);
    }
    waves
}

/// `{nodes: [{name, kind, depth}], edges: [{from, to}], waves: [[name]]}`, all in document order.
pub fn json(workflow: &Workflow) -> Value {
    let nodes = workflow.tasks.iter().zip(depths(workflow)).map(|(task, depth)| {
        Value::from([
            ("name", Value::from(task.name.as_str())),
            ("kind", Value::from(task.kind.word())),
            ("depth", Value::from(depth as u64)),
        ])
    });
    let edges = edges(workflow).map(|(from, to)| {
        Value::from([("from", Value::from(from.name.as_str())), ("to", Value::from(to.name.as_str()))])
    });
    let waves = waves(workflow).into_iter().map(|wave| {
        Value::Array(wave.into_iter().map(|ix| Value::from(workflow.task(ix).name.as_str())).collect())
    });
    Value::from([
        ("nodes", Value::Array(nodes.collect())),
        ("edges", Value::Array(edges.collect())),
        ("waves", Value::Array(waves.collect())),
    ])
}

/// The graph in the DOT language of Graphviz.
pub fn dot(workflow: &Workflow) -> String {
    let mut text = format!("digraph {} {{\n  rankdir=LR;\n", dot_quoted(workflow.name.as_str()));
    text.push_str("  node [fontname=\"sans-serif\"];\n");
    for task in &workflow.tasks {
        let shape = match task.kind {
            Kind::Worker { .. } => "box",
            Kind::Http { .. } => "component",
            Kind::Wasm { .. } => "box3d",
            Kind::Value { .. } => "ellipse",
            Kind::Sleep { .. } => "octagon",
            Kind::Signal { .. } => "house",
        };
        let name = dot_quoted(task.name.as_str());
        let label = dot_quoted(&format!("{}\n{}", task.name, detail(&task.kind)));
        let _ = writeln!(text, "  {name} [label={label}, shape={shape}];");
    }
    for (from, to) in edges(workflow) {
        let _ = writeln!(text, "  {} -> {};", dot_quoted(from.name.as_str()), dot_quoted(to.name.as_str()));
    }
    text.push_str("}\n");
    text
}

/// The graph as a Mermaid flowchart. Nodes have numbers as ids, since Mermaid takes some names as its own words.
pub fn mermaid(workflow: &Workflow) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (ix, task) in workflow.tasks.iter().enumerate() {
        let (open, close) = match task.kind {
            Kind::Worker { .. } => ("[", "]"),
            Kind::Http { .. } => ("[[", "]]"),
            Kind::Wasm { .. } => ("[/", "/]"),
            Kind::Value { .. } => ("(", ")"),
            Kind::Sleep { .. } => ("{{", "}}"),
            Kind::Signal { .. } => ("([", "])"),
        };
        let (name, detail) = (mermaid_escaped(task.name.as_str()), mermaid_escaped(&detail(&task.kind)));
        let _ = writeln!(text, "  t{ix}{open}\"{name}<br/>{detail}\"{close}");
    }
    for (to, task) in workflow.tasks.iter().enumerate() {
        for need in &task.needs {
            let _ = writeln!(text, "  t{} --> t{to}", need.0);
        }
    }
    text
}

/// The longest path of needs above each task. In document order, needs stand before those who need them.
fn depths(workflow: &Workflow) -> Vec<usize> {
    let mut depths: Vec<usize> = Vec::with_capacity(workflow.tasks.len());
    for task in &workflow.tasks {
        let above = task.needs.iter().map(|need| depths[need.0 as usize] + 1);
        depths.push(above.max().unwrap_or(0));
    }
    depths
}

fn edges(workflow: &Workflow) -> impl Iterator<Item = (&Task, &Task)> {
    workflow.tasks.iter().flat_map(move |to| to.needs.iter().map(move |from| (workflow.task(*from), to)))
}

/// What a task does, in a few words.
fn detail(kind: &Kind) -> String {
    let detail = match kind {
        Kind::Worker { queue, .. } => format!("worker {queue}"),
        Kind::Http { request } => {
            let member = |name| request.source().get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{} {}", member("method"), member("url"))
        }
        Kind::Wasm { module, function, .. } => format!("wasm {module} {function}"),
        Kind::Value { .. } => "value".to_owned(),
        Kind::Sleep { duration } => format!("sleep {}", source(duration)),
        Kind::Signal { name, .. } => format!("signal {name}"),
    };
    let flat = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &flat[..end]),
        None => flat,
    }
}

fn source(template: &Template) -> &str {
    template.source().as_str().unwrap_or_default()
}

fn dot_quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

/// Characters that mean something within a quoted Mermaid label, as its entity codes.
fn mermaid_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' => {
                let _ = write!(escaped, "#{};", u32::from(char));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::parse::parse;

    const DOCUMENT: &str = r##"
        selvedge: 1
        name: order-1
        tasks:
          reserve: { worker: inventory.reserve }
          call: { needs: [reserve], http: { url: "${{ input.base + \"#<a>\" }}" } }
          end: { needs: [reserve], signal: go }
          pause: { needs: [end, call], sleep: "${{ input.pause }}" }
          total: { needs: [pause, reserve], value: 1 }
    "##;

    fn workflow() -> Workflow {
        let document = Value::from_yaml(DOCUMENT).expect("valid YAML");
        parse(&document).expect("a valid document")
    }

    #[test]
    fn waves_follow_depth() {
        let workflow = workflow();
        let names: Vec<Vec<&str>> = waves(&workflow)
            .iter()
            .map(|wave| wave.iter().map(|ix| workflow.task(*ix).name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["reserve"], vec!["call", "end"], vec!["pause"], vec!["total"]]);
    }

    #[test]
    fn json_lists_nodes_edges_and_waves() {
        let expected = r#"{
            "nodes": [
                {"name": "reserve", "kind": "worker", "depth": 0},
                {"name": "call", "kind": "http", "depth": 1},
                {"name": "end", "kind": "signal", "depth": 1},
                {"name": "pause", "kind": "sleep", "depth": 2},
                {"name": "total", "kind": "value", "depth": 3}
            ],
            "edges": [
                {"from": "reserve", "to": "call"},
                {"from": "reserve", "to": "end"},
                {"from": "call", "to": "pause"},
                {"from": "end", "to": "pause"},
                {"from": "reserve", "to": "total"},
                {"from": "pause", "to": "total"}
            ],
            "waves": [["reserve"], ["call", "end"], ["pause"], ["total"]]
        }"#;
        assert_eq!(json(&workflow()), Value::from_json(expected.as_bytes()).expect("valid JSON"));
    }

    #[test]
    fn dot_quotes_what_it_shows() {
        assert_eq!(
            dot(&workflow()),
            r##"digraph "order-1" {
  rankdir=LR;
  node [fontname="sans-serif"];
  "reserve" [label="reserve\nworker inventory.reserve", shape=box];
  "call" [label="call\nGET ${{ input.base + \"#<a>\" }}", shape=component];
  "end" [label="end\nsignal go", shape=house];
  "pause" [label="pause\nsleep ${{ input.pause }}", shape=octagon];
  "total" [label="total\nvalue", shape=ellipse];
  "reserve" -> "call";
  "reserve" -> "end";
  "call" -> "pause";
  "end" -> "pause";
  "reserve" -> "total";
  "pause" -> "total";
}
"##
        );
    }

    #[test]
    fn mermaid_escapes_what_it_shows() {
        assert_eq!(
            mermaid(&workflow()),
            r##"flowchart LR
  t0["reserve<br/>worker inventory.reserve"]
  t1[["call<br/>GET ${{ input.base + #34;#35;#60;a#62;#34; }}"]]
  t2(["end<br/>signal go"])
  t3{{"pause<br/>sleep ${{ input.pause }}"}}
  t4("total<br/>value")
  t0 --> t1
  t0 --> t2
  t1 --> t3
  t2 --> t3
  t0 --> t4
  t3 --> t4
"##
        );
    }

    #[test]
    fn long_details_are_cut() {
        let text = format!(
            "selvedge: 1\nname: x\ntasks:\n  a: {{ http: {{ url: 'http://{}.example' }} }}\n",
            "h".repeat(80)
        );
        let workflow = parse(&Value::from_yaml(&text).expect("valid YAML")).expect("a valid document");
        assert!(dot(&workflow).contains(&format!("http://{}…\"", "h".repeat(DETAIL_CHARS_MAX - 11))));
    }
}
