//! The same step in another record of a build.
//!
//! The texts of a stage are aligned by a longest common subsequence. The remaining steps are paired by rules: a moved step by its text, a
//! changed step by its place between the same neighbours. A new step has no pair.

use buildscope_record::{Record, Step, StepId};
use std::collections::BTreeMap;

/// The largest product of the lengths of two stages that are aligned. Larger ones are paired by the occurrences of their texts.
const LARGEST_TABLE: usize = 4_000_000;

/// The pairs of steps of two records.
pub(crate) struct Counterparts<'o> {
    other: &'o Record,
    /// By step of the first record: the step of the other one.
    of: Vec<Option<usize>>,
    /// By step of the other record: the step of the first one.
    back: Vec<Option<usize>>,
}

impl<'o> Counterparts<'o> {
    /// Pairs the steps of `record` with those of `other`.
    pub(crate) fn between(record: &Record, other: &'o Record) -> Self {
        let mut found = Self { other, of: vec![None; record.steps.len()], back: vec![None; other.steps.len()] };
        let (stages, others) = (stages(record), stages(other));
        for (name, steps) in &stages {
            if let Some(other_steps) = others.get(name) {
                found.pair(record, steps, other_steps);
            }
        }
        found
    }

    /// The step of the other record that corresponds to a step of the first one.
    pub(crate) fn of(&self, step: StepId) -> Option<&'o Step> {
        self.other.steps.get((*self.of.get(step.index())?)?)
    }

    /// The step of the first record that corresponds to a step of the other one.
    pub(crate) fn back(&self, step: StepId) -> Option<StepId> {
        let index = (*self.back.get(step.index())?)?;
        u32::try_from(index).ok().map(StepId)
    }

    /// The record that [`of`](Self::of) leads to.
    pub(crate) fn other(&self) -> &'o Record {
        self.other
    }

    fn join(&mut self, step: usize, other: usize) {
        (self.of[step], self.back[other]) = (Some(other), Some(step));
    }

    /// Pairs the steps of one stage, which are indices into the records.
    fn pair(&mut self, record: &Record, steps: &[usize], others: &[usize]) {
        let text = |step: &usize| record.steps[*step].text.as_str();
        let other = self.other;
        let other_text = |step: &usize| other.steps[*step].text.as_str();
        let (texts, other_texts): (Vec<&str>, Vec<&str>) =
            (steps.iter().map(text).collect(), others.iter().map(other_text).collect());
        for (at, other_at) in common(&texts, &other_texts) {
            self.join(steps[at], others[other_at]);
        }
        // A step that moved has the same text elsewhere in the stage.
        let mut left: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &step in others.iter().rev().filter(|&&step| self.back[step].is_none()) {
            left.entry(other_text(&step)).or_default().push(step);
        }
        let mut moved = vec![false; steps.len()];
        for (at, &step) in steps.iter().enumerate() {
            if self.of[step].is_none()
                && let Some(same) = left.get_mut(text(&step)).and_then(Vec::pop)
            {
                self.join(step, same);
                moved[at] = true;
            }
        }
        // A step whose text changed is between the same neighbours.
        let mut next = 0;
        for (at, &step) in steps.iter().enumerate() {
            match self.of[step] {
                Some(_) if moved[at] => {}
                Some(same) => next = others.iter().position(|&other| other == same).map_or(next, |same| same + 1),
                None => {
                    let instruction = &record.steps[step].instruction;
                    let gap = (next..others.len()).take_while(|&at| self.back[others[at]].is_none());
                    if let Some(found) = gap.into_iter().find(|&at| other.steps[others[at]].instruction == *instruction)
                    {
                        self.join(step, others[found]);
                        next = found + 1;
                    }
                }
            }
        }
    }
}

/// The steps of each stage, by its name, in the order of the file.
fn stages(record: &Record) -> BTreeMap<&str, Vec<usize>> {
    let mut stages: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, step) in record.steps.iter().enumerate() {
        stages.entry(stage(record, step)).or_default().push(index);
    }
    stages
}

/// The pairs of a longest common subsequence, in order.
fn common(one: &[&str], other: &[&str]) -> Vec<(usize, usize)> {
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let head = one.iter().zip(other).take_while(same).count();
    let tail = one[head..].iter().rev().zip(other[head..].iter().rev()).take_while(same).count();
    let (rows, columns) = (one.len() - head - tail, other.len() - head - tail);
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    if rows.saturating_mul(columns) <= LARGEST_TABLE {
        // By the rest of both: the length of their longest common subsequence.
        let mut lengths = vec![vec![0_u32; columns + 1]; rows + 1];
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                lengths[row][column] = if one[head + row] == other[head + column] {
                    lengths[row + 1][column + 1] + 1
                } else {
                    lengths[row + 1][column].max(lengths[row][column + 1])
                };
            }
        }
        let (mut row, mut column) = (0, 0);
        while row < rows && column < columns {
            if one[head + row] == other[head + column] {
                pairs.push((head + row, head + column));
                (row, column) = (row + 1, column + 1);
            } else if lengths[row + 1][column] >= lengths[row][column + 1] {
                row += 1;
            } else {
                column += 1;
            }
        }
    }
    pairs.extend((0..tail).rev().map(|back| (one.len() - 1 - back, other.len() - 1 - back)));
    pairs
}

/// The name of a stage, or its number if it has no name; BuildKit writes `stage-1` for those.
fn stage<'r>(record: &'r Record, step: &Step) -> &'r str {
    let name = step.stage.and_then(|stage| record.stages.get(stage.index())).map_or("", |stage| &stage.name);
    let number = |rest: &&str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    name.strip_prefix("stage-").filter(number).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Synthetic;

    fn stage_of(texts: &[&str]) -> Record {
        let mut made = Synthetic::default();
        let stage = made.stage("a");
        for (at, text) in texts.iter().enumerate() {
            made.step(stage, text, at as u64..at as u64 + 1);
        }
        made.finish(texts.len() as u64)
    }

    fn pairs(now: &[&str], before: &[&str]) -> Vec<Option<u32>> {
        let (now, before) = (stage_of(now), stage_of(before));
        let found = Counterparts::between(&now, &before);
        now.steps.iter().map(|step| found.of(step.id).map(|step| step.id.0)).collect()
    }

    #[test]
    fn an_inserted_step_is_new_and_the_others_keep_their_counterparts() {
        assert_eq!(pairs(&["RUN a", "RUN new", "RUN b"], &["RUN a", "RUN b"]), [Some(0), None, Some(1)]);
    }

    #[test]
    fn a_changed_text_is_found_by_its_neighbours() {
        let before = ["COPY x", "RUN a", "RUN b", "RUN c"];
        assert_eq!(
            pairs(&["RUN new", "COPY x", "RUN a2", "RUN b", "RUN c"], &before),
            [None, Some(0), Some(1), Some(2), Some(3)]
        );
    }

    #[test]
    fn a_moved_step_is_found_by_its_text() {
        assert_eq!(pairs(&["COPY b", "COPY a", "RUN x"], &["COPY a", "COPY b", "RUN x"]), [Some(1), Some(0), Some(2)]);
    }

    #[test]
    fn equal_texts_are_paired_in_order() {
        assert_eq!(pairs(&["RUN a", "RUN a"], &["RUN a", "RUN a", "RUN a"]), [Some(0), Some(1)]);
        assert_eq!(pairs(&[], &["RUN a"]), []);
    }
}
