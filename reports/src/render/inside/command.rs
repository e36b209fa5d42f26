//! A command as lines of a table: its time, its share of the step, its text, and what it spent the time on.

use super::super::style::{BOLD, DIM, Style};
use super::super::table::Cell;
use super::super::text::wrap;
use crate::inside::{Activity, CommandRow, RowKind};
use crate::wording::percent;
use buildscope_record::{Cause, Nanos};
use unicode_width::UnicodeWidthStr;

/// A cause that has less than this share of a command is not named.
const NAMED: f64 = 0.08;
/// A terminal of fewer columns has no room for what a command spent its time on in the line of its text.
const WIDE: usize = 72;

/// The rows of the table for a command.
pub(super) fn rows(row: &CommandRow, depth: usize, of: Nanos, processors: u32, style: Style) -> Vec<[Cell; 4]> {
    let text = if row.text.chars().count() > style.width / 3 { program_first(&row.text) } else { &row.text };
    let indent = "  ".repeat(depth);
    let text = Cell::from(format!("{indent}{text}"));
    let text = if row.kind == RowKind::Command { text.colour(BOLD) } else { text.colour(DIM) };
    let mut first = [Cell::from(format!("  {}", row.wall)), percent(row.wall, of).into(), text, Cell::default()];
    let spent = spent(row, processors);
    if style.width < WIDE {
        let below = lines(&spent, style.width.saturating_sub(26).max(16)).into_iter().filter(|line| !line.is_empty());
        let below =
            below.map(|line| [Cell::default(), Cell::default(), format!("{indent}  {line}").into(), Cell::default()]);
        return std::iter::once(first).chain(below).collect();
    }
    let mut said = lines(&spent, style.width / 2).into_iter();
    first[3] = said.next().unwrap_or_default().into();
    std::iter::once(first)
        .chain(said.map(|line| [Cell::default(), Cell::default(), Cell::default(), line.into()]))
        .collect()
}

/// The text on as many lines of this width as it needs. It is divided after semicolons and commas, and a part that is wider at blanks.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut mark = "";
    for part in text.split_inclusive("; ").flat_map(|part| part.split_inclusive(", ")).map(str::trim_end) {
        let bare = part.trim_end_matches([';', ',']);
        match lines.last_mut() {
            Some(line) if line.width() + mark.len() + 1 + bare.width() <= width => {
                *line = format!("{line}{mark} {bare}")
            }
            _ => lines.extend(wrap(bare, width)),
        }
        mark = &part[bare.len()..];
    }
    lines
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
fn name(cause: Cause) -> &'static str {
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
        let four = ["unpack 44.2 s", "download 12.1 s", "77 % waiting for a processor", "1.9 of 2 processors"];
        assert_eq!(lines(text, 28), four);
        assert_eq!(lines("77 % waiting for a processor", 20), ["77 % waiting for a", "processor"]);
        assert!(lines("", 40).is_empty());
    }
}
