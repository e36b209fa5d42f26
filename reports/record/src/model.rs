//! The record's types (docs/design/record.md). Times are nanoseconds since the build's start.

use crate::{
    Admission, ByteSize, CacheState, Counter, DriverName, Edge, Nanos, Policy, Span, StageId, Step, Target, Tool, Wait,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// The start of the build, in RFC 3339; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// The time from the first to the last observed instant.
    pub wall: Nanos,
    /// The CPU time of the whole build, including the builder itself; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// The use of the machine by other programs during the build; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<MachineLoad>,
    /// Whether the build succeeded.
    pub succeeded: bool,
    /// Whether the record ends before the build did: the job was cancelled, or the log was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// Warnings of the builder; of a log, notes of the importer: parts that it could not read as they were, and other builds in the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The stages in the order of the Dockerfile, indexed by [`StageId`].
    pub stages: Vec<Stage>,
    /// The steps in the order of the Dockerfile, indexed by `StepId`.
    pub steps: Vec<Step>,
    /// The edges: which step waits for which.
    pub edges: Vec<Edge>,
    /// The targets, if several were built in one graph; empty for a build of one Dockerfile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// The intervals of work.
    pub spans: Vec<Span>,
    /// The waits of steps.
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
    /// The facts that this record can contain.
    pub fidelity: Fidelity,
}

/// The facts that a record can contain. An explanation names the results that it could not compute without them.
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
            targets: Vec::new(),
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

/// The use of the machine by other programs during a build.
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
    /// The condition for a ready step to start: `memory` or `slots`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// The storage driver that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverName>,
    /// The executor: `native`, or the program name of the OCI runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// The servers that RUN steps could be sent to (`--remote`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote: Vec<String>,
    /// The results that the build found in the cache: `cold` (`--no-cache`), `warm` (every step) or `edit` (some steps).
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
