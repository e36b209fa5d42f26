//! Finds the commands of the lines of a step's output.

use super::silent;
use crate::inside::Activity;
use crate::inside::shell::{Name, Unit};
use crate::inside::tools::{self, Order, Says, ToolLine};
use buildscope_record::{Nanos, OutputLine};

/// The meaning of a line: a command starts, or a tool does something.
pub(super) struct LineMark {
    pub(super) at: Nanos,
    pub(super) says: Option<Says>,
    /// The command that printed the line, or that starts.
    pub(super) unit: Option<usize>,
    /// Whether the command prints nothing after it.
    pub(super) is_last: bool,
    /// How long the activity lasted that has ended, if the line says so.
    pub(super) lasted: Option<Nanos>,
    /// When the tool began, by this line or a later one of the same command.
    pub(super) began: Option<Nanos>,
}

/// A command as the shell prints it before it runs it (`set -x`).
pub(in crate::inside) fn traced(text: &str) -> Option<&str> {
    text.strip_prefix("+ ").filter(|command| !command.trim().is_empty())
}

/// Returns the lines that show what runs. Commands run in the order of the text, so a line belongs to the first command, from the current
/// one on, that can have printed it.
pub(super) fn of_lines(
    units: &[Unit],
    text: &str,
    output: &[OutputLine],
    (start, end): (Nanos, Nanos),
) -> Vec<LineMark> {
    let mut finder = Finder { units, text, current: None, end: None };
    let mut marks = Vec::new();
    for printed in output {
        let at = printed.at.clamp(start, end);
        if let Some(command) = traced(&printed.text) {
            if let Some(unit) = finder.traced(command) {
                marks.push(LineMark { at, says: None, unit: Some(unit), is_last: false, lasted: None, began: None });
            }
            continue;
        }
        let Some(line) = tools::line(&printed.text) else { continue };
        let unit = finder.printed(&line);
        let began = line.took.map(|took| at.saturating_sub(took));
        let is_last = finder.end.is_some() && line.order != Order::Follows;
        marks.push(LineMark { at, says: Some(line.says), unit, is_last, lasted: line.lasted, began });
    }
    // The first line of a command knows what its later lines say.
    for next in (1..marks.len()).rev() {
        let (before, after) = marks.split_at_mut(next);
        let (line, later) = (&mut before[next - 1], &after[0]);
        if line.unit == later.unit
            && let Some(began) = later.began
            && began < line.began.unwrap_or(line.at)
        {
            line.began = Some(began);
        }
    }
    marks
}

/// Finds commands in the order of the text.
struct Finder<'a> {
    units: &'a [Unit],
    text: &'a str,
    current: Option<usize>,
    /// The line that the tool of the current command has printed at its end.
    end: Option<ToolLine>,
}

impl Finder<'_> {
    /// The command of a line of the shell's trace: the last one that has the most words in common with it.
    fn traced(&mut self, command: &str) -> Option<usize> {
        let same = |&unit: &usize| common_words(self.command(unit), command);
        let ahead = self.current.unwrap_or_default()..self.units.len();
        let found = ahead.rev().max_by_key(same).filter(|unit| same(unit) > 0)?;
        (self.current, self.end) = (Some(found), None);
        self.current
    }

    /// The command that printed a line.
    fn printed(&mut self, line: &ToolLine) -> Option<usize> {
        let prints = |unit: &usize| self.prints(*unit, line);
        let is_named = |unit: &usize| line.word.as_ref().is_some_and(|word| self.has(*unit, word));
        // A tool prints nothing after its last line, except for some lines.
        let is_new = self.end.as_ref().is_some_and(|end| match line.order {
            Order::Follows | Order::Each => false,
            Order::AfterLast => end.order == Order::AfterLast,
            Order::Any | Order::Last => true,
        });
        // Of the scripts that a package manager or Python runs, one that tests rather prints the line of a test.
        let is_of_script = line.word.is_some() || line.says.activity() == Activity::Test;
        let does = |unit: &usize| prints(unit) && silent::activity(&self.units[*unit]) == Some(line.says.activity());
        let found = |from: usize, by_any: bool| {
            let named = (from..self.units.len()).find(is_named);
            let script = || (from..self.units.len()).find(|unit| is_of_script && does(unit));
            let any = || (from..self.units.len()).find(|unit| by_any && prints(unit));
            named.or_else(script).or_else(any)
        };
        let current = self.current.unwrap_or_default();
        // One script may run a tool of the project's packages several times.
        let later = if is_new { found(current + 1, line.word.is_none()) } else { None };
        let next = later.or_else(|| found(current, true));
        let unit = next.or(self.current).or_else(|| self.opaque()).or_else(|| self.only());
        let repeats = unit.is_some_and(|unit| self.units[unit].repeats);
        let goes_on = unit == self.current;
        self.current = unit;
        self.end = match self.end.take().filter(|_| goes_on) {
            _ if repeats => None,
            _ if line.order.is_end() => Some(line.clone()),
            before => before,
        };
        unit
    }

    fn command(&self, unit: usize) -> &str {
        &self.text[self.units[unit].span.clone()]
    }

    /// Whether a command may have printed a line.
    fn prints(&self, unit: usize, line: &ToolLine) -> bool {
        let is = |name: &&str| {
            let mut words = name.split(' ');
            words.next().is_some_and(|program| starts(&self.units[unit], program))
                && words.all(|word| self.has(unit, word))
        };
        let is_left_out = || line.unless.split(' ').any(|word| self.has(unit, word));
        line.names.iter().any(is) && !is_left_out() && !(line.is_of_package() && silent::installs(&self.units[unit]))
    }

    /// Whether a command has a word, which may be the end of a path.
    fn has(&self, unit: usize, word: &str) -> bool {
        let is = |one: &str| one.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with('/'));
        !word.is_empty() && self.command(unit).split_whitespace().any(is)
    }

    /// The first command that may run any tool.
    fn opaque(&self) -> Option<usize> {
        let is = |unit: &Unit| unit.names.iter().any(|name| matches!(name, Name::Any | Name::Given(_)));
        self.units.iter().position(is)
    }

    /// The only command that starts programs.
    fn only(&self) -> Option<usize> {
        let mut able = (0..self.units.len()).filter(|&unit| !self.units[unit].is_builtin());
        able.next().filter(|_| able.next().is_none())
    }
}

/// Whether a command starts a program of that name, or a version of it (`python3`, `python3.11`).
fn starts(unit: &Unit, name: &str) -> bool {
    let is = |one: &Name| match one {
        Name::Is(program) => program
            .name
            .strip_prefix(name)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphabetic() || next == '-')),
        Name::Subshell(_) | Name::Any | Name::Given(_) => false,
    };
    let within = |one: &Name| matches!(one, Name::Subshell(names) if names.iter().any(is));
    unit.names.iter().any(|one| is(one) || within(one))
}

/// The number of words at the start that a trace line of the shell has in common with the text of a command.
fn common_words(text: &str, traced: &str) -> usize {
    let plain = |word: &str| word.trim_matches(['\'', '"']).to_owned();
    let pairs = text.split_whitespace().zip(traced.split_whitespace());
    pairs.take_while(|(one, other)| plain(one) == plain(other)).count()
}
