//! Events of a build: spans of work, waits, and measured quantities.

use crate::{Nanos, Phase, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The step that the span belongs to; `None` for the build as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The slot it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The kind of work.
    pub phase: Phase,
    /// The subject of the work: a path, a reference, a driver.
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
    /// The kind of wait.
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

/// The cause of a step's wait.
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
    /// The step that the value belongs to; `None` for the whole build.
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
