//! Inside a step: where the seconds of a RUN went.
//!
//! *Takes* a step's text and its observed processes. *Gives* a row for each command of the text; the rows' times sum to the step's exactly.
//! *Must never know* how processes are observed.
//!
//! [`shell`] splits the text into commands, [`mod@assign`] assigns processes to commands, [`share`] divides the time among the commands
//! ([`gap`]: the time of the shell itself, by its activity in its [`activity`]), [`own_time`] divides the shell's own resources, [`saving`] knows
//! what a step saves without some of its commands, [`cuts`] when, [`rows`] makes the rows, [`inferred`] makes them from the step's output alone, [`within`] divides a command further, [`sum`] adds up processes,
//! [`tools`] knows what programs do, and [`phases`] divides a program with several activities by the lines that it printed ([`telling`], [`doing`]).

mod activity;
pub(crate) mod advice;
mod applets;
mod assign;
mod attach;
mod cuts;
mod doing;
mod folded;
mod gap;
mod inferred;
mod own_time;
mod owner;
mod phases;
mod place;
mod rows;
mod saving;
mod share;
mod shell;
mod shown;
mod sum;
mod telling;
mod text;
mod tools;
mod totals;
mod tree;
mod unseen;
mod within;

pub use attach::{ScriptText, Taken, attach, ran};
pub(crate) use cuts::{Cut, command_cuts};
pub use folded::folded_stacks;
pub(crate) use folded::stacks;
pub use place::SourcePlace;
pub use shown::shows;
pub use telling::TellingLines;
pub use tools::Activity;
pub(crate) use unseen::{folded as folded_count, total_name, unseen};

use buildscope_record::{Blocked, ByteSize, Nanos, Observed, Step, Synced};
use saving::Savings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Functions for the fuzz targets in `fuzz/`. They are not part of the interface.
#[doc(hidden)]
pub mod fuzzing {
    use super::shell;
    use std::ops::Range;

    /// The ranges of the commands of a shell's text, in bytes.
    pub fn commands(text: &str) -> Vec<Range<usize>> {
        shell::units(text).into_iter().map(|unit| unit.span).collect()
    }
}

/// The inside of a step: its time by command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inside {
    /// The method of observation.
    pub observed: Observed,
    /// How far the times may be off where the processes were sampled.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub resolution: Nanos,
    /// The time of the step's process, which is the sum of the rows.
    pub wall: Nanos,
    /// The rows in the order of the text. Time that belongs to no command comes last.
    pub rows: Vec<CommandRow>,
    /// The number of processes.
    pub processes: u64,
    /// Sentences about what could not be observed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
    /// The times of its commands, and what these save where background jobs run.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) savings: Savings,
}

/// A command of a step, or time that belongs to no command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRow {
    /// The kind of row.
    pub kind: RowKind,
    /// The text of the command, on one line.
    pub text: String,
    /// The range of the command in the text that the shell got, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(usize, usize)>,
    /// The place of the command in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePlace>,
    /// The command's share of the step's time. Each instant belongs to the running command that started last.
    pub wall: Nanos,
    /// The time by which the build would have ended earlier if the command took no time.
    pub drag: Nanos,
    /// The processor time of all processes of the command.
    pub cpu: Nanos,
    /// The part of `cpu` in user mode, by the ticks of the clock. This and `system` are zero if unknown.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub user: Nanos,
    /// The part of `cpu` in the kernel.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub system: Nanos,
    /// The bytes that the processes read; zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub read: ByteSize,
    /// The bytes that the processes wrote; zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub written: ByteSize,
    /// The peak memory of the largest process, in bytes; zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub peak_memory: ByteSize,
    /// The exit code of the last process, or 128 plus the number of the signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// `wall` divided by what the processes did, in proportion to their own times.
    pub spent: Spent,
    /// The number of processes that the command started.
    pub processes: u64,
    /// The programs with the most time, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramRow>,
    /// The activities of known tools, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<ActivityRow>,
    /// The commands or processes within this one, if they are known. Their `wall` sums to this row's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<CommandRow>,
}

fn is_empty(size: &ByteSize) -> bool {
    size.0 == 0
}

impl CommandRow {
    /// A row of zero length without processes, for struct update syntax.
    pub(crate) fn of(kind: RowKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            place: None,
            source: None,
            wall: Nanos::ZERO,
            drag: Nanos::ZERO,
            cpu: Nanos::ZERO,
            user: Nanos::ZERO,
            system: Nanos::ZERO,
            read: ByteSize(0),
            written: ByteSize(0),
            peak_memory: ByteSize(0),
            exit: None,
            spent: Spent::default(),
            processes: 0,
            programs: Vec::new(),
            activities: Vec::new(),
            inner: Vec::new(),
        }
    }

    /// The number of processors that the command used on average.
    pub fn processors(&self) -> f64 {
        if self.wall == Nanos::ZERO { 0.0 } else { self.cpu.as_secs_f64() / self.wall.as_secs_f64() }
    }
}

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// A command of the text.
    Command,
    /// A process that a command of the text started, or several of one program.
    Process,
    /// The shell or program itself, between the commands that it starts.
    Shell,
    /// Time before the start of the step's program, after its end, or without an observation.
    Unattributed,
}

/// The time of a command, by what it was spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// On a processor.
    pub processor: Nanos,
    /// Waiting for a processor.
    pub runnable: Nanos,
    /// Waiting for something else. Waits for children count as what the children did.
    pub blocked: Blocked,
}

/// The cost of the processes of one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramRow {
    /// The name of the program.
    pub program: String,
    /// The number of processes.
    pub count: u64,
    /// The sum of the processes' own times, without waits for children.
    pub time: Nanos,
    /// The processor time of the processes.
    pub cpu: Nanos,
    /// The part of the row's wait for a disk in which they synced files. `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<Synced>,
}

/// An activity of known tools, with its cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityRow {
    /// What the tools did.
    pub activity: Activity,
    /// The number of processes with this activity. A compiler and its assembler count as one.
    pub count: u64,
    /// The time in which at least one of them had it, at most that of the row: where other rows have a share of the same time, this row's
    /// share of it.
    #[serde(default)]
    pub wall: Nanos,
    /// The sum of the processes' own times, without waits for children and for the network.
    pub time: Nanos,
    /// The sum of the waits for the network.
    pub network: Nanos,
    /// The processor time of the processes.
    pub cpu: Nanos,
}

/// Returns the inside of a step with this drag; `None` if neither processes nor lines of known tools are in the record.
pub fn inside(step: &Step, drag: Nanos) -> Option<Inside> {
    let mut inside = match &step.processes {
        Some(seen) => rows::of_step(step, seen),
        None => inferred::of_output(step)?,
    };
    let drags: Vec<Nanos> = inside.rows.iter().map(|row| inside.drag(row).min(drag)).collect();
    for (row, drag) in inside.rows.iter_mut().zip(drags) {
        row.drag = drag;
        limit_drag(&mut row.inner, drag);
    }
    Some(inside)
}

impl Inside {
    /// The time by which the step is shorter if the command of one of its rows takes no time.
    fn drag(&self, row: &CommandRow) -> Nanos {
        if !self.savings.has_jobs() {
            return row.wall;
        }
        self.saved(|other| f64::from(u8::from(std::ptr::eq(other, row)))).min(row.wall)
    }

    /// Limits the drags of commands that are longer than `least` to what `drag` returns for what the step loses without them. `process` is the
    /// time of the step's process.
    pub(crate) fn limit_drags(
        &mut self,
        least: Nanos,
        process: (Nanos, Nanos),
        mut drag: impl FnMut(&[Cut]) -> Option<Nanos>,
    ) {
        for number in 0..self.rows.len() {
            let row = &self.rows[number];
            if row.kind != RowKind::Command || row.drag <= least {
                continue;
            }
            let all = CommandShare { time: 1.0, cpu: 1.0 };
            let gone = |other: &CommandRow| if std::ptr::eq(other, row) { all } else { CommandShare::default() };
            let limit = drag(&self.cuts(gone, process));
            let row = &mut self.rows[number];
            if let Some(limit) = limit.filter(|limit| *limit < row.drag) {
                row.drag = limit;
                limit_drag(&mut row.inner, limit);
            }
        }
    }
}

/// Limits the drags of rows: a step that is shorter by less than its drag ends the build that much sooner.
fn limit_drag(rows: &mut [CommandRow], drag: Nanos) {
    for row in rows {
        row.drag = row.wall.min(drag);
        limit_drag(&mut row.inner, drag);
    }
}

/// Whether commands of a step that start with these words took time, also within subshells, loops and pipelines.
pub(crate) fn has_command(step: &Step, words: &str) -> bool {
    let words = text::command_line(words);
    inside(step, Nanos::ZERO).is_some_and(|inside| sum_of(&inside.rows, &words, |row| row.wall) > Nanos::ZERO)
}

/// What a step loses without some of its commands: shares of the whole, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CommandShare {
    /// The share of its time. It is negative where the step waits longer.
    pub(crate) time: f64,
    /// The share of its processor time.
    pub(crate) cpu: f64,
}

impl CommandShare {
    /// What remains.
    pub(crate) fn rest(self) -> Self {
        Self { time: (1.0 - self.time).max(0.0), cpu: (1.0 - self.cpu).max(0.0) }
    }
}

/// A part divided by its whole, from 0 to 1; 0 for a whole of 0.
fn ratio(part: Nanos, whole: Nanos) -> f64 {
    if whole == Nanos::ZERO { 0.0 } else { (part.as_secs_f64() / whole.as_secs_f64()).min(1.0) }
}

/// The rows of single commands: a row of several commands begins like the first of them.
fn single(rows: &[CommandRow]) -> impl Iterator<Item = &CommandRow> {
    let is_of_several = |row: &&CommandRow| {
        let has = |other: &CommandRow| {
            let (Some((start, end)), Some((from, to))) = (row.place, other.place) else { return false };
            start <= from && to <= end && row.place != other.place
        };
        // From a log alone, silent commands may have only a row of all of them.
        rows.iter().any(has) || row.processes == 0 && shell::units(&row.text).len() > 1
    };
    rows.iter().filter(move |row| row.kind == RowKind::Command && !is_of_several(row))
}

/// Whether a row is a command that starts with these words. The only command of a loop or a subshell has no row of its own.
fn is_command(row: &CommandRow, words: &str) -> bool {
    let is_only = || {
        let may_be = row.text.contains(words) && sum_of(&row.inner, words, |row| row.wall) == Nanos::ZERO;
        may_be && shell::only_commands(&row.text).iter().any(|command| starts_with(command, words))
    };
    starts_with(&row.text, words) || is_only()
}

/// The sum of a time of the commands that start with these words.
fn sum_of(rows: &[CommandRow], words: &str, time: fn(&CommandRow) -> Nanos) -> Nanos {
    single(rows).map(|row| if is_command(row, words) { time(row) } else { sum_of(&row.inner, words, time) }).sum()
}

/// Whether a command starts with these words: `sleep 2` is not the start of `sleep 2.5`.
fn starts_with(command: &str, words: &str) -> bool {
    let ends = |rest: &str| rest.chars().next().is_none_or(|next| next.is_whitespace() || ";&|<>()".contains(next));
    command.strip_prefix(words).is_some_and(ends)
}

#[cfg(test)]
mod tests;
