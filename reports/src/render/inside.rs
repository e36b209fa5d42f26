//! The commands inside the steps that cost most, on a terminal: at most a third of a screen.

use super::style::{BOLD, DIM, Style, heading};
use super::table::{Align, Cell, Table, cut};
use crate::inside::{Activity, CommandRow, Inside, RowKind};
use crate::wording::percent;
use crate::{Explanation, StepExplanation};
use buildscope_record::{Cause, Nanos, Observed};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// The number of steps that are shown, and of commands of each.
const STEPS: usize = 4;
const COMMANDS: usize = 5;
/// The number of lines for what a command spent its time on.
const LINES: usize = 2;
/// The number of sentences about what could not be observed.
const UNSEEN: usize = 4;
/// The longest name of a stage, in columns: the instruction after it needs the rest of the line.
const STAGE: usize = 16;
/// A step or a command that cost less than this share (of the build, of the step) is not shown.
const LEAST: f64 = 0.03;
/// A cause that has less than this share of a command is not named.
const NAMED: f64 = 0.08;

/// The section. It is empty if nothing was observed or nothing cost much.
pub(super) fn text(explanation: &Explanation, style: Style) -> String {
    let least = Nanos::from_secs_f64(explanation.wall.as_secs_f64() * LEAST);
    let mut steps: Vec<(&StepExplanation, &Inside)> = explanation
        .steps
        .iter()
        .filter_map(|step| Some((step, step.inside.as_ref()?)))
        .filter(|(_, inside)| inside.wall >= least)
        .collect();
    steps.sort_by_key(|(step, inside)| std::cmp::Reverse((step.wall, inside.wall)));
    steps.truncate(STEPS);
    steps.sort_by_key(|(step, _)| step.id);
    if steps.is_empty() {
        return String::new();
    }
    let mut out = heading("Inside the steps", style);
    let processors = explanation.host.cpus.unwrap_or(1);
    for (step, inside) in steps {
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
        let _ = writeln!(out, "  {}{about}", cut(&format!("{stage}{}", step.text), room));
        out += &commands(inside, processors, style);
    }
    let unseen = unseen(explanation.steps.iter().filter_map(|step| step.inside.as_ref()));
    for unseen in unseen.iter().take(UNSEEN) {
        let _ = writeln!(out, "  not seen: {unseen}");
    }
    let more = unseen.len().saturating_sub(UNSEEN);
    if more > 0 {
        let _ = writeln!(out, "  not seen: {more} more (`--format json` has all)");
    }
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

fn commands(inside: &Inside, processors: u32, style: Style) -> String {
    let top = longest(&inside.rows, inside.wall, COMMANDS);
    let shown: Nanos = top.iter().map(|row| row.wall).sum();
    let hidden = inside.rows.len() - top.len();
    let mut table = Table::new([Align::Right, Align::Right, Align::Flexible, Align::Left]);
    for (depth, row) in with_parts(top, inside.wall) {
        let text = if row.text.chars().count() > style.width / 3 { program_first(&row.text) } else { &row.text };
        let text = Cell::from(format!("{}{text}", "  ".repeat(depth)));
        let mut said = lines(&spent(row, processors), (style.width / 2).max(24)).into_iter();
        table.row([
            Cell::from(format!("  {}", row.wall)),
            percent(row.wall, inside.wall).into(),
            if row.kind == RowKind::Command { text.colour(BOLD) } else { text.colour(DIM) },
            said.next().unwrap_or_default().into(),
        ]);
        for more in said {
            table.row([Cell::default(), Cell::default(), Cell::default(), more.into()]);
        }
    }
    let mut out = table.render(style.width, style.colours);
    if hidden > 0 && inside.wall > shown {
        let _ = writeln!(out, "      and {hidden} shorter, {}", inside.wall - shown);
    }
    out
}

/// The parts of a text, which semicolons separate, on as many lines of this width as they need, but at most [`LINES`].
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in text.split("; ") {
        let room = lines.last().map_or(0, |line| width.saturating_sub(line.width() + 2));
        match lines.last_mut() {
            Some(line) if part.width() <= room => *line = format!("{line}; {part}"),
            _ => lines.push(part.to_owned()),
        }
    }
    let rest = lines.split_off(lines.len().min(LINES - 1));
    if !rest.is_empty() {
        lines.push(rest.join("; "));
    }
    lines.iter().map(|line| cut(line, width)).collect()
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

/// A command without the variables that it sets first: a line may have no room for what comes after them.
fn program_first(command: &str) -> &str {
    let mut rest = command;
    while let Some((word, after)) = rest.split_once(' ')
        && let Some((name, value)) = word.split_once('=')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !value.contains(['"', '\'', '$', '`', '\\', '('])
    {
        rest = after.trim_start();
    }
    if rest.is_empty() { command } else { rest }
}

/// The time of a command as text: its causes, its parallelism, its programs.
fn spent(row: &CommandRow, processors: u32) -> String {
    if row.processes == 0 && !row.activities.is_empty() {
        let done = row.activities.iter().take(3).map(|done| format!("{} {}", done.activity.name(), done.time));
        return done.collect::<Vec<_>>().join(", ");
    }
    let share = |part: Nanos| if row.wall == Nanos::ZERO { 0.0 } else { part.as_secs_f64() / row.wall.as_secs_f64() };
    let mut parts: Vec<(Nanos, &str)> = vec![(row.spent.runnable, "waiting for a processor")];
    parts.extend(Cause::ALL.map(|cause| (row.spent.blocked[cause], name(cause))));
    parts.push((row.spent.processor, "on a processor"));
    parts.retain(|(part, _)| share(*part) >= NAMED);
    parts.sort_by_key(|(part, _)| std::cmp::Reverse(*part));
    let done = phases(row);
    let mut words: Vec<String> = done.iter().cloned().collect();
    words.extend(parts.iter().take(3).map(|(part, name)| format!("{} {name}", percent(*part, row.wall))));
    // The processes of a background job run while other commands have the wall time.
    if row.processors() >= 1.15 && row.processors() <= f64::from(processors) {
        words.push(format!("{:.1} of {processors} processors", row.processors()));
    }
    if done.is_some() {
        return words.join("; ");
    }
    let programs = row.programs.iter().filter(|program| program.count > 1 || row.programs.len() > 1);
    let programs: Vec<_> = programs.take(2).map(|program| format!("{} ×{}", program.program, program.count)).collect();
    if !programs.is_empty() {
        words.push(programs.join(", "));
    }
    words.join("; ")
}

/// The phases of a command, the longest first: `compile 12.1 s ×84, link 210 ms`. `None` if no known tool did anything.
fn phases(row: &CommandRow) -> Option<String> {
    let mut done: Vec<_> =
        row.activities.iter().filter(|done| done.activity != Activity::Plan && done.wall > Nanos::ZERO).collect();
    done.sort_by_key(|done| std::cmp::Reverse(done.wall));
    let words = done.iter().take(3).map(|done| match done.count {
        0 | 1 => format!("{} {}", done.activity.name(), done.wall),
        count => format!("{} {} ×{count}", done.activity.name(), done.wall),
    });
    let words: Vec<_> = words.collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// A cause in words.
pub(super) fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Disk => "disk",
        Cause::Network => "network",
        Cause::Child => "child",
        Cause::Lock => "lock or pipe",
        Cause::Sleep => "sleep",
        Cause::Unknown => "unknown wait",
    }
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
    fn what_a_command_waited_for_is_on_a_line_of_its_own_where_the_first_is_full() {
        let text = "unpack 44.2 s, download 12.1 s; 77 % waiting for a processor; 1.9 of 2 processors";
        assert_eq!(lines(text, 100), [text]);
        let two = ["unpack 44.2 s, download 12.1 s", "77 % waiting for a processor; 1.9 of 2 processors"];
        // The first two parts have 30 and 28 columns.
        assert_eq!(
            lines(text, 60),
            ["unpack 44.2 s, download 12.1 s; 77 % waiting for a processor", "1.9 of 2 processors"]
        );
        assert_eq!(lines(text, 59), two);
        assert_eq!(lines(text, 40), [two[0], "77 % waiting for a processor; 1.9 of 2 …"]);
        assert_eq!(lines("", 40), [""]);
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
