//! The inside of a step: its processes, with their time by state. Part of the record since version 2.

use crate::{ByteSize, Nanos};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The inside of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Processes {
    /// The method of observation.
    pub observed: Observed,
    /// Where `/proc` was sampled, how far the start, the end and the processor time of a process may be off: the longest time between two
    /// readings, and a tick of the clock.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub resolution: Nanos,
    /// The start of the step's program.
    pub start: Nanos,
    /// The end of the step's program.
    pub end: Nanos,
    /// The program that the builder started, with its arguments; empty if only the instruction's text is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The text that the step's shell read, where it is not the last word of `command`: a heredoc that begins with `#!`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The places of the pieces of the shell's text in the Dockerfile, in the order of the text. Empty if unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<Origin>,
    /// In the order in which they started; a process's `parent` and `replaces` are indices into this list.
    pub list: Vec<Process>,
    /// The names of functions in the stacks of processes; a name in brackets is a file or memory without symbols.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// Short processes that are kept as totals, because there were more than a record holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<Folded>,
    /// Events that the kernel dropped because they were not read in time: times near them may be wrong.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Sentences about what could not be observed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

impl Processes {
    /// A step without processes whose program ran in this time.
    pub fn of(observed: Observed, start: Nanos, end: Nanos) -> Self {
        Self {
            observed,
            resolution: Nanos::ZERO,
            start,
            end,
            command: Vec::new(),
            script: None,
            origins: Vec::new(),
            list: Vec::new(),
            functions: Vec::new(),
            folded: Vec::new(),
            lost: 0,
            unseen: Vec::new(),
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_empty(size: &ByteSize) -> bool {
    size.0 == 0
}

/// The place of a piece of a shell's text in the Dockerfile. After each newline within the piece, the text continues in the first column of
/// the next line of the Dockerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The first byte of the piece in the text.
    pub at: u32,
    /// The line in the Dockerfile, counted from 1.
    pub line: u32,
    /// The column in that line, in characters, counted from 1.
    pub column: u32,
}

/// Whether the program that executed another one is a container runtime: by its name, or because it has several threads and executed
/// the other in its own place, as runtimes written in Go do under any name. `threads` is `None` if it executed the other in a process
/// that it started.
pub fn is_container_runtime(program: &str, threads: Option<u32>) -> bool {
    // buildah executes copies of itself from memory.
    let name = program.strip_prefix("memfd:").unwrap_or(program);
    let known = ["runc", "crun", "youki", "conmon", "buildah", "podman"].iter().any(|known| name.starts_with(known));
    known || threads.is_some_and(|threads| threads > 1)
}

/// The method by which processes were observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// The kernel reported each start, exec, end and context switch (`perf_event_open`).
    Events,
    /// `/proc` was read at intervals: processes shorter than an interval are missing and times are rounded to it.
    Sampled,
    /// Only the step's output was seen: what happened when is inferred from it.
    Inferred,
}

/// One program that ran in one process. A process that executes another program is two of these: the second `replaces` the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// The process id as the observer saw it.
    pub pid: u32,
    /// The process that started it; `None` for the step's own program and for those whose start was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// The program that the same process ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u32>,
    /// The program's name without its directory. A process that executed nothing has its parent's.
    pub program: String,
    /// Whether it runs the code of its parent: a subshell, a worker.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forked: bool,
    /// Its arguments, the program's name first; shortened, with control characters escaped. Empty if it ended before they were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// The start.
    pub start: Nanos,
    /// The end.
    pub end: Nanos,
    /// Its exit code, or 128 plus the number of the signal, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Its time by state.
    #[serde(flatten)]
    pub time: ProcessTime,
    /// Threads that it had in all.
    pub threads: u32,
    /// Most memory at one time, where it lived long enough to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<ByteSize>,
    /// Bytes that it read from files, pipes and sockets, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ByteSize>,
    /// Bytes that it wrote to files, pipes and sockets, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<ByteSize>,
    /// The start of the first thread whose name says that it works on the tasks of a build (Gradle). Until then, the program started and
    /// planned them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Nanos>,
    /// Its states over time, for longer processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// The stacks of functions that it ran, by samples of its processor time; the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackSamples>,
}

/// A stack of functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StackSamples {
    /// The functions, the outermost first, as indices into [`Processes::functions`].
    pub frames: Vec<u32>,
    /// The number of samples with this stack.
    pub samples: u32,
}

/// The time of a process by state. The rest of its length after `runnable` and `blocked` is time on a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessTime {
    /// Time on a processor, summed over its threads.
    pub cpu: Nanos,
    /// Processor time in user mode, by the clock's ticks: exact only for many or for long processes. With `system`, zero where
    /// it is not known.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub user: Nanos,
    /// Processor time in the kernel, by the clock's ticks.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub system: Nanos,
    /// Time in which it could have run, but all processors were taken.
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    pub runnable: Nanos,
    /// Time in which all its threads waited, by what for.
    #[serde(default, skip_serializing_if = "Blocked::is_empty")]
    pub blocked: Blocked,
    /// The part of `blocked.disk` in which it waited until a file was written to the disk. `None` if unknown: nothing was seen waiting for a
    /// disk, or the record is older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<Synced>,
}

/// Waits in fsync(2) and fdatasync(2), by the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Synced {
    /// Files of dpkg's own database.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub database: Nanos,
    /// Other files.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub files: Nanos,
}

/// Time spent waiting, by what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Blocked {
    /// A disk or a file system.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub disk: Nanos,
    /// A network peer.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub network: Nanos,
    /// The end of a child.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub child: Nanos,
    /// A lock, a pipe or another process's message.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub lock: Nanos,
    /// The passing of time.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub sleep: Nanos,
    /// Not known: too short to be looked at, or hidden.
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pub unknown: Nanos,
}

/// The cause of a process's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// A disk or a file system.
    Disk,
    /// A network peer.
    Network,
    /// The end of a child.
    Child,
    /// A lock, a pipe or another process's message.
    Lock,
    /// The passing of time.
    Sleep,
    /// Not known.
    Unknown,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 6] = [Self::Disk, Self::Network, Self::Child, Self::Lock, Self::Sleep, Self::Unknown];
}

impl std::ops::Index<Cause> for Blocked {
    type Output = Nanos;
    fn index(&self, cause: Cause) -> &Nanos {
        match cause {
            Cause::Disk => &self.disk,
            Cause::Network => &self.network,
            Cause::Child => &self.child,
            Cause::Lock => &self.lock,
            Cause::Sleep => &self.sleep,
            Cause::Unknown => &self.unknown,
        }
    }
}

impl std::ops::IndexMut<Cause> for Blocked {
    fn index_mut(&mut self, cause: Cause) -> &mut Nanos {
        match cause {
            Cause::Disk => &mut self.disk,
            Cause::Network => &mut self.network,
            Cause::Child => &mut self.child,
            Cause::Lock => &mut self.lock,
            Cause::Sleep => &mut self.sleep,
            Cause::Unknown => &mut self.unknown,
        }
    }
}

impl Blocked {
    /// Whether nothing was waited for.
    pub fn is_empty(&self) -> bool {
        self.total() == Nanos::ZERO
    }

    /// The sum over all causes.
    pub fn total(&self) -> Nanos {
        Cause::ALL.iter().fold(Nanos::ZERO, |sum, &cause| sum + self[cause])
    }
}

impl Synced {
    /// The same part of both, as `part` of `whole`. Nothing is a part of nothing.
    pub fn part(self, part: Nanos, whole: Nanos) -> Self {
        let of = |time: Nanos| {
            Nanos((u128::from(time.0) * u128::from(part.0)).checked_div(whole.0.into()).unwrap_or(0) as u64)
        };
        Self { database: of(self.database), files: of(self.files) }
    }

    /// What remains without a part.
    pub fn without(self, part: Self) -> Self {
        Self { database: self.database.saturating_sub(part.database), files: self.files.saturating_sub(part.files) }
    }
}

impl std::ops::AddAssign for Synced {
    fn add_assign(&mut self, other: Self) {
        self.database += other.database;
        self.files += other.files;
    }
}

impl std::ops::AddAssign for ProcessTime {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.user += other.user;
        self.system += other.system;
        self.runnable += other.runnable;
        for cause in Cause::ALL {
            self.blocked[cause] += other.blocked[cause];
        }
        if let Some(synced) = other.synced {
            *self.synced.get_or_insert_default() += synced;
        }
    }
}

impl Folded {
    /// The number of processes whose first program is among them.
    pub fn processes(&self) -> u64 {
        self.count.saturating_sub(self.replacing)
    }
}

impl Process {
    /// The length of the process.
    pub fn duration(&self) -> Nanos {
        self.end.saturating_sub(self.start)
    }

    /// The time in which at least one of its threads was on a processor.
    pub fn running(&self) -> Nanos {
        self.duration().saturating_sub(self.time.runnable).saturating_sub(self.time.blocked.total())
    }
}

/// Processes of one program and one parent that are kept as totals only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Folded {
    /// The process below which they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// The program's name.
    pub program: String,
    /// The number of times it ran.
    pub count: u64,
    /// How many of these replaced another program in the same process. The process counts where its first program does.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replacing: u64,
    /// The start of the first process.
    pub start: Nanos,
    /// The end of the last process.
    pub end: Nanos,
    /// The sum of their lengths.
    pub duration: Nanos,
    /// The number of processes that are known to have ended with an exit code other than 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Bytes that they read. Zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub read: ByteSize,
    /// Bytes that they wrote. Zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub written: ByteSize,
    /// The peak memory of the largest. Zero if unknown.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub peak_memory: ByteSize,
    /// The sum of where their time went.
    #[serde(flatten)]
    pub time: ProcessTime,
}

/// A line of a step's output that says what the step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputLine {
    /// The time at which it was printed.
    pub at: Nanos,
    /// Its text.
    pub text: String,
}

/// The states of a process in equal parts of its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// The length of a part.
    pub every: Nanos,
    /// A letter a part, what it did most: `c` on a processor, `r` runnable, `d` disk, `n` network, `w` child, `l` lock,
    /// `s` sleep, `u` not known.
    pub states: String,
}
