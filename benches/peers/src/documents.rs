//! The workflows as Selvedge knows them: a chain of tasks on one queue, each of which adds one.

use serde_json::{Map, Value, json};

/// The queue on which the steps are.
pub const QUEUE: &str = "steps";

/// The lengths that are measured.
pub const STEPS: [u32; 3] = [1, 3, 10];

/// The name of the workflow of so many steps.
pub fn name(steps: u32) -> String {
    format!("steps-{steps}")
}

/// Its document.
pub fn document(steps: u32) -> Value {
    let mut tasks = Map::new();
    for step in 1..=steps {
        let (needs, number) = match step {
            1 => (json!([]), "${{ input.n }}".to_owned()),
            _ => (json!([format!("s{}", step - 1)]), format!("${{{{ tasks.s{}.output.n }}}}", step - 1)),
        };
        tasks.insert(format!("s{step}"), json!({ "worker": QUEUE, "needs": needs, "with": { "n": number } }));
    }
    json!({
        "selvedge": 1, "name": name(steps), "tasks": tasks,
        "output": format!("${{{{ tasks.s{steps}.output }}}}"),
    })
}
