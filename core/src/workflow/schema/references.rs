//! Where references lead: `$id`, `$anchor` and `$ref` inside one document.
//!
//! A reference may name a place by JSON Pointer, by anchor, or by the address of an `$id` in the same
//! document. Nothing is fetched. A reference that could lead back to itself without going down into the
//! value would never end, so that is a fault of the schema.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::value::Value;

use super::IN_PLACE_MAX;
use super::compile::Compiler;
use super::rule::{NodeIx, Rule};
use super::{uri, words};

/// What the visit of a document finds out about addresses.
pub(super) struct References<'d> {
    resources: Vec<Resource<'d>>,
    by_uri: BTreeMap<String, usize>,
    anchors: BTreeMap<(usize, &'d str), NodeIx>,
    /// The node of each value that is a schema. Values do not move while they are borrowed, so an address
    /// is an identity; the map spares a pointer text per node.
    nodes: BTreeMap<usize, NodeIx>,
    pending: Vec<Pending<'d>>,
}

/// A schema with an address: the document itself, or a subschema with an `$id`.
struct Resource<'d> {
    uri: String,
    root: &'d Value,
}

/// A `$ref` whose rule waits for its node.
struct Pending<'d> {
    node: NodeIx,
    rule: usize,
    target: &'d str,
}

impl<'d> References<'d> {
    /// Nothing is known yet but the document, whose address is empty until its `$id` says otherwise.
    pub(super) fn of(document: &'d Value) -> Self {
        Self {
            resources: vec![Resource { uri: String::new(), root: document }],
            by_uri: BTreeMap::from([(String::new(), 0)]),
            anchors: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// Notes that a value is a schema, and which node it has become.
    pub(super) fn visit(&mut self, node: NodeIx, value: &'d Value) {
        self.nodes.insert(address(value), node);
    }

    /// Notes a node's `$id`.
    pub(super) fn identify(&mut self, compiler: &mut Compiler<'d>, node: NodeIx, id: &'d str) {
        let base = &self.resources[compiler.resource(node)].uri;
        let uri = uri::resolve(base, id.split('#').next().unwrap_or(id));
        if self.by_uri.contains_key(&uri) {
            let message = format!("{} is the `$id` of another schema", words::name(&uri));
            return compiler.fault(node, &["$id"], message);
        }
        compiler.enter_resource(node, self.resources.len());
        self.by_uri.insert(uri.clone(), self.resources.len());
        self.resources.push(Resource { uri, root: compiler.value(node) });
    }

    /// Notes a node's `$anchor`, after its `$id`.
    pub(super) fn anchor(&mut self, compiler: &mut Compiler<'d>, node: NodeIx, name: &'d str) {
        if self.anchors.insert((compiler.resource(node), name), node).is_some() {
            compiler.fault(
                node,
                &["$anchor"],
                format!("{} is the anchor of another schema", words::name(name)),
            );
        }
    }

    /// Notes that a rule of a node waits to learn where its `$ref` leads.
    pub(super) fn refer(&mut self, node: NodeIx, rule: usize, target: &'d str) {
        self.pending.push(Pending { node, rule, target });
    }

    /// Sends every waiting rule to its node, after the whole document has been visited.
    pub(super) fn resolve(&self, compiler: &mut Compiler<'d>) {
        for Pending { node, rule, target } in &self.pending {
            match self.node(compiler.resource(*node), target) {
                Ok(found) => compiler.nodes[node.0].rules[*rule] = Rule::Reference(found),
                Err(message) => compiler.fault(*node, &["$ref"], message),
            }
        }
    }

    fn node(&self, from: usize, target: &str) -> Result<NodeIx, String> {
        let (address_part, fragment) = target.split_once('#').unwrap_or((target, ""));
        let resource = if address_part.is_empty() { from } else { self.resource(from, address_part)? };
        let fragment = percent_decode_str(fragment)
            .decode_utf8()
            .map_err(|_| format!("{} is not UTF-8 when percent-decoded", words::name(target)))?;
        if !fragment.is_empty() && !fragment.starts_with('/') {
            let anchor = self.anchors.get(&(resource, fragment.as_ref()));
            return anchor.copied().ok_or_else(|| self.unknown_anchor(resource, &fragment));
        }
        let place = descend(self.resources[resource].root, &fragment)
            .ok_or_else(|| format!("there is nothing at {}", words::name(target)))?;
        let node = self.nodes.get(&address(place));
        node.copied().ok_or_else(|| format!("what is at {} is no schema", words::name(target)))
    }

    fn resource(&self, from: usize, reference: &str) -> Result<usize, String> {
        let uri = uri::resolve(&self.resources[from].uri, reference);
        self.by_uri.get(&uri).copied().ok_or_else(|| {
            format!("{} is no `$id` in this document, and no other is read", words::name(&uri))
        })
    }

    fn unknown_anchor(&self, resource: usize, name: &str) -> String {
        let known = self.anchors.keys().filter(|(of, _)| *of == resource).map(|(_, anchor)| *anchor);
        format!("there is no anchor {}{}", words::name(name), words::suggestion(name, known))
    }
}

/// Faults for references that lead back to themselves, or along too many schemas, within one value.
///
/// Nodes leave the graph of in-place steps once nothing before them is left (so each has its longest
/// chain), then once nothing after them is left: what stays is on a loop, or between two.
pub(super) fn refuse_loops(compiler: &mut Compiler<'_>) {
    let next: Vec<Vec<NodeIx>> =
        compiler.nodes.iter().map(|node| node.rules.iter().flat_map(Rule::in_place).collect()).collect();
    let mut before: Vec<Vec<NodeIx>> = vec![Vec::new(); next.len()];
    for (node, targets) in next.iter().enumerate() {
        for target in targets {
            before[target.0].push(NodeIx(node));
        }
    }
    let forward = peel(&next, &before);
    let backward = peel(&before, &next);
    for node in 0..next.len() {
        let looping = |node: usize| forward[node].is_none() && backward[node].is_none();
        let reference = compiler.nodes[node].rules.iter().find_map(Rule::reference);
        if looping(node) && reference.is_some_and(|target| looping(target.0)) {
            let message = "the reference leads back to itself without going down into the value";
            compiler.fault(NodeIx(node), &["$ref"], message.to_owned());
        }
        if forward[node] == Some(IN_PLACE_MAX + 1) {
            let message =
                format!("more than {IN_PLACE_MAX} schemas apply to one value, each through the one before");
            compiler.fault(NodeIx(node), &[], message);
        }
    }
}

/// The longest chain of steps that ends at each node; none for nodes on a loop or behind one.
fn peel(next: &[Vec<NodeIx>], before: &[Vec<NodeIx>]) -> Vec<Option<usize>> {
    let mut waiting: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut longest: Vec<usize> = vec![0; next.len()];
    let mut chains = vec![None; next.len()];
    let mut free: Vec<usize> = (0..next.len()).filter(|&node| waiting[node] == 0).collect();
    while let Some(node) = free.pop() {
        chains[node] = Some(longest[node]);
        for target in &next[node] {
            longest[target.0] = longest[target.0].max(longest[node] + 1);
            waiting[target.0] -= 1;
            if waiting[target.0] == 0 {
                free.push(target.0);
            }
        }
    }
    chains
}

/// The value that a JSON Pointer leads to.
fn descend<'d>(root: &'d Value, pointer: &str) -> Option<&'d Value> {
    pointer.split('/').skip(1).try_fold(root, |value, token| {
        let token = token.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Object(members) => members.get(&token),
            Value::Array(items) => items.get(index(&token)?),
            _ => None,
        }
    })
}

/// An array index as RFC 6901 writes it: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
    if plain { token.parse().ok() } else { None }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}
