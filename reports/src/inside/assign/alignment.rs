//! All best alignments of processes with commands.

use super::super::shell::{Name, Unit};
use super::Child;
use super::score::scores;
use std::ops::Range;

/// The number of processes of one command that are counted.
const COUNTED: usize = 62;
/// What it costs if a command has no process that runs unless an earlier one ends the shell.
const MISSING: i32 = 1;
/// The most that the programs that a turn of a loop did not start cost.
const MISSING_IN_TURN: i32 = 3;

/// The most processes of a unit that count; `None` for a loop whose turns are unknown or many.
fn most(unit: &Unit, is_last: bool) -> Option<usize> {
    unit.most(is_last).filter(|&most| most <= COUNTED || !unit.repeats)
}

/// The programs of a unit that run in each turn of a loop, counted up to each place of its body.
struct Required(Vec<i32>);

impl Required {
    fn of(unit: &Unit) -> Self {
        let runs = |(place, name): (usize, &Name)| {
            i32::from(place >= unit.once && !matches!(name, Name::Is(program) if program.optional))
        };
        let counts = unit.names.iter().enumerate().map(runs).scan(0, |count, runs| {
            *count += runs;
            Some(*count)
        });
        Self([0].into_iter().chain(counts).collect())
    }

    /// The cost of the programs that were not started after `from` programs of a turn, up to the one at `to` of this turn or, if that is
    /// earlier, of the next one.
    fn missing(&self, from: usize, to: usize) -> i32 {
        let until = |place: usize| self.0[place.min(self.0.len() - 1)];
        let turn = if from <= to { 0 } else { until(usize::MAX) };
        (MISSING * (turn + until(to) - until(from))).min(MISSING_IN_TURN)
    }

    /// The same up to the end of the turn.
    fn left(&self, from: usize) -> i32 {
        self.missing(from, usize::MAX)
    }
}

/// A set of states of one unit, one bit each: the number of its names that are used. In a loop it is the place after the program that started
/// last.
type States = u64;

/// The bit of a choice: the command before is another one.
const ENTERED: States = 1 << 63;

/// The unit of scores. What is less likely at equal scores costs less than any score.
const POINT: i64 = 1 << 20;
const UNLIKELY: i64 = 1;

/// How the commands before a row may have been left for a command after it.
#[derive(Clone, Copy, Debug, Default)]
struct Exits {
    /// The best states of this row to leave, if none of an earlier row is better.
    states: States,
    /// Whether an earlier row is as good.
    earlier: bool,
}

/// What the alignment knows of a process.
struct Choices {
    /// The states before that are best for each state of each row.
    states: Vec<States>,
    exits: Vec<Exits>,
}

/// All best alignments of processes with commands, up to one of the processes.
pub(super) struct Alignment<'a> {
    units: Vec<&'a Unit>,
    most: Vec<Option<usize>>,
    required: Vec<Required>,
    /// The place of the first state of each row among those of all rows, and their number.
    first: Vec<usize>,
    /// The highest score of each state.
    best: Vec<Option<i64>>,
    choices: Vec<Choices>,
}

impl<'a> Alignment<'a> {
    pub(super) fn of(units: Vec<&'a Unit>) -> Self {
        let mut first = vec![0];
        let most: Vec<_> = (1..).zip(&units).map(|(number, unit)| most(unit, number == units.len())).collect();
        for (unit, most) in units.iter().zip(&most) {
            let highest = most.unwrap_or(unit.names.len()).min(COUNTED);
            first.push(first[first.len() - 1] + highest + 1);
        }
        let best = vec![None; first[units.len()]];
        let required = units.iter().map(|unit| Required::of(unit)).collect();
        Self { units, most, required, first, best, choices: Vec::new() }
    }

    /// The places of the states of a row.
    fn states(&self, row: usize) -> Range<usize> {
        self.first[row]..self.first[row + 1]
    }

    /// The cost of leaving a unit in this state.
    fn left(&self, row: usize, used: usize) -> i64 {
        let is_within = self.most[row].is_none() && used > 0;
        if is_within { POINT * i64::from(self.required[row].left(used)) } else { 0 }
    }

    /// The cost of passing over a unit.
    fn passed(&self, row: usize) -> i64 {
        if self.units[row].optional { 0 } else { POINT * i64::from(MISSING) }
    }

    /// The best states of a row to leave, with their score.
    fn leaving(&self, row: usize) -> Option<(i64, States)> {
        let mut best = None;
        for (used, score) in self.best[self.states(row)].iter().enumerate() {
            let &Some(score) = score else { continue };
            add_best(&mut best, score - self.left(row, used), 1 << used);
        }
        best
    }

    /// Adds a process.
    pub(super) fn add(&mut self, child: Child<'_>, text: &str) {
        let rows = self.units.len();
        let mut next = vec![None; self.best.len()];
        let mut choices = Choices { states: vec![0; self.best.len()], exits: vec![Exits::default(); rows] };
        // The best score of all units up to the current one.
        let mut before = self.choices.is_empty().then_some(0);
        for row in 0..rows {
            let scores = scores(self.units[row], child, text);
            let gain = i64::from(scores.iter().copied().max().unwrap_or(0));
            let fitting = || scores.iter().enumerate().filter(|(_, score)| **score > 0);
            let (most, required) = (self.most[row], &self.required[row]);
            // A subshell at the end of a text may have no copy of the shell, but if it has one, that is all of it.
            let is_whole = child.copied && self.units[row].is_subshell();
            let states = self.states(row);
            let mut put = |used: usize, score: i64, from: States| {
                let at = states.start + used;
                let mut known = next[at].map(|score| (score, choices.states[at]));
                add_best(&mut known, score, from);
                (next[at], choices.states[at]) = (known.map(|known| known.0), known.map_or(0, |known| known.1));
            };
            let after = |score: i64, from: usize, place: usize, gain: i32| {
                score + POINT * i64::from(gain - required.missing(from, place))
            };
            if let Some(score) = before {
                if gain <= 0 {
                    // It rather belongs to the command that is running.
                    put(0, score - UNLIKELY, ENTERED);
                } else if most.is_none() {
                    fitting().for_each(|(place, &gain)| {
                        put((place + 1).min(COUNTED), after(score, 0, place, gain), ENTERED);
                    });
                } else {
                    put(most.filter(|_| is_whole).unwrap_or(1), score + POINT * gain, ENTERED);
                }
            }
            for (used, score) in self.best[states.clone()].iter().enumerate() {
                let &Some(score) = score else { continue };
                let from = 1 << used;
                match most {
                    _ if gain <= 0 => put(used, score, from),
                    None => fitting().for_each(|(place, &gain)| {
                        put((place + 1).min(COUNTED), after(score, used, place, gain), from);
                    }),
                    Some(_) if is_whole && used > 0 => put(used, score, from),
                    Some(most) if used < most.min(COUNTED) => {
                        put(if is_whole { most } else { used + 1 }, score + POINT * gain, from);
                    }
                    Some(_) => put(used, score, from),
                }
            }
            let earlier = before.map(|score| score - self.passed(row));
            let leaving = self.leaving(row);
            choices.exits[row] = match (earlier, leaving) {
                (Some(earlier), Some((score, states))) if earlier == score => Exits { states, earlier: true },
                (Some(earlier), Some((score, _))) if earlier > score => Exits { states: 0, earlier: true },
                (_, Some((_, states))) => Exits { states, earlier: false },
                (_, None) => Exits { states: 0, earlier: true },
            };
            before = earlier.max(leaving.map(|leaving| leaving.0));
        }
        self.best = next;
        self.choices.push(choices);
    }

    /// The best states after the last process, by row. Without evidence, no later command is taken to have started.
    fn end(&self) -> Vec<States> {
        let (mut after, mut found) = (0, None::<i64>);
        let mut states = vec![0; self.units.len()];
        for row in (0..self.units.len()).rev() {
            if let Some((score, of_row)) = self.leaving(row) {
                let score = score - after;
                if found.is_none_or(|known| score > known) {
                    found = Some(score);
                    states.fill(0);
                }
                if found == Some(score) {
                    states[row] = of_row;
                }
            }
            after += (self.passed(row) - UNLIKELY).max(0);
        }
        states
    }

    /// The first and the last row of each process in any of the best alignments.
    pub(super) fn rows(&self) -> Vec<(usize, usize)> {
        let mut states = self.end();
        let mut rows = Vec::with_capacity(self.choices.len());
        for choices in self.choices.iter().rev() {
            let mut possible = (0..states.len()).filter(|&row| states[row] != 0);
            let Some(first) = possible.next() else { break };
            rows.push((first, possible.next_back().unwrap_or(first)));
            states = choices.before(&states, &self.first);
        }
        rows.reverse();
        rows
    }
}

impl Choices {
    /// The best states before the process, if these are the best ones after it. `first` has the places of the rows' states.
    fn before(&self, states: &[States], first: &[usize]) -> Vec<States> {
        let mut before = vec![0; states.len()];
        let mut entered = false;
        for row in (0..states.len()).rev() {
            if entered {
                before[row] |= self.exits[row].states;
                entered = self.exits[row].earlier;
            }
            let of_row = self.states[first[row]..first[row + 1]].iter().enumerate();
            for (_, choice) in of_row.filter(|(used, _)| states[row] & 1 << used != 0) {
                before[row] |= choice & !ENTERED;
                entered |= choice & ENTERED != 0;
            }
        }
        before
    }
}

/// Adds states to the best ones.
fn add_best(best: &mut Option<(i64, States)>, score: i64, states: States) {
    match best {
        Some((known, _)) if *known > score => {}
        Some((known, all)) if *known == score => *all |= states,
        _ => *best = Some((score, states)),
    }
}
