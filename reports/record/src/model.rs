//! The record's types (docs/design/record.md). Times are nanoseconds since the build's start.

use crate::{ByteSize, CacheState, DiffId, DriverName, Nanos, Phase, Policy, StageId, StepId, StepKey, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this crate writes.
///
/// Fields may be added under one version (readers ignore what they do not know); a field that
/// changes its meaning or goes away raises it.
pub const SCHEMA: u32 = 1;

/// One build, as it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The format's version: [`SCHEMA`].
    pub schema: u32,
    /// Who observed the build and what it could see.
    pub source: Source,
    /// Where it ran.
    pub host: Host,
    /// How it was asked to run.
    pub options: Options,
    /// When it began, RFC 3339, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// How long it took from the first to the last observed instant.
    pub wall: Nanos,
    /// CPU time of the whole build, the builder's own included, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// In the order of the Dockerfile; indexed by [`StageId`].
    pub stages: Vec<Stage>,
    /// In the order of the Dockerfile; indexed by [`StepId`].
    pub steps: Vec<Step>,
    /// Who needs whom.
    pub edges: Vec<Edge>,
    /// Who did what when.
    pub spans: Vec<Span>,
    /// Who waited for what when.
    pub waits: Vec<Wait>,
    /// Values over time.
    pub counters: Vec<Counter>,
    /// What the build context held, or what steps took of it, by top-level entry; empty where nobody looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<ContextEntry>,
}

/// A top-level file or directory of the build context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextEntry {
    /// Its path in the context.
    pub path: String,
    /// Files in it, itself included where it is one.
    pub files: u64,
    /// Their bytes.
    pub bytes: ByteSize,
    /// Whether a step of the build took something from it.
    pub used: bool,
}

/// The observer of a build and the limits of its sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// `buildscope`, `buildkit`, `docker-classic`, `buildah`, `kaniko`, `otlp`, or another name.
    pub tool: Tool,
    /// Its version, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What this record can know.
    pub fidelity: Fidelity,
}

/// What a record can know; every explanation names what it could not compute for want of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fidelity {
    /// Steps have real start times (else they are inferred from the end of what came before).
    pub starts: bool,
    /// Edges are those of the build (else they are guessed from the order).
    pub edges: bool,
    /// Spans have phases (else a step is one block).
    pub phases: bool,
    /// Waits were observed (else gaps are labelled as inferred).
    pub waits: bool,
    /// Steps carry resource accounts.
    pub resources: bool,
}

impl Record {
    /// A successful build of no steps and no length, for struct update syntax.
    pub fn of(source: Source) -> Self {
        Self {
            schema: SCHEMA,
            source,
            host: Host::default(),
            options: Options::default(),
            started: None,
            wall: Nanos::ZERO,
            cpu: None,
            succeeded: true,
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
    /// Everything, as our own builder records it.
    pub const FULL: Self = Self { starts: true, edges: true, phases: true, waits: true, resources: true };
}

/// The machine of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Usable processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Physical memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Kernel release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// File system under the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
    /// 1, 2, or `hybrid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
}

/// How a build was asked to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// `serial`, `stages` or `instructions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Slots; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
    /// The storage driver that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverName>,
    /// `native`, or the name of the OCI runtime's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// `cold` (`--no-cache`), `warm` (every step was found in it), `edit` (some were).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheState>,
    /// The Dockerfile's path as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The target stage's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// One `FROM` and what follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Its index.
    pub id: StageId,
    /// Its `AS` name, else its index as text.
    pub name: String,
    /// What its `FROM` names.
    pub base: String,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its index.
    pub id: StepId,
    /// Its stage; none for work of the build as a whole that a builder shows as a step (loading a context, exporting).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageId>,
    /// The keyword in upper case.
    pub instruction: String,
    /// The instruction as written, on one line.
    pub text: String,
    /// Where it stands in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRange>,
    /// What became of it.
    pub outcome: Outcome,
    /// When it had a slot and began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Nanos>,
    /// When its result was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Nanos>,
    /// The slot it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// Its cache key and, for an executed step, why it missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// The layer it made or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
    /// What its process used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The names of the exclusive locks that it held while it ran: a what-if keeps their holders apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// The last lines that its process wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// The exit code of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The error of a failed step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Step {
    /// A pruned step of no stage that nothing is known of, for struct update syntax.
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
            locks: Vec::new(),
            log: Vec::new(),
            exit_code: None,
            error: None,
        }
    }
}

/// A place in a Dockerfile; lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRange {
    /// First line.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It ran.
    Executed,
    /// Its result was in the cache.
    Cached,
    /// Another running build, or another step of this one, made the same result, which was waited for.
    Joined,
    /// Nothing needed it.
    Pruned,
    /// It ran and failed.
    Failed,
    /// Another step's failure stopped it, before or while it ran.
    Cancelled,
}

/// A step's place in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cache {
    /// The definition key.
    pub key: StepKey,
    /// What went into the key: name (`instruction`, `parent`, `arg:FOO`, `file:src/a.rs`) to digest or value digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Why nothing was found, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<String>,
    /// Why what was there once under this very key is there no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removal>,
}

/// Why a result was taken out of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Removal {
    /// Nothing used it for longer than such results are kept.
    Expired,
    /// To make room, or all were asked to be removed.
    Pruned,
}

/// A layer of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    /// Size of the uncompressed tar.
    pub bytes: ByteSize,
    /// Entries in it.
    pub files: u64,
    /// Digest of the uncompressed tar, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DiffId>,
}

/// What a step's processes used.
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
    /// Most memory at one time.
    pub peak_memory: ByteSize,
    /// Time in which some task waited for a CPU.
    pub cpu_pressure: Nanos,
    /// Time in which some task waited for I/O.
    pub io_pressure: Nanos,
    /// Time in which some task waited for memory.
    pub memory_pressure: Nanos,
    /// Page faults that needed no I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Processes started, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

/// One step needs another's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// The step that comes first.
    pub from: StepId,
    /// The step that waits for it.
    pub to: StepId,
    /// Why.
    pub kind: EdgeKind,
}

/// Why one step waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// It uses the other's result.
    Data,
    /// The policy wants that order.
    Order,
}

/// Identity of a span within its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SpanId(pub u64);

/// An interval in which something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Its identity.
    pub id: SpanId,
    /// The span around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// The step it belongs to; none for the build as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The slot it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// What kind of work.
    pub phase: Phase,
    /// What was worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it began.
    pub start: Nanos,
    /// When it ended.
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

    /// How long it was.
    pub fn duration(&self) -> Nanos {
        self.end.saturating_sub(self.start)
    }
}

/// An interval in which a step could not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// Who waited.
    pub step: StepId,
    /// For what kind of thing.
    pub kind: WaitKind,
    /// The step that was in the way, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<StepId>,
    /// The name of the lock or resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it began.
    pub start: Nanos,
    /// When it ended.
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
    /// Whether it waits for the outside world, not for another step.
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

/// A value over time; between samples the earlier one holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    /// `steps.active`, `steps.ready`, `steps.blocked`, `cpu.pressure`, ...
    pub name: String,
    /// The step it counts for; none for the whole build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// In the order of time.
    pub samples: Vec<Sample>,
}

/// A counter's value from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// From when.
    pub at: Nanos,
    /// The value.
    pub value: f64,
}
