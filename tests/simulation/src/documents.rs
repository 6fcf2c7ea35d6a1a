//! The workflows that clients run. Between them they use every kind of task and every field that the engine's
//! transition tables know.
//!
//! Nothing in them needs more than time, workers and the signal `go` to end.

/// A workflow document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    /// Its name, as in the document.
    pub name: &'static str,
    /// The document.
    pub json: &'static str,
    /// Whether a run of it ends though no client looks after it.
    pub ends_alone: bool,
    /// A task from which a run of it can be run again, if what lies upstream has completed.
    pub from: Option<&'static str>,
}

/// All of them.
pub const DOCUMENTS: [Document; 14] = [
    Document {
        name: "diamond",
        json: r#"{"selvedge":1,"name":"diamond","tasks":{
            "a":{"worker":"q","retry":{"max_attempts":4,"backoff":"fixed","delay":"1s"},"grace":"3s"},
            "b":{"needs":["a"],"worker":"q","with":"${{ tasks.a.output }}"},
            "c":{"needs":["a"],"worker":"q","retry":{"max_attempts":6,"backoff":"none"},"grace":"2s"},
            "d":{"needs":["b","c"],"value":"${{ tasks.b.status + tasks.c.status }}"}},
            "output":"${{ tasks.d.output }}"}"#,
        ends_alone: true,
        from: Some("d"),
    },
    Document {
        name: "approval",
        json: r#"{"selvedge":1,"name":"approval","tasks":{
            "a":{"worker":"q"},
            "s":{"needs":["a"],"signal":"go","timeout":"8s","on_timeout":"skip"},
            "z":{"needs":["s"],"sleep":"2s"},
            "b":{"needs":["z"],"worker":"q","total_timeout":"2m"}}}"#,
        ends_alone: true,
        from: Some("b"),
    },
    Document {
        name: "tolerant",
        json: r#"{"selvedge":1,"name":"tolerant","tasks":{
            "a":{"worker":"q","retry":{"max_attempts":2,"delay":"500ms"},"continue_on_error":true,"timeout":"4s"},
            "b":{"needs":["a"],"value":"${{ tasks.a.status }}"},
            "s":{"signal":"go"},
            "t":{"needs":["b"],"signal":"go"},
            "c":{"needs":["s","t"],"worker":"q"}}}"#,
        ends_alone: false,
        from: Some("b"),
    },
    Document {
        name: "wide",
        json: r#"{"selvedge":1,"name":"wide","execution_timeout":"60s","tasks":{
            "a":{"worker":"q","priority":5},
            "b":{"worker":"q","queue_timeout":"4s","grace":"1s"},
            "c":{"worker":"q","queue_timeout":"1s","continue_on_error":true},
            "d":{"worker":"r"},
            "e":{"worker":"q","total_timeout":"6s","continue_on_error":true},
            "z":{"needs":["a","b","c","d","e"],"worker":"q"}}}"#,
        ends_alone: true,
        from: Some("z"),
    },
    Document {
        name: "web",
        json: r#"{"selvedge":1,"name":"web","tasks":{
            "a":{"http":{"url":"http://x.invalid/a"},"retry":{"max_attempts":2,"delay":"1s"},
                "timeout":"20s","continue_on_error":true},
            "b":{"needs":["a"],"worker":"q","with":"${{ tasks.a.status }}"},
            "h":{"needs":["a"],"http":{"method":"POST","url":"http://x.invalid/h","body":"${{ run.id }}"},
                "retry":{"max_attempts":4,"delay":"500ms"}}}}"#,
        ends_alone: true,
        from: None,
    },
    Document {
        name: "clocks",
        json: r#"{"selvedge":1,"name":"clocks","tasks":{
            "a":{"sleep":"0s"},
            "b":{"needs":["a"],"sleep":"20s","total_timeout":"3s","continue_on_error":true},
            "c":{"signal":"never","timeout":"3s","on_timeout":"continue"},
            "d":{"signal":"never","timeout":"2s","continue_on_error":true},
            "e":{"signal":"never","total_timeout":"4s","continue_on_error":true},
            "f":{"signal":"go","timeout":"5s","on_timeout":"continue"},
            "g":{"needs":["b","c","d","e","f"],"sleep":"1500ms"},
            "h":{"needs":["g"],"worker":"q","retry":{"max_attempts":3,"backoff":"fixed","delay":"8s"},
                "total_timeout":"15s","continue_on_error":true}}}"#,
        ends_alone: true,
        from: None,
    },
    Document {
        name: "branches",
        json: r#"{"selvedge":1,"name":"branches","tasks":{
            "a":{"value":{"x":1}},
            "b":{"needs":["a"],"if":"${{ tasks.a.output.x > 1 }}","worker":"q"},
            "c":{"needs":["a"],"if":"${{ tasks.a.output.y > 1 }}","worker":"q","continue_on_error":true},
            "d":{"needs":["a"],"value":"${{ tasks.a.output.y }}","continue_on_error":true},
            "e":{"needs":["b","c","d"],"worker":"q","with":{"b":"${{ tasks.b.status }}"}},
            "f":{"needs":["e"],"if":"${{ tasks.e.output != 7 }}","value":"${{ tasks.e.output }}"}}}"#,
        ends_alone: true,
        from: Some("f"),
    },
    Document {
        name: "brief",
        json: r#"{"selvedge":1,"name":"brief","execution_timeout":"5s","tasks":{
            "a":{"worker":"q","grace":"2s"},
            "b":{"worker":"q","grace":"20s"},
            "z":{"needs":["a"],"sleep":"30s"}}}"#,
        ends_alone: true,
        from: None,
    },
    Document {
        name: "doomed",
        json: r#"{"selvedge":1,"name":"doomed","tasks":{
            "a":{"worker":"q","retry":{"max_attempts":1},"timeout":"3s"},
            "b":{"worker":"q","retry":{"max_attempts":1},"grace":"2s"},
            "c":{"worker":"q","retry":{"max_attempts":2,"delay":"1s"},"grace":"30s"},
            "d":{"worker":"q","retry":{"max_attempts":2,"backoff":"none"},"queue_timeout":"20s"},
            "e":{"needs":["a","b","c","d"],"worker":"q"},
            "s":{"signal":"never","timeout":"10s"}}}"#,
        ends_alone: true,
        from: None,
    },
    Document {
        name: "spoilt",
        json: r#"{"selvedge":1,"name":"spoilt","tasks":{"a":{"worker":"q"},"b":{"worker":"q"}},
            "output":"${{ tasks.a.output.missing }}"}"#,
        ends_alone: true,
        from: None,
    },
    Document {
        name: "labels",
        json: r#"{"selvedge":1,"name":"labels","tasks":{
            "a":{"worker":"q","labels":["gpu"]},
            "b":{"worker":"r","labels":["gpu","big"],"priority":-3},
            "c":{"needs":["a"],"worker":"r"},
            "d":{"needs":["b","c"],"worker":"q"}}}"#,
        ends_alone: true,
        from: Some("d"),
    },
    Document {
        name: "strict",
        json: r#"{"selvedge":1,"name":"strict","tasks":{
            "a":{"worker":"q","with":"${{ 1 / int(input.by) }}"},
            "b":{"needs":["a"],"sleep":"${{ tasks.a.output.long }}"},
            "c":{"worker":"q"}}}"#,
        ends_alone: true,
        from: None,
    },
    Document {
        name: "chain",
        json: r#"{"selvedge":1,"name":"chain","tasks":{
            "a":{"worker":"q"},"b":{"needs":["a"],"worker":"q"},"c":{"needs":["b"],"worker":"r"},
            "d":{"needs":["c"],"worker":"q"},"e":{"needs":["d"],"worker":"q"},"f":{"needs":["e"],"worker":"r"},
            "g":{"needs":["f"],"worker":"q"},"h":{"needs":["g"],"value":"${{ tasks.g.status }}"}}}"#,
        ends_alone: true,
        from: None,
    },
    Document {
        name: "fan",
        json: r#"{"selvedge":1,"name":"fan","tasks":{
            "a":{"worker":"q"},
            "b1":{"needs":["a"],"worker":"q"},"b2":{"needs":["a"],"worker":"q"},"b3":{"needs":["a"],"worker":"r"},
            "b4":{"needs":["a"],"worker":"q"},"b5":{"needs":["a"],"worker":"r"},"b6":{"needs":["a"],"worker":"q"},
            "s":{"needs":["a"],"signal":"go"},
            "t":{"signal":"go"},
            "z":{"needs":["b1","b2","b3","b4","b5","b6","s","t"],"worker":"q"}}}"#,
        ends_alone: false,
        from: Some("z"),
    },
];
