//! The rules that lead from an array to its elements and from an object to its members.

use crate::value::{Object, Value};

use super::complaint::{Reason, Step};
use super::evaluate::{Child, Evaluation, Exhausted, Fold, Verdict};
use super::rule::{Members, NodeIx, Rule};

impl<'s, 'v> Evaluation<'s, 'v> {
    /// Plans which schemas are asked about which elements.
    pub(super) fn ask_array(&mut self, rule: &'s Rule, items: &'v [Value]) -> Result<(), Exhausted> {
        self.spend(items.len() as u64)?;
        match rule {
            Rule::Items(prefix, rest) => self.items(prefix, *rest, items),
            Rule::Contains(node, min, max) => {
                let elements = items.iter().enumerate().map(|(index, item)| element(*node, index, item));
                self.plan(elements.collect(), Fold::Count { min: *min, max: *max, fitting: 0 })
            }
            Rule::UnevaluatedItems(node) => self.unevaluated_items(*node, items),
            _ => Ok(()),
        }
    }

    /// Plans which schemas are asked about which members.
    pub(super) fn ask_object(&mut self, rule: &'s Rule, members: &'v Object) -> Result<(), Exhausted> {
        self.spend(members.len() as u64)?;
        match rule {
            Rule::Members(rule) => self.members(rule, members),
            Rule::MemberNames(node) => self.member_names(*node, members),
            Rule::UnevaluatedMembers(node) => self.unevaluated_members(*node, members),
            _ => Ok(()),
        }
    }

    fn items(
        &mut self,
        prefix: &[NodeIx],
        rest: Option<NodeIx>,
        items: &'v [Value],
    ) -> Result<(), Exhausted> {
        let closed = rest.is_some_and(|rest| self.program.is_never(rest));
        if closed && items.len() > prefix.len() {
            self.refuse(None, Reason::TooManyElements(prefix.len()));
        }
        let rest = rest.filter(|_| !closed);
        let node = |index: usize| prefix.get(index).copied().or(rest);
        let elements = items.iter().enumerate();
        let children: Vec<_> =
            elements.map_while(|(index, item)| Some(element(node(index)?, index, item))).collect();
        if let Some(evaluated) = &mut self.frame().evaluated {
            evaluated.add_items_below(children.len());
        }
        self.plan(children, Fold::All)
    }

    fn unevaluated_items(&mut self, node: NodeIx, items: &'v [Value]) -> Result<(), Exhausted> {
        let Some(evaluated) = &mut self.frame().evaluated else { return Ok(()) };
        let open = items.iter().enumerate().filter(|(index, _)| !evaluated.has_item(*index));
        let children: Vec<_> = open.map(|(index, item)| element(node, index, item)).collect();
        evaluated.add_items_below(items.len());
        if !self.program.is_never(node) {
            return self.plan(children, Fold::All);
        }
        for Child { instance, step, .. } in children {
            self.refuse(step.map(|step| (step, instance)), Reason::UnknownElement);
        }
        Ok(())
    }

    fn members(&mut self, rule: &'s Members, members: &'v Object) -> Result<(), Exhausted> {
        let mut children = Vec::new();
        for (name, value) in members {
            let before = children.len();
            children.extend(rule.named.get(name).map(|node| member(*node, name, value)));
            for (pattern, node) in &rule.patterns {
                self.spend(pattern.steps(name))?;
                if pattern.matches(name) {
                    children.push(member(*node, name, value));
                }
            }
            if children.len() == before {
                match rule.others {
                    None => continue,
                    Some(others) if self.program.is_never(others) => {
                        let reason = Reason::UnknownMember(name, Some(&rule.named));
                        self.refuse(Some((Step::Member(name), value)), reason);
                    }
                    Some(others) => children.push(member(others, name, value)),
                }
            }
            if let Some(evaluated) = &mut self.frame().evaluated {
                evaluated.add_member(name);
            }
        }
        self.plan(children, Fold::All)
    }

    /// Names are no part of the value, so each is asked about in a run of its own; a text has no names in
    /// turn, so this does not go deeper than once.
    fn member_names(&mut self, node: NodeIx, members: &'v Object) -> Result<(), Exhausted> {
        for (name, value) in members {
            let text = Value::from(name.as_str());
            let mut inner: Evaluation<'s, '_> = Evaluation::new(self.program, self.frame().voice, self.steps);
            let verdict = inner.run(node, &text)?;
            let rule = inner.complaints.first().and_then(|first| match first.reason {
                Reason::Rule(rule) => Some(rule),
                _ => None,
            });
            self.steps = inner.steps;
            if verdict == Verdict::Fails {
                self.refuse(Some((Step::Member(name), value)), Reason::Name(name, rule));
            }
        }
        Ok(())
    }

    fn unevaluated_members(&mut self, node: NodeIx, members: &'v Object) -> Result<(), Exhausted> {
        let Some(evaluated) = &mut self.frame().evaluated else { return Ok(()) };
        let open = members.iter().filter(|(name, _)| !evaluated.has_member(name));
        let children: Vec<_> = open.map(|(name, value)| member(node, name, value)).collect();
        for name in members.keys() {
            evaluated.add_member(name);
        }
        if !self.program.is_never(node) {
            return self.plan(children, Fold::All);
        }
        for Child { instance, step, .. } in children {
            if let Some(step @ Step::Member(name)) = step {
                self.refuse(Some((step, instance)), Reason::UnknownMember(name, None));
            }
        }
        Ok(())
    }
}

fn element(node: NodeIx, index: usize, item: &Value) -> Child<'_> {
    Child { node, instance: item, step: Some(Step::Element(index)) }
}

fn member<'v>(node: NodeIx, name: &'v str, value: &'v Value) -> Child<'v> {
    Child { node, instance: value, step: Some(Step::Member(name)) }
}
