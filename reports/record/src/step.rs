//! The steps of a record, and what is known of each.

use crate::{ByteSize, DiffId, Instruction, Nanos, Network, OutputLine, Processes, StageId, StepId, StepKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The index in the record.
    pub id: StepId,
    /// The stage; `None` for work of the build as a whole that a builder shows as a step (loading a context, exporting).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageId>,
    /// The keyword in upper case.
    pub instruction: Instruction,
    /// The instruction as written, on one line.
    pub text: String,
    /// The lines of the instruction in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRange>,
    /// The outcome of the step.
    pub outcome: Outcome,
    /// The time at which the step had its slot and started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Nanos>,
    /// The time at which the step's result was available.
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
    /// The base image of a FROM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseImage>,
    /// The resources that the step's processes used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The processes that were observed inside the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
    /// The network that the step's processes had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The machine that ran the step, if the build had other machines.
    #[serde(rename = "place", default, skip_serializing_if = "Option::is_none")]
    pub ran_on: Option<StepMachine>,
    /// Lines of the output that say what the step does, with their times.
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
    /// A pruned step without a stage and without any other facts, for struct update syntax.
    pub fn of(id: StepId, instruction: impl Into<Instruction>, text: impl Into<String>) -> Self {
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
            base: None,
            resources: None,
            processes: None,
            network: None,
            ran_on: None,
            output: Vec::new(),
            locks: Vec::new(),
            log: Vec::new(),
            exit_code: None,
            error: None,
        }
    }
}

/// The machine that ran a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepMachine {
    /// The other machine that ran it, as its server names it; `None` for the machine of the builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The reason why no other machine ran it, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_here: Option<String>,
    /// What went wrong on servers before it ran, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

impl StepMachine {
    /// Another machine.
    pub fn on(machine: impl Into<String>) -> Self {
        Self { machine: Some(machine.into()), ..Self::default() }
    }

    /// The machine of the builder, for this reason.
    pub fn here(why: impl Into<String>) -> Self {
        Self { why_here: Some(why.into()), ..Self::default() }
    }

    /// The same after these failures of servers.
    #[must_use]
    pub fn after(self, failures: Vec<String>) -> Self {
        Self { failures, ..self }
    }

    /// Whether it is another machine.
    pub fn is_away(&self) -> bool {
        self.machine.is_some()
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

/// The outcome of a step.
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
    /// The reason why an earlier result with this key was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removal>,
}

/// The reason why a result was removed from the cache.
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

/// The known facts about a base image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaseImage {
    /// The size of its uncompressed layers, as far as they were in the store when the steps had ended.
    pub bytes: ByteSize,
    /// The number of its layers.
    pub layers: u32,
    /// The bytes of its files that the processes of steps read, with what the kernel read ahead, if this build pulled it; `None` if
    /// unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ByteSize>,
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
    /// The reason of the wait.
    pub kind: EdgeKind,
}

/// The reason why one step waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// It uses the result of the other.
    Data,
    /// The Dockerfile requires that order, with `FROM --after`.
    After,
    /// The policy requires that order.
    Order,
}
