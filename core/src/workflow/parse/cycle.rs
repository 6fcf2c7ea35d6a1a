//! Cycles of needs, named in full.
//!
//! Tasks that reach each other form one strongly connected component (Tarjan 1972, here without recursion);
//! each is one mistake to mend, so each is reported once, by its shortest cycle.

use std::collections::VecDeque;

use super::faults::{Faults, quote};
use super::links::Links;
use super::task::Draft;

/// How many needs the search for the shortest cycle of one component may follow; after that the shortest
/// found so far is reported.
const STEPS_MAX: usize = 2_000_000;
/// A message names at most this many tasks of a cycle.
const NAMES_MAX: usize = 100;

/// Faults each component of tasks that need each other, at the need that leaves its first task by name.
pub(super) fn report(drafts: &[Draft], links: &Links, faults: &mut Faults) {
    if links.order.len() == drafts.len() {
        return;
    }
    let mut steps_left = STEPS_MAX;
    for component in components(&links.needs) {
        let cycle = shortest(&component, &links.needs, &mut steps_left);
        let (first, second) = (&drafts[cycle[0] as usize], &drafts[cycle[1] as usize]);
        let need = first.needs.iter().find(|(_, name)| *name == second.key);
        let (index, _) = need.expect("the cycle follows needs");
        faults.add(first.at.push("needs").push(index), message(&cycle, drafts));
    }
}

fn message(cycle: &[u32], drafts: &[Draft]) -> String {
    let name = |ix: &u32| quote(drafts[*ix as usize].key);
    let mut names: Vec<String> = cycle.iter().take(NAMES_MAX).map(name).collect();
    if cycle.len() > NAMES_MAX {
        names.push(format!("… {} more …", cycle.len() - NAMES_MAX));
    }
    names.push(name(&cycle[0]));
    format!("needs form a cycle: {}", names.join(" → "))
}

/// The strongly connected components of more than one task, each sorted.
fn components(needs: &[Vec<u32>]) -> Vec<Vec<u32>> {
    const UNSEEN: u32 = u32::MAX;
    let mut found = Vec::new();
    let (mut seen_at, mut lowest) = (vec![UNSEEN; needs.len()], vec![UNSEEN; needs.len()]);
    let (mut open, mut is_open) = (Vec::new(), vec![false; needs.len()]);
    let mut clock = 0;
    for root in 0..needs.len() {
        let mut path: Vec<(usize, usize)> = Vec::new();
        if seen_at[root] == UNSEEN {
            path.push((root, 0));
        }
        while let Some((task, next)) = path.last_mut() {
            let task = *task;
            if *next == 0 {
                (seen_at[task], lowest[task]) = (clock, clock);
                (clock, is_open[task]) = (clock + 1, true);
                open.push(task);
            }
            if let Some(need) = needs[task].get(*next) {
                *next += 1;
                let need = *need as usize;
                if seen_at[need] == UNSEEN {
                    path.push((need, 0));
                } else if is_open[need] {
                    lowest[task] = lowest[task].min(seen_at[need]);
                }
                continue;
            }
            path.pop();
            if let Some((above, _)) = path.last() {
                lowest[*above] = lowest[*above].min(lowest[task]);
            }
            if lowest[task] == seen_at[task] {
                let start = open.iter().rposition(|other| *other == task).expect("it is open");
                let mut component: Vec<u32> = open.drain(start..).map(|task| task as u32).collect();
                component.iter().for_each(|task| is_open[*task as usize] = false);
                component.sort_unstable();
                if component.len() > 1 {
                    found.push(component);
                }
            }
        }
    }
    found
}

/// The shortest cycle of a component, from its first task by name, each followed by one that it needs.
fn shortest(component: &[u32], needs: &[Vec<u32>], steps_left: &mut usize) -> Vec<u32> {
    let mut best: Option<Vec<u32>> = None;
    let mut within = vec![false; needs.len()];
    component.iter().for_each(|task| within[*task as usize] = true);
    for start in component {
        let length_max = best.as_ref().map_or(component.len(), |best| best.len() - 1);
        if length_max < 2 || (*steps_left == 0 && best.is_some()) {
            break;
        }
        best = through(*start, length_max, &within, needs, steps_left).or(best);
    }
    let mut cycle = best.expect("the first task of a component is on a cycle");
    let first = (0..cycle.len()).min_by_key(|ix| cycle[*ix]).expect("a cycle has tasks");
    cycle.rotate_left(first);
    cycle
}

/// The shortest cycle through one task, by breadth first, if it has at most this many tasks.
fn through(
    start: u32,
    length_max: usize,
    within: &[bool],
    needs: &[Vec<u32>],
    steps_left: &mut usize,
) -> Option<Vec<u32>> {
    let mut came_from = vec![None; needs.len()];
    let mut queue = VecDeque::from([(start, 1)]);
    while let Some((task, length)) = queue.pop_front() {
        if length > length_max {
            return None;
        }
        for need in needs[task as usize].iter().filter(|need| within[**need as usize]) {
            *steps_left = steps_left.saturating_sub(1);
            if *need == start {
                let mut cycle: Vec<u32> =
                    std::iter::successors(Some(task), |task| came_from[*task as usize]).collect();
                cycle.reverse();
                return Some(cycle);
            }
            if came_from[*need as usize].is_none() {
                came_from[*need as usize] = Some(task);
                queue.push_back((*need, length + 1));
            }
        }
    }
    None
}
