//! The record's types (docs/design/record.md). Times are nanoseconds since the build's start.

use crate::{
    ByteSize, CacheState, DiffId, DriverName, Nanos, Network, OutputLine, Phase, Policy, Processes, StageId, StepId,
    StepKey, Tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this crate writes.
///
/// Fields may be added without a new version, because readers ignore unknown fields. A field that changes its meaning or is removed
/// raises the version, and so does a part that readers of an older version would miss. Version 2 added [`Step::processes`]. Records of
/// every earlier version are read.
pub const SCHEMA: u32 = 2;

/// One build, as it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The version of the format: [`SCHEMA`].
    pub schema: u32,
    /// The program that observed the build, and what its record can know.
    pub source: Source,
    /// The machine of the build.
    pub host: Host,
    /// The options of the build.
    pub options: Options,
    /// When the build started, RFC 3339; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// The time from the first to the last observed instant.
    pub wall: Nanos,
    /// The CPU time of the whole build, including the builder itself; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// What other programs did on the machine meanwhile; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<MachineLoad>,
    /// Whether the build succeeded.
    pub succeeded: bool,
    /// Whether the record ends before the build did: the job was cancelled, or the log was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// What the importer did with parts of a log that it could not take as they were, and which other builds the log has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The stages in the order of the Dockerfile, indexed by [`StageId`].
    pub stages: Vec<Stage>,
    /// The steps in the order of the Dockerfile, indexed by [`StepId`].
    pub steps: Vec<Step>,
    /// Which step waits for which.
    pub edges: Vec<Edge>,
    /// What was done, and when.
    pub spans: Vec<Span>,
    /// What steps waited for, and when.
    pub waits: Vec<Wait>,
    /// Measured values over time.
    pub counters: Vec<Counter>,
    /// The top-level entries of the build context, or of the part that steps used; empty if unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<ContextEntry>,
}

/// A top-level file or directory of the build context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextEntry {
    /// The path in the context.
    pub path: String,
    /// The number of files in it, or 1 for a file.
    pub files: u64,
    /// The total size of those files.
    pub bytes: ByteSize,
    /// Whether a step of the build used any of it.
    pub used: bool,
}

/// The program that observed a build, and what it could observe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The name of the program: `buildscope`, `buildkit`, `docker-classic`, `buildah`, `kaniko`, `otlp`, or another one.
    pub tool: Tool,
    /// The version of the program; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What this record can know.
    pub fidelity: Fidelity,
}

/// What a record can know. Every explanation names what it could not compute without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fidelity {
    /// Steps have real start times. Otherwise they are inferred from the end of what came before.
    pub starts: bool,
    /// Edges are those of the build. Otherwise they are guessed from the order.
    pub edges: bool,
    /// Spans have phases. Otherwise a step is one block.
    pub phases: bool,
    /// Waits were observed. Otherwise gaps are labelled as inferred.
    pub waits: bool,
    /// Steps have resource accounts.
    pub resources: bool,
}

impl Record {
    /// A successful build without steps and of zero length, for struct update syntax.
    pub fn of(source: Source) -> Self {
        Self {
            schema: SCHEMA,
            source,
            host: Host::default(),
            options: Options::default(),
            started: None,
            wall: Nanos::ZERO,
            cpu: None,
            load: None,
            succeeded: true,
            unfinished: false,
            notes: Vec::new(),
            stages: Vec::new(),
            steps: Vec::new(),
            edges: Vec::new(),
            spans: Vec::new(),
            waits: Vec::new(),
            counters: Vec::new(),
            context: Vec::new(),
        }
    }
}

impl Fidelity {
    /// Everything is known, as in the records of our own builder.
    pub const FULL: Self = Self { starts: true, edges: true, phases: true, waits: true, resources: true };
}

/// The machine of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// The number of usable processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// The physical memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// The kernel release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The file system of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
    /// The cgroup version: `1`, `2` or `hybrid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
}

impl Host {
    /// Returns the name of a file system from its magic number (statfs(2)). Unknown numbers are written in hexadecimal.
    #[must_use]
    pub fn filesystem_name(magic: u64) -> String {
        match magic & 0xffff_ffff {
            0xef53 => "ext4".into(),
            0x9123_683e => "btrfs".into(),
            0x5846_5342 => "xfs".into(),
            0x0102_1994 => "tmpfs".into(),
            0x794c_7630 => "overlay".into(),
            0x2fc1_2fc1 => "zfs".into(),
            0x6969 => "nfs".into(),
            other => format!("{other:#x}"),
        }
    }
}

/// What other programs did on the machine while a build ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineLoad {
    /// The CPU time of all processors that was not the build's own.
    pub others: Nanos,
    /// The number of processors of the whole machine.
    pub processors: u32,
    /// The time in which at least one task of the machine, of the build or of others, waited for a processor; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Nanos>,
}

/// The options of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// The policy: `serial`, `stages` or `instructions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The limit of slots; 0 means unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
    /// The storage driver that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverName>,
    /// The executor: `native`, or the program name of the OCI runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// What the build found in the cache: `cold` (`--no-cache`), `warm` (every step) or `edit` (some steps).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheState>,
    /// The stages whose results were not looked up (`--no-cache-filter`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_cache_stages: Vec<String>,
    /// The path of the Dockerfile as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The name of the target stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// A stage: one `FROM` and the instructions after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// The index in the record.
    pub id: StageId,
    /// The `AS` name, else the index as text.
    pub name: String,
    /// The image or stage that the `FROM` names.
    pub base: String,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The index in the record.
    pub id: StepId,
    /// The stage; none for work of the build as a whole that a builder shows as a step (loading a context, exporting).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageId>,
    /// The keyword in upper case.
    pub instruction: String,
    /// The instruction as written, on one line.
    pub text: String,
    /// The lines of the instruction in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRange>,
    /// What became of the step.
    pub outcome: Outcome,
    /// When the step had its slot and started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Nanos>,
    /// When the step's result was available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Nanos>,
    /// The slot it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The cache key and, for an executed step, the reason of the miss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// The layer that the step made or found in the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
    /// The resources that the step's processes used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The processes that were observed inside the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
    /// The network that the step's processes had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Lines of the output that say what the step does, with their times, where the processes were not observed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<OutputLine>,
    /// The names of the exclusive locks that the step held while it ran. In a what-if, two holders of one lock do not overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// The last lines of the process's output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// The exit code of the step's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The error of a failed step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Step {
    /// Whether the instruction is of a kind that adds a layer.
    pub fn adds_layer(&self) -> bool {
        matches!(self.instruction.as_str(), "RUN" | "COPY" | "ADD" | "WORKDIR")
    }

    /// A pruned step without a stage and without any other facts, for struct update syntax.
    pub fn of(id: StepId, instruction: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            id,
            stage: None,
            instruction: instruction.into(),
            text: text.into(),
            source: None,
            outcome: Outcome::Pruned,
            start: None,
            end: None,
            slot: None,
            cache: None,
            layer: None,
            resources: None,
            processes: None,
            network: None,
            output: Vec::new(),
            locks: Vec::new(),
            log: Vec::new(),
            exit_code: None,
            error: None,
        }
    }
}

/// Lines of a Dockerfile, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRange {
    /// The first line.
    pub line: u32,
    /// The last line.
    pub end_line: u32,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The step ran.
    Executed,
    /// Its result was in the cache.
    Cached,
    /// Another running build, or another step of this one, was making the same result, and the step waited for it.
    Joined,
    /// Nothing needed it.
    Pruned,
    /// The step ran and failed.
    Failed,
    /// Another step's failure stopped it, before or while it ran.
    Cancelled,
}

/// A step's cache key and what became of the lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cache {
    /// The definition key.
    pub key: StepKey,
    /// The inputs of the key by name (`instruction`, `parent`, `arg:FOO`, `file:src/a.rs`), each with its digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The reason of a miss, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<String>,
    /// Why an earlier result with this key was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removal>,
}

/// Why a result was removed from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Removal {
    /// It was not used for longer than results are kept.
    Expired,
    /// To free space, or because the user removed all results.
    Pruned,
}

/// A layer of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    /// The size of the uncompressed tar.
    pub bytes: ByteSize,
    /// The number of entries.
    pub files: u64,
    /// The digest of the uncompressed tar; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DiffId>,
}

/// The resources that a step's processes used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    /// CPU time in user mode.
    pub cpu_user: Nanos,
    /// CPU time in the kernel.
    pub cpu_system: Nanos,
    /// Bytes read from block devices.
    pub read: ByteSize,
    /// Bytes written to block devices.
    pub written: ByteSize,
    /// The peak memory.
    pub peak_memory: ByteSize,
    /// Time in which at least one task waited for a CPU.
    pub cpu_pressure: Nanos,
    /// Time in which at least one task waited for I/O.
    pub io_pressure: Nanos,
    /// Time in which at least one task waited for memory.
    pub memory_pressure: Nanos,
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults with I/O.
    pub major_faults: u64,
    /// The number of started processes; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

/// One step waits for the end of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// The step that comes first.
    pub from: StepId,
    /// The step that waits for it.
    pub to: StepId,
    /// Why it waits.
    pub kind: EdgeKind,
}

/// Why one step waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// It uses the result of the other.
    Data,
    /// The policy requires that order.
    Order,
}

/// The identity of a span within its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SpanId(pub u64);

/// An interval in which something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// The span's identity.
    pub id: SpanId,
    /// The enclosing span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// The step that the span belongs to; none for the build as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The slot it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The kind of work.
    pub phase: Phase,
    /// What was worked on: a path, a reference, a driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The start of the interval.
    pub start: Nanos,
    /// The end of the interval.
    pub end: Nanos,
    /// Quantities by name: `files_walked`, `bytes_hashed`, ...
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, u64>,
}

impl Span {
    /// An empty span of that phase at time zero, for struct update syntax.
    pub fn of(phase: Phase) -> Self {
        Self {
            id: SpanId(0),
            parent: None,
            step: None,
            slot: None,
            phase,
            name: None,
            start: Nanos::ZERO,
            end: Nanos::ZERO,
            fields: BTreeMap::new(),
        }
    }

    /// The length of the interval.
    pub fn duration(&self) -> Nanos {
        self.end.saturating_sub(self.start)
    }
}

/// An interval in which a step could not continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// The step that waited.
    pub step: StepId,
    /// What it waited for.
    pub kind: WaitKind,
    /// The step that it waited for, or that held the slot or lock; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<StepId>,
    /// The name of the lock or resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The start of the interval.
    pub start: Nanos,
    /// The end of the interval.
    pub end: Nanos,
}

/// What a step waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitKind {
    /// Another step's result.
    Dependency,
    /// A free slot.
    Slot,
    /// A lock that another step or build held.
    Lock,
    /// Its own process.
    Process,
    /// A disk.
    Disk,
    /// A network.
    Network,
}

impl WaitKind {
    /// Whether it is a wait for the outside world, not for another step.
    pub fn is_leaf(self) -> bool {
        matches!(self, Self::Process | Self::Disk | Self::Network)
    }

    pub(crate) fn from_span_name(name: &str) -> Option<Self> {
        match name {
            "wait.dependency" => Some(Self::Dependency),
            "wait.slot" => Some(Self::Slot),
            "wait.lock" => Some(Self::Lock),
            _ => None,
        }
    }
}

/// A value over time. It stays constant between samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    /// The name: `steps.active`, `steps.ready`, `steps.blocked`, `cpu.pressure`, ...
    pub name: String,
    /// The step that the value belongs to; none for the whole build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The samples in the order of time.
    pub samples: Vec<Sample>,
}

/// The value of a counter from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// The instant.
    pub at: Nanos,
    /// The value.
    pub value: f64,
}
