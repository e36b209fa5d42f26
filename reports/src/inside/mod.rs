//! Inside a step: where the seconds of a RUN went.
//!
//! *Takes* a step's text and the processes that were seen inside it. *Gives* a row for each command of the text; the rows'
//! times sum to the step's exactly. *Must never know* how processes are observed.
//!
//! [`shell`] splits the text into commands, [`mod@assign`] says which process is whose, [`share`] divides the time among them
//! ([`gap`]: the time of the shell itself, by what it did in its [`lane`]), [`own`] divides what the shell used, [`rows`] puts that together, [`inferred`] does so from the step's output alone, [`within`] goes on inside of a command, [`sum`] adds up what processes did, and [`tools`] knows
//! what programs do.

pub(crate) mod advice;
mod assign;
mod attach;
mod folded;
mod gap;
mod inferred;
mod lane;
mod own;
mod place;
mod rows;
mod share;
mod shell;
mod sum;
mod text;
mod tools;
mod totals;
mod tree;
mod unseen;
mod within;

pub use attach::{ScriptText, attach};
pub use folded::folded_stacks;
pub(crate) use folded::stacks;
pub(crate) use inferred::is_mark;
pub use place::SourcePlace;
pub use tools::Activity;
pub(crate) use unseen::{folded as folded_count, total_name, unseen};

use buildscope_record::{Blocked, ByteSize, Nanos, Observed, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened inside a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inside {
    /// How it was observed.
    pub observed: Observed,
    /// How long the step's process took: the sum of the rows.
    pub wall: Nanos,
    /// In the order of the text; what belongs to no command comes last.
    pub rows: Vec<CommandRow>,
    /// How many processes there were.
    pub processes: u64,
    /// What could not be seen, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

/// A command of a step, or what belongs to none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRow {
    /// What it is.
    pub kind: RowKind,
    /// Its text, on one line.
    pub text: String,
    /// Its first byte and the byte after its last in the text that the shell was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(usize, usize)>,
    /// Where it is in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePlace>,
    /// Its share of the step's time. Each instant belongs to the command that was begun last of those that ran.
    pub wall: Nanos,
    /// How much sooner the build would have ended if it took no time.
    pub drag: Nanos,
    /// Processor time of all its processes.
    pub cpu: Nanos,
    /// The part of it in user mode, by the clock's ticks. Both this and `system` are zero if unknown.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub user: Nanos,
    /// The part of it in the kernel.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub system: Nanos,
    /// Bytes that its processes read. Zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub read: ByteSize,
    /// Bytes that its processes wrote. Zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub written: ByteSize,
    /// The peak memory of its largest process. Zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub peak_memory: ByteSize,
    /// How its last process ended: its exit code, or 128 and the number of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// What its processes did in that time, in proportion to their own times; it sums to `wall`.
    pub spent: Spent,
    /// How many processes it started.
    pub processes: u64,
    /// The programs that cost most, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramRow>,
    /// What known tools did, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<ActivityRow>,
    /// The commands or processes within it, where they can be told apart; their `wall` sums to this one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<CommandRow>,
}

fn is_empty(size: &ByteSize) -> bool {
    size.0 == 0
}

impl CommandRow {
    /// A row without processes and of no length, for struct update syntax.
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

    /// Processors that it used on average.
    pub fn processors(&self) -> f64 {
        if self.wall == Nanos::ZERO { 0.0 } else { self.cpu.as_secs_f64() / self.wall.as_secs_f64() }
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// A command of the text.
    Command,
    /// A process that a command of the text started, or several of one program.
    Process,
    /// The shell or program itself: what it does between the commands that it starts.
    Shell,
    /// Before the step's program began or after it ended, or what was not seen.
    Unattributed,
}

/// What the time of a command went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// On a processor.
    pub processor: Nanos,
    /// Waiting for a processor.
    pub runnable: Nanos,
    /// Waiting for something else. Waits for children are not in it: what the children did is.
    pub blocked: Blocked,
}

/// What the processes of one program cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramRow {
    /// Its name.
    pub program: String,
    /// How many there were.
    pub count: u64,
    /// Their own time, without waits for children, summed.
    pub time: Nanos,
    /// Their processor time.
    pub cpu: Nanos,
}

/// What processes of known tools did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityRow {
    /// What it is.
    pub activity: Activity,
    /// How many processes did it.
    pub count: u64,
    /// Their own time, without waits for children and for the network, summed.
    pub time: Nanos,
    /// Their waits for the network, summed.
    pub network: Nanos,
    /// Their processor time.
    pub cpu: Nanos,
}

/// The inside of a step that delayed the build's end by `drag`; `None` if neither processes nor a telling output were seen.
pub fn inside(step: &Step, drag: Nanos) -> Option<Inside> {
    let mut inside = match &step.processes {
        Some(seen) => rows::of_step(step, seen),
        None => inferred::of_output(step)?,
    };
    limit_drag(&mut inside.rows, drag);
    Some(inside)
}

/// A step that is shorter by less than its drag ends the build that much sooner.
fn limit_drag(rows: &mut [CommandRow], drag: Nanos) {
    for row in rows {
        row.drag = row.wall.min(drag);
        limit_drag(&mut row.inner, drag);
    }
}

/// The share of a step's process that the commands have whose text starts with these words, also within subshells, loops and pipelines.
pub(crate) fn command_share(step: &Step, words: &str) -> f64 {
    let Some(inside) = inside(step, Nanos::ZERO).filter(|inside| inside.wall > Nanos::ZERO) else { return 0.0 };
    wall_of(&inside.rows, &text::one_line(words)).as_secs_f64() / inside.wall.as_secs_f64()
}

/// The wall of the commands that start with these words.
fn wall_of(rows: &[CommandRow], words: &str) -> Nanos {
    let commands = rows.iter().filter(|row| row.kind == RowKind::Command);
    commands.map(|row| if starts_with(&row.text, words) { row.wall } else { wall_of(&row.inner, words) }).sum()
}

/// Whether a command starts with these words: `sleep 2` is not the beginning of `sleep 2.5`.
fn starts_with(command: &str, words: &str) -> bool {
    let ends = |rest: &str| rest.chars().next().is_none_or(|next| next.is_whitespace() || ";&|<>()".contains(next));
    command.strip_prefix(words).is_some_and(ends)
}

#[cfg(test)]
mod tests;
