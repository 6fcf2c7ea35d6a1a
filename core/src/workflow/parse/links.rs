//! The graph of needs: names resolved, depths counted, tasks put in document order.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{Task, TaskIx};
use super::faults::{Faults, quote};
use super::task::Draft;

/// Who needs whom, by the tasks' places in the order of their names.
pub(super) struct Links {
    /// What each task needs, each once, without itself.
    pub(super) needs: Vec<Vec<u32>>,
    /// Upstream before downstream; without the tasks on a cycle and those that hang on one.
    pub(super) order: Vec<u32>,
    /// The longest path of needs above each task; none for those that `order` lacks.
    pub(super) depth: Vec<Option<u32>>,
}

impl Links {
    /// Faults needs of no task, of the task itself, and those given twice.
    pub(super) fn resolve(drafts: &[Draft], names: &BTreeMap<&str, u32>, faults: &mut Faults) -> Self {
        let needs: Vec<Vec<u32>> =
            (0..).zip(drafts).map(|(ix, draft)| resolve(ix, draft, names, faults)).collect();
        let (order, depth) = sort(&needs);
        Self { needs, order, depth }
    }

    /// The tasks in document order, joined; the drafts are without fault.
    pub(super) fn into_tasks(self, drafts: Vec<Draft>) -> Vec<Task> {
        let mut order: Vec<u32> = (0..).take(drafts.len()).collect();
        order.sort_by_key(|ix| (self.depth[*ix as usize], *ix));
        let mut ranks = vec![TaskIx(0); drafts.len()];
        for (rank, ix) in (0..).zip(&order) {
            ranks[*ix as usize] = TaskIx(rank);
        }
        let mut tasks: Vec<Option<Task>> = drafts.into_iter().map(|draft| draft.task).collect();
        let mut tasks: Vec<Task> = order
            .iter()
            .map(|ix| tasks[*ix as usize].take().expect("a task without faults is whole"))
            .collect();
        for ix in order {
            let rank = ranks[ix as usize];
            let mut needs: Vec<TaskIx> =
                self.needs[ix as usize].iter().map(|need| ranks[*need as usize]).collect();
            needs.sort_unstable();
            for need in &needs {
                tasks[need.0 as usize].dependents.push(rank);
            }
            tasks[rank.0 as usize].needs = needs;
        }
        tasks
    }
}

fn resolve(ix: u32, draft: &Draft, names: &BTreeMap<&str, u32>, faults: &mut Faults) -> Vec<u32> {
    let at = draft.at.push("needs");
    let (mut needs, mut seen) = (Vec::with_capacity(draft.needs.len()), BTreeSet::new());
    for (index, name) in &draft.needs {
        let message = match names.get(name).copied() {
            _ if !seen.insert(*name) => format!("`{}` is listed twice", quote(name)),
            Some(need) if need == ix => format!("task `{}` needs itself", quote(name)),
            Some(need) => {
                needs.push(need);
                continue;
            }
            None => {
                let others = names.keys().copied();
                format!("there is no task `{}`{}", quote(name), faults.suggestion(name, others))
            }
        };
        faults.add(at.push(index), message);
    }
    needs
}

/// Kahn's algorithm: an order from upstream to downstream, and each task's depth.
fn sort(needs: &[Vec<u32>]) -> (Vec<u32>, Vec<Option<u32>>) {
    let mut dependents: Vec<Vec<u32>> = vec![Vec::new(); needs.len()];
    let mut unmet: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (ix, needs) in (0..).zip(needs) {
        needs.iter().for_each(|need| dependents[*need as usize].push(ix));
    }
    let mut depth = vec![None; needs.len()];
    let mut order: Vec<u32> = (0..).zip(&unmet).filter(|(_, unmet)| **unmet == 0).map(|(ix, _)| ix).collect();
    let mut next = 0;
    while let Some(&ix) = order.get(next) {
        next += 1;
        let above =
            needs[ix as usize].iter().map(|need| depth[*need as usize].map_or(0, |depth: u32| depth + 1));
        depth[ix as usize] = Some(above.max().unwrap_or(0));
        for dependent in &dependents[ix as usize] {
            unmet[*dependent as usize] -= 1;
            if unmet[*dependent as usize] == 0 {
                order.push(*dependent);
            }
        }
    }
    (order, depth)
}
