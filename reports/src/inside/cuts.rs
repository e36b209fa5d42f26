//! The times of a step that are gone without some of its commands.
//!
//! *Takes* the rows of a step and the times of its commands. *Gives* intervals, each with the share of its time and of its processor time that
//! is gone. *Must never know* what happens to the rest.

use super::{CommandRow, CommandShare, Inside, inside, is_command, ratio, single, sum_of, text};
use buildscope_record::{Nanos, Step};
use std::collections::HashMap;

/// An interval of a step, of which a share is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) gone: CommandShare,
}

/// A job that has less than one of this many parts of a step's processor time does not compute.
const LITTLE: f64 = 50.0;

/// What is gone, in the order of time, if this part, from 0 to 1, of the commands that start with these words takes no time, also within
/// subshells, loops and pipelines. `process` is the time of the step's process.
pub(crate) fn command_cuts(step: &Step, words: &str, part: f64, process: (Nanos, Nanos)) -> Vec<Cut> {
    let Some(inside) = inside(step, Nanos::ZERO).filter(|inside| inside.wall > Nanos::ZERO) else {
        return Vec::new();
    };
    let words = text::command_line(words);
    let named: Vec<&CommandRow> = single(&inside.rows).collect();
    let of = |row: &CommandRow, time: fn(&CommandRow) -> Nanos| {
        if is_command(row, &words) { part } else { part * ratio(sum_of(&row.inner, &words, time), time(row)) }
    };
    let gone = |row: &CommandRow| {
        let is_named = named.iter().any(|named| std::ptr::eq(*named, row));
        let share = || CommandShare { time: of(row, |row| row.wall), cpu: of(row, |row| row.cpu) };
        if is_named { share() } else { CommandShare::default() }
    };
    inside.cuts(gone, process)
}

impl Inside {
    /// What is gone, in the order of time, if these shares of the commands in its rows take no time.
    pub(super) fn cuts(&self, gone: impl Fn(&CommandRow) -> CommandShare, process: (Nanos, Nanos)) -> Vec<Cut> {
        let gone: Vec<CommandShare> = self.rows.iter().map(gone).collect();
        let times = self.times(process);
        let is_gone = |share: &CommandShare| share.time > 0.0 || share.cpu > 0.0;
        if !self.savings.has_jobs() {
            let cuts = times.iter().map(|&(row, start, end)| Cut { start, end, gone: gone[row] });
            return cuts.filter(|cut| is_gone(&cut.gone)).collect();
        }
        let number_of =
            |place: Option<(usize, usize)>| self.rows.iter().position(|row| place.is_some() && row.place == place);
        let is_job = |row: &CommandRow| row.place.is_some_and(|place| self.savings.is_job(place));
        let all: Nanos = self.rows.iter().map(|row| row.cpu).sum();
        let computes = |(row, share): (&CommandRow, &CommandShare)| {
            is_job(row) && share.cpu * row.cpu.as_secs_f64() * LITTLE > all.as_secs_f64()
        };
        if !self.rows.iter().zip(&gone).any(computes) {
            let saved = self.savings.saved_after(|place| number_of(Some(place)).map_or(0.0, |row| gone[row].time));
            let before = [0.0].into_iter().chain(saved.clone());
            let cuts = self.savings.times().zip(before.zip(saved)).map(|((place, start, end), (before, after))| {
                let cpu = number_of(place).map_or(0.0, |row| gone[row].cpu);
                let time = (after - before) / (end.saturating_sub(start).0 as f64).max(1.0);
                Cut { start, end, gone: CommandShare { time, cpu } }
            });
            return cuts.filter(|cut| cut.gone != CommandShare::default()).collect();
        }
        // A job computes while other commands have the time: what is gone is spread over all that comes after its first part.
        let Some(&(_, start, _)) = times.iter().find(|(row, ..)| is_gone(&gone[*row])) else { return Vec::new() };
        let end = process.1.max(start);
        let is_before = |number: usize, row: &CommandRow| {
            let ended = times.iter().all(|&(other, _, to)| other != number || to <= start);
            ended && !is_job(row)
        };
        let sum = |of: &dyn Fn(usize, &CommandRow) -> f64| -> f64 {
            self.rows.iter().enumerate().map(|(number, row)| of(number, row)).sum()
        };
        let left = sum(&|number, row| if is_before(number, row) { 0.0 } else { row.cpu.0 as f64 });
        let without = sum(&|number, row| gone[number].cpu * row.cpu.0 as f64);
        let saved = self.saved(|row| {
            let number = self.rows.iter().position(|other| std::ptr::eq(other, row));
            number.map_or(0.0, |number| gone[number].time)
        });
        let cpu = if left > 0.0 { (without / left).min(1.0) } else { 0.0 };
        vec![Cut { start, end, gone: CommandShare { time: ratio(saved, end - start), cpu } }]
    }

    /// The times of the rows, in their order. Where only their lengths are known, they follow each other.
    fn times(&self, (start, end): (Nanos, Nanos)) -> Vec<(usize, Nanos, Nanos)> {
        let rows: HashMap<_, usize> =
            self.rows.iter().enumerate().filter_map(|(number, row)| Some((row.place?, number))).collect();
        let known = self.savings.times().filter_map(|(place, from, to)| Some((*rows.get(&place?)?, from, to)));
        let known: Vec<_> = known.collect();
        if !known.is_empty() {
            return known;
        }
        let mut before = Nanos::ZERO;
        let at = |time: Nanos| {
            let length = (end.saturating_sub(start)).0 as f64;
            // A float-to-integer `as` rounds towards zero.
            start + Nanos((length * ratio(time, self.wall)) as u64)
        };
        let next = |(number, row): (usize, &CommandRow)| {
            let from = before;
            before += row.wall;
            (number, at(from), at(before))
        };
        self.rows.iter().enumerate().map(next).collect()
    }
}
