//! Whether one task is upstream of another, for many pairs at once.
//!
//! A full table of who is upstream of whom takes the square of the number of tasks. Asked are only the tasks
//! that expressions mention, so sixty-four of them at a time travel down the graph as the bits of one word per
//! task: the memory is one word per task, and a pass costs one step per need.

use super::links::Links;

/// Is `target` upstream of `task`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) target: u32,
    pub(super) task: u32,
}

/// Answers questions that are sorted. What hangs on a cycle of needs gets no answer.
pub(super) fn upstream(links: &Links, questions: &[Question]) -> Vec<(Question, bool)> {
    let mut answers = Vec::with_capacity(questions.len());
    let mut rest = questions;
    while !rest.is_empty() {
        let mut targets: Vec<u32> = Vec::with_capacity(64);
        let mut taken = 0;
        for question in rest {
            if targets.last() != Some(&question.target) {
                if targets.len() == 64 {
                    break;
                }
                targets.push(question.target);
            }
            taken += 1;
        }
        let (batch, later) = rest.split_at(taken);
        rest = later;
        answer(links, &targets, batch, &mut answers);
    }
    answers
}

fn answer(links: &Links, targets: &[u32], batch: &[Question], answers: &mut Vec<(Question, bool)>) {
    let mut own = vec![0u64; links.needs.len()];
    for (bit, target) in targets.iter().enumerate() {
        own[*target as usize] = 1 << bit;
    }
    let mut above = vec![0u64; links.needs.len()];
    for task in &links.order {
        above[*task as usize] = links.needs[*task as usize]
            .iter()
            .fold(0, |mask, need| mask | above[*need as usize] | own[*need as usize]);
    }
    for question in batch.iter().filter(|question| links.depth[question.task as usize].is_some()) {
        let mask = own[question.target as usize];
        answers.push((*question, above[question.task as usize] & mask != 0));
    }
}
