//! The commands inside the steps, on a terminal: those that cost most on one screen, or all of them.

mod command;

use super::style::{Style, heading};
use super::table::{Align, Table, cut};
use super::text::wrap;
use crate::inside::{CommandRow, Inside, RowKind};
use crate::{Explanation, StepExplanation};
use buildscope_record::{Nanos, Observed};

/// The number of steps that are shown, and of commands of each, if they fit the screen.
const STEPS: usize = 4;
const COMMANDS: usize = 5;
/// The number of lines for what could not be observed.
const UNSEEN: usize = 4;
/// The longest name of a stage, in columns: the instruction after it needs the rest of the line.
const STAGE: usize = 16;
/// A step or a command that cost less than this share (of the build, of the step) is not shown.
const LEAST: f64 = 0.03;

/// A step and its commands that are shown, in the order of the text and with their depths.
struct Shown<'e> {
    step: &'e StepExplanation,
    inside: &'e Inside,
    rows: Vec<(usize, &'e CommandRow)>,
}

impl<'e> Shown<'e> {
    fn of(step: &'e StepExplanation, inside: &'e Inside) -> Self {
        let rows = with_parts(longest(&inside.rows, inside.wall, COMMANDS), inside.wall);
        Self { step, inside, rows }
    }
}

/// The section: what cost most, in fewer lines than the screen has. It is empty if nothing was observed or nothing cost much.
pub(super) fn text(explanation: &Explanation, style: Style) -> String {
    let least = Nanos::from_secs_f64(explanation.wall.as_secs_f64() * LEAST);
    let mut steps: Vec<_> = observed(explanation).filter(|(_, inside)| inside.wall >= least).collect();
    steps.sort_by_key(|(step, inside)| std::cmp::Reverse((step.wall, inside.wall)));
    steps.truncate(STEPS);
    steps.sort_by_key(|(step, _)| step.id);
    let mut steps: Vec<_> = steps.into_iter().map(|(step, inside)| Shown::of(step, inside)).collect();
    if steps.is_empty() {
        return String::new();
    }
    loop {
        let section = section(explanation, &steps, style);
        // The line that is left is for the prompt of a shell.
        if section.lines().count() < style.height || !without_shortest(&mut steps) {
            return section;
        }
    }
}

/// Every command of every step, with what could not be observed.
pub(super) fn all(explanation: &Explanation, style: Style) -> String {
    fn below<'e>(rows: &'e [CommandRow], depth: usize, all: &mut Vec<(usize, &'e CommandRow)>) {
        for row in rows.iter().filter(|row| row.wall > Nanos::ZERO) {
            all.push((depth, row));
            below(&row.inner, depth + 1, all);
        }
    }
    let mut out = String::new();
    for (step, inside) in observed(explanation) {
        let mut rows = Vec::new();
        below(&inside.rows, 0, &mut rows);
        out += &commands(explanation, &Shown { step, inside, rows }, style);
        for sentence in &inside.unseen {
            out += &folded(&format!("not seen: {sentence}"), style);
        }
    }
    if out.is_empty() { "The record has no commands inside the steps.\n".into() } else { out }
}

/// The steps whose insides are known.
fn observed(explanation: &Explanation) -> impl Iterator<Item = (&StepExplanation, &Inside)> {
    explanation.steps.iter().filter_map(|step| Some((step, step.inside.as_ref()?)))
}

/// Leaves out the command that cost least. Returns whether there was one to leave out. A part of a command counts half: mostly it is
/// most of the command's time again, and the command of another step says more.
fn without_shortest(steps: &mut Vec<Shown<'_>>) -> bool {
    let cost = |(depth, row): &(usize, &CommandRow)| row.wall.0 >> depth;
    let rows = |(step, shown): (usize, &Shown<'_>)| {
        shown.rows.iter().map(cost).enumerate().map(move |(at, cost)| (cost, step, at)).collect::<Vec<_>>()
    };
    let all: Vec<_> = steps.iter().enumerate().flat_map(rows).collect();
    let least = all.iter().min_by_key(|(cost, step, at)| (*cost, std::cmp::Reverse((*step, *at))));
    let Some(&(_, step, at)) = least.filter(|_| all.len() > 1) else { return false };
    steps[step].rows.remove(at);
    steps.retain(|shown| !shown.rows.is_empty());
    true
}

fn section(explanation: &Explanation, steps: &[Shown<'_>], style: Style) -> String {
    let mut out = heading("Inside the steps", style);
    out.extend(steps.iter().map(|shown| commands(explanation, shown, style)));
    let (count, wall) = left_out(explanation, steps);
    if count > 0 && wall > Nanos::ZERO {
        out += &folded(&format!("and {count} shorter, {wall} (`--by commands` has all)"), style);
    }
    let unseen = unseen(observed(explanation).map(|(_, inside)| inside));
    let mut said = 0;
    for (at, sentence) in unseen.iter().enumerate() {
        let lines = folded(&format!("not seen: {sentence}"), style);
        said += lines.lines().count();
        if at > 0 && said > UNSEEN {
            out += &folded(&format!("not seen: {} more (`--by commands` has all)", unseen.len() - at), style);
            break;
        }
        out += &lines;
    }
    out
}

/// The number and the time of the commands that are not shown, in all steps.
fn left_out(explanation: &Explanation, steps: &[Shown<'_>]) -> (usize, Nanos) {
    let sum = |rows: &mut dyn Iterator<Item = &CommandRow>| {
        rows.filter(|row| row.wall > Nanos::ZERO)
            .fold((0, Nanos::ZERO), |(count, wall), row| (count + 1, wall + row.wall))
    };
    let all = sum(&mut observed(explanation).flat_map(|(_, inside)| &inside.rows));
    let whole = |shown: &&(usize, &CommandRow)| shown.0 == 0;
    let shown = sum(&mut steps.iter().flat_map(|shown| shown.rows.iter().filter(whole).map(|(_, row)| *row)));
    (all.0 - shown.0, all.1.saturating_sub(shown.1))
}

/// A sentence below the commands, with its further lines indented.
fn folded(text: &str, style: Style) -> String {
    let lines = wrap(text, style.width.saturating_sub(4)).into_iter().enumerate();
    lines.map(|(number, line)| format!("{}{line}\n", if number == 0 { "  " } else { "    " })).collect()
}

/// A step and its commands.
fn commands(explanation: &Explanation, shown: &Shown<'_>, style: Style) -> String {
    let Shown { step, inside, rows } = shown;
    let stage = step.stage.as_deref().map(|stage| format!("{}: ", cut(stage, STAGE))).unwrap_or_default();
    let processes = match inside.processes {
        0 => String::new(),
        1 => " in 1 process".into(),
        count => format!(" in {count} processes"),
    };
    let about = match inside.observed {
        Observed::Events => format!(" {}{processes}", inside.wall),
        Observed::Sampled if inside.resolution > Nanos::ZERO => {
            format!(" {}{processes}, sampled (times within {})", inside.wall, inside.resolution)
        }
        Observed::Sampled => format!(" {}{processes}, sampled", inside.wall),
        Observed::Inferred => format!(" {}, inferred from its output", inside.wall),
    };
    let room = style.width.saturating_sub(about.chars().count() + 2);
    let mut out = format!("  {}{about}\n", cut(&format!("{stage}{}", step.text), room));
    let mut table = Table::new([Align::Right, Align::Right, Align::Flexible, Align::Left]);
    let processors = explanation.host.cpus.unwrap_or(1);
    for (depth, row) in rows {
        command::rows(row, *depth, inside.wall, processors, style).into_iter().for_each(|row| table.row(row));
    }
    out += &table.render(style.width, style.colours);
    out
}

/// What could not be observed, the first sentences of the steps first. Sentences that differ only in their numbers become one, that of the
/// largest number.
fn unseen<'i>(insides: impl Iterator<Item = &'i Inside>) -> Vec<String> {
    struct Kind<'i> {
        place: usize,
        words: String,
        number: u64,
        sentence: &'i str,
        differs: bool,
    }
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for (place, sentence) in insides.flat_map(|inside| inside.unseen.iter().enumerate()) {
        let words: String = sentence.chars().filter(|c| !c.is_ascii_digit()).collect();
        let numbers = sentence.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok());
        let number = numbers.unwrap_or(0);
        match kinds.iter_mut().find(|kind| kind.words == words) {
            // What is the same for all steps is about the whole build.
            Some(kind) if kind.sentence == sentence => {}
            Some(kind) => {
                kind.differs = true;
                if number > kind.number {
                    (kind.number, kind.sentence) = (number, sentence);
                }
            }
            None => kinds.push(Kind { place, words, number, sentence, differs: false }),
        }
    }
    kinds.sort_by_key(|kind| kind.place);
    let rest = |kind: &Kind<'_>| if kind.differs { " (less in other steps)" } else { "" };
    kinds.into_iter().map(|kind| format!("{}{}", kind.sentence, rest(&kind))).collect()
}

/// The longest of these rows that cost enough of a step of this length, at most `most`, in the order of the text.
fn longest(rows: &[CommandRow], wall: Nanos, most: usize) -> Vec<&CommandRow> {
    let least = Nanos::from_secs_f64(wall.as_secs_f64() * LEAST);
    let mut rows: Vec<_> =
        rows.iter().enumerate().filter(|(_, row)| row.wall >= least && row.wall > Nanos::ZERO).collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.wall));
    rows.truncate(most);
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The rows with their depths. As long as there is room, a row that has most of the step's time is followed by its parts. If a program alone
/// took that time, its row says everything.
fn with_parts(top: Vec<&CommandRow>, wall: Nanos) -> Vec<(usize, &CommandRow)> {
    let mut rows: Vec<(usize, &CommandRow)> = top.into_iter().map(|row| (0, row)).collect();
    let mut divided = 0;
    while let Some(at) = (divided..rows.len()).find(|&at| rows[at].1.wall.0 > wall.0 / 2) {
        let (depth, row) = rows[at];
        let mut parts = longest(&row.inner, wall, COMMANDS - rows.len());
        if parts.len() == 1 && parts[0].kind == RowKind::Shell {
            parts.clear();
        }
        divided = at + 1;
        rows.splice(divided..divided, parts.into_iter().map(|part| (depth + 1, part)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a step of 10 s: only one row can have most of it, and so can one of its parts. There are five lines.
    #[test]
    fn the_parts_of_what_costs_most_are_shown_as_long_as_there_is_room() {
        let row = |text: &str, wall: f64, inner: &[CommandRow]| CommandRow {
            wall: Nanos::from_secs_f64(wall),
            inner: inner.to_vec(),
            ..CommandRow::of(RowKind::Command, text)
        };
        let shown = |rows: &[CommandRow]| {
            let wall = Nanos::from_secs_f64(10.0);
            let lines = with_parts(longest(rows, wall, COMMANDS), wall);
            lines.into_iter().map(|(depth, row)| format!("{}{}", "-".repeat(depth), row.text)).collect::<Vec<_>>()
        };
        let parts =
            [row("make", 6.0, &[row("cc", 5.0, &[]), row("ld", 0.9, &[]), row("cp", 0.1, &[])]), row("rm", 2.0, &[])];
        let rows = [row("apt", 1.9, &parts), row("sh x", 8.0, &parts), row("cd", 0.1, &[])];
        assert_eq!(shown(&rows), ["apt", "sh x", "-make", "--cc", "-rm"]);
        let halves = [row("a", 5.0, &parts), row("b", 5.0, &parts)];
        assert_eq!(shown(&halves), ["a", "b"], "neither has more than half");
        assert_eq!(shown(&[row("a", 10.0, &[row("b", 10.0, &[])])]), ["a", "-b"]);
        assert_eq!(shown(&[row("a", 0.2, &[])]), Vec::<String>::new());
        let itself = CommandRow { wall: Nanos::from_secs_f64(9.9), ..CommandRow::of(RowKind::Shell, "a itself") };
        assert_eq!(shown(&[row("a", 10.0, &[itself])]), ["a"]);
    }

    #[test]
    fn what_was_not_seen_is_said_once_and_the_most_important_first() {
        let inside = |unseen: &[&str]| Inside {
            observed: Observed::Events,
            resolution: Nanos::ZERO,
            wall: Nanos::ZERO,
            rows: Vec::new(),
            processes: 0,
            unseen: unseen.iter().map(|&sentence| sentence.to_owned()).collect(),
            savings: Default::default(),
        };
        let steps = [
            inside(&["processes: 7 events were dropped", "exit codes", "9 short processes"]),
            inside(&["exit codes", "120 short processes"]),
            inside(&["exit codes", "20 short processes"]),
        ];
        let said = ["processes: 7 events were dropped", "exit codes", "120 short processes (less in other steps)"];
        assert_eq!(unseen(steps.iter()), said);
    }
}
