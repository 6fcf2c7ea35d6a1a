//! From a document to nodes: every subschema is visited once, breadth first, without recursion.
//!
//! References are resolved when all nodes exist: a reference may only lead to a place that *is* a schema,
//! which is what the visit has established.

use std::collections::BTreeMap;

use crate::value::{Object, Pointer, Value};
use crate::workflow::fault::Fault;

use super::keyword::{self, EXTENSION_PREFIX};
use super::number::Number;
use super::pattern::Pattern;
use super::references::{self, References};
use super::rule::{Binary, Bound, Limit, Members, Node, NodeIx, Program, Rule, Sized};
use super::{FAULT_BYTES_MAX, FAULTS_MAX, words};

/// Compiles all of a document; the root is the first node.
pub(super) fn compile(document: &Value, at: &Pointer) -> Result<Program, Vec<Fault>> {
    let mut compiler =
        Compiler { at, nodes: Vec::new(), origins: Vec::new(), faults: Vec::new(), fault_bytes: 0 };
    let mut references = References::of(document);
    compiler.add(Origin { value: document, resource: 0, parent: None, keyword: "", step: None });
    let mut next = 0;
    while let Some(origin) = compiler.origins.get(next) {
        let (node, value) = (NodeIx(next), origin.value);
        references.visit(node, value);
        match value {
            Value::Bool(true) => {}
            Value::Bool(false) => compiler.nodes[next].rules.push(Rule::Never),
            Value::Object(members) => compiler.object(node, members, &mut references),
            other => compiler.fault(node, &[], format!("expected a schema, found {}", words::found(other))),
        }
        next += 1;
    }
    references.resolve(&mut compiler);
    references::refuse_loops(&mut compiler);
    if compiler.faults.is_empty() { Ok(Program::of(compiler.nodes)) } else { Err(compiler.faults) }
}

/// The nodes so far, and where each is from.
pub(super) struct Compiler<'d> {
    at: &'d Pointer,
    pub(super) nodes: Vec<Node>,
    origins: Vec<Origin<'d>>,
    faults: Vec<Fault>,
    fault_bytes: usize,
}

/// Where in the document a node is from: kept as steps, because pointers of all nodes could be long.
struct Origin<'d> {
    value: &'d Value,
    /// The `$id` in force, by its number in [`References`].
    resource: usize,
    parent: Option<NodeIx>,
    keyword: &'d str,
    step: Option<Step<'d>>,
}

/// From a keyword to one of the schemas in its value.
#[derive(Debug, Clone, Copy)]
enum Step<'d> {
    Name(&'d str),
    Index(usize),
}

impl<'d> Compiler<'d> {
    /// Notes what is wrong with a node; `below` leads on from it.
    pub(super) fn fault(&mut self, node: NodeIx, below: &[&str], message: String) {
        if self.faults.len() >= FAULTS_MAX || self.fault_bytes > FAULT_BYTES_MAX {
            return;
        }
        let pointer = below.iter().fold(self.pointer(node), |pointer, step| pointer.push(step));
        self.fault_bytes += pointer.as_str().len() + message.len();
        self.faults.push(Fault { pointer, message });
    }

    /// The schema that a node is made from.
    pub(super) fn value(&self, node: NodeIx) -> &'d Value {
        self.origins[node.0].value
    }

    /// Which `$id` is in force at a node.
    pub(super) fn resource(&self, node: NodeIx) -> usize {
        self.origins[node.0].resource
    }

    /// Puts another `$id` in force at a node and below.
    pub(super) fn enter_resource(&mut self, node: NodeIx, resource: usize) {
        self.origins[node.0].resource = resource;
    }

    fn pointer(&self, node: NodeIx) -> Pointer {
        let mut trail = Vec::new();
        let mut next = Some(node);
        while let Some(node) = next {
            let origin = &self.origins[node.0];
            trail.push(origin);
            next = origin.parent;
        }
        let below_root = trail.iter().rev().skip(1);
        below_root.fold(self.at.clone(), |pointer, origin| {
            let pointer = pointer.push(origin.keyword);
            match origin.step {
                None => pointer,
                Some(Step::Name(name)) => pointer.push(name),
                Some(Step::Index(index)) => pointer.push(index),
            }
        })
    }

    fn add(&mut self, origin: Origin<'d>) -> NodeIx {
        self.origins.push(origin);
        self.nodes.push(Node::default());
        NodeIx(self.nodes.len() - 1)
    }

    fn object(&mut self, node: NodeIx, members: &'d Object, references: &mut References<'d>) {
        let sound = self.vocabulary(node, members);
        if let Some(id) = sound.text("$id") {
            references.identify(self, node, id);
        }
        if let Some(anchor) = sound.text("$anchor") {
            references.anchor(self, node, anchor);
        }
        let mut schema = Subschemas { compiler: self, node, keywords: &sound };
        let mut rules = Vec::new();
        schema.values(&mut rules);
        schema.sizes(&mut rules);
        schema.patterns(&mut rules);
        schema.arrays(&mut rules);
        schema.objects(&mut rules);
        schema.combinations(&mut rules);
        schema.unapplied();
        if let Some(target) = sound.text("$ref") {
            references.refer(node, rules.len(), target);
            rules.push(Rule::AllOf(Vec::new()));
        }
        rules.extend(schema.child("unevaluatedItems").map(Rule::UnevaluatedItems));
        rules.extend(schema.child("unevaluatedProperties").map(Rule::UnevaluatedMembers));
        self.nodes[node.0].rules = rules;
    }

    /// The keywords whose values have the right shape; all others are faults.
    fn vocabulary(&mut self, node: NodeIx, members: &'d Object) -> Keywords<'d> {
        let mut sound = BTreeMap::new();
        for (name, value) in members.iter().filter(|(name, _)| !name.starts_with(EXTENSION_PREFIX)) {
            match keyword::shape(name).and_then(|shape| shape.check(value)) {
                Ok(()) => drop(sound.insert(name.as_str(), value)),
                Err(message) => self.fault(node, &[name], message),
            }
        }
        Keywords(sound)
    }
}

/// The keywords of one schema object, each of its shape.
struct Keywords<'d>(BTreeMap<&'d str, &'d Value>);

impl<'d> Keywords<'d> {
    fn get(&self, name: &str) -> Option<(&'d str, &'d Value)> {
        self.0.get_key_value(name).map(|(name, value)| (*name, *value))
    }

    fn value(&self, name: &str) -> Option<&'d Value> {
        self.0.get(name).copied()
    }

    fn text(&self, name: &str) -> Option<&'d str> {
        self.value(name)?.as_str()
    }

    fn count(&self, name: &str) -> Option<u64> {
        keyword::count(self.value(name)?)
    }
}

/// One schema object while its keywords become rules and its subschemas nodes.
struct Subschemas<'c, 'd> {
    compiler: &'c mut Compiler<'d>,
    node: NodeIx,
    keywords: &'c Keywords<'d>,
}

impl<'d> Subschemas<'_, 'd> {
    fn values(&mut self, rules: &mut Vec<Rule>) {
        let binary = match self.keywords.text("contentEncoding") {
            Some("base64") => Binary::IsText,
            _ => Binary::IsNotText,
        };
        if let Some(types) = self.keywords.value("type").and_then(|value| keyword::types(value).ok()) {
            rules.push(Rule::Type(types, binary));
        }
        if let Some(value) = self.keywords.value("const") {
            rules.push(Rule::OneOfValues(vec![value.clone()]));
        }
        if let Some(values) = self.keywords.value("enum").and_then(Value::as_array) {
            rules.push(Rule::OneOfValues(values.to_vec()));
        }
        let bounds = [
            ("minimum", Bound::AtLeast),
            ("maximum", Bound::AtMost),
            ("exclusiveMinimum", Bound::Above),
            ("exclusiveMaximum", Bound::Below),
        ];
        for (name, bound) in bounds {
            rules.extend(self.number(name).map(|number| Rule::Bound(bound, number)));
        }
        rules.extend(self.number("multipleOf").map(Rule::MultipleOf));
    }

    fn sizes(&mut self, rules: &mut Vec<Rule>) {
        let sizes = [
            ("minLength", Sized::Text, Limit::Min),
            ("maxLength", Sized::Text, Limit::Max),
            ("minItems", Sized::Array, Limit::Min),
            ("maxItems", Sized::Array, Limit::Max),
            ("minProperties", Sized::Object, Limit::Min),
            ("maxProperties", Sized::Object, Limit::Max),
        ];
        for (name, what, limit) in sizes {
            rules.extend(self.keywords.count(name).map(|count| Rule::Size(what, limit, count)));
        }
    }

    fn patterns(&mut self, rules: &mut Vec<Rule>) {
        if let Some(source) = self.keywords.text("pattern") {
            match Pattern::compile(source) {
                Ok(pattern) => rules.push(Rule::Pattern(pattern)),
                Err(message) => self.compiler.fault(self.node, &["pattern"], message),
            }
        }
    }

    fn arrays(&mut self, rules: &mut Vec<Rule>) {
        if self.keywords.value("uniqueItems").and_then(Value::as_bool) == Some(true) {
            rules.push(Rule::UniqueItems);
        }
        let (prefix, rest) = (self.list("prefixItems"), self.child("items"));
        if !prefix.is_empty() || rest.is_some() {
            rules.push(Rule::Items(prefix, rest));
        }
        if let Some(node) = self.child("contains") {
            let min = self.keywords.count("minContains").unwrap_or(1);
            rules.push(Rule::Contains(node, min, self.keywords.count("maxContains")));
        }
    }

    fn objects(&mut self, rules: &mut Vec<Rule>) {
        rules.extend(self.keywords.value("required").map(|value| Rule::Required(keyword::names(value))));
        if let Some(lists) = self.keywords.value("dependentRequired").and_then(Value::as_object) {
            let lists = lists.iter().map(|(name, list)| (name.clone(), keyword::names(list)));
            rules.push(Rule::DependentRequired(lists.collect()));
        }
        rules.extend(self.child("propertyNames").map(Rule::MemberNames));
        let members = Members {
            named: self.map("properties"),
            patterns: self.pattern_map("patternProperties"),
            others: self.child("additionalProperties"),
        };
        if !members.named.is_empty() || !members.patterns.is_empty() || members.others.is_some() {
            rules.push(Rule::Members(members));
        }
    }

    fn combinations(&mut self, rules: &mut Vec<Rule>) {
        let combinations: [(&str, fn(Vec<NodeIx>) -> Rule); 3] =
            [("allOf", Rule::AllOf), ("anyOf", Rule::AnyOf), ("oneOf", Rule::OneOf)];
        for (name, rule) in combinations {
            let nodes = self.list(name);
            if !nodes.is_empty() {
                rules.push(rule(nodes));
            }
        }
        rules.extend(self.child("not").map(Rule::Not));
        let (condition, then, otherwise) = (self.child("if"), self.child("then"), self.child("else"));
        rules.extend(condition.map(|condition| Rule::If(condition, then, otherwise)));
        let dependent = self.map("dependentSchemas");
        if !dependent.is_empty() {
            rules.push(Rule::DependentSchemas(dependent));
        }
    }

    /// Schemas that are only there to be referred to or read; their faults count all the same.
    fn unapplied(&mut self) {
        self.map("$defs");
        self.child("contentSchema");
    }

    fn number(&self, name: &str) -> Option<Number> {
        Number::of(self.keywords.value(name)?)
    }

    fn child(&mut self, name: &str) -> Option<NodeIx> {
        let (keyword, value) = self.keywords.get(name)?;
        Some(self.add(keyword, None, value))
    }

    fn list(&mut self, name: &str) -> Vec<NodeIx> {
        let Some((keyword, value)) = self.keywords.get(name) else { return Vec::new() };
        let items = value.as_array().unwrap_or_default().iter().enumerate();
        items.map(|(index, item)| self.add(keyword, Some(Step::Index(index)), item)).collect()
    }

    fn map(&mut self, name: &str) -> BTreeMap<String, NodeIx> {
        let Some((keyword, Value::Object(members))) = self.keywords.get(name) else { return BTreeMap::new() };
        let add = |(name, value): (&'d String, &'d Value)| {
            (name.clone(), self.add(keyword, Some(Step::Name(name)), value))
        };
        members.iter().map(add).collect()
    }

    fn pattern_map(&mut self, name: &str) -> Vec<(Pattern, NodeIx)> {
        let mut patterns = Vec::new();
        for (source, node) in self.map(name) {
            match Pattern::compile(&source) {
                Ok(pattern) => patterns.push((pattern, node)),
                Err(message) => self.compiler.fault(self.node, &[name, &source], message),
            }
        }
        patterns
    }

    fn add(&mut self, keyword: &'d str, step: Option<Step<'d>>, value: &'d Value) -> NodeIx {
        let resource = self.compiler.resource(self.node);
        self.compiler.add(Origin { value, resource, parent: Some(self.node), keyword, step })
    }
}
