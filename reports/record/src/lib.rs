//! The build record: the data of one build.
//!
//! *Takes* spans, waits and counters from a running build (through [`Probe`], a thin layer over
//! `tracing`), or facts read from another builder's log. *Gives* a [`Record`]: versioned JSON that
//! every explanation is computed from. *Must never know* how a build is done or how a record is
//! explained: the builder and the reports both depend on this crate, never the reverse.
//!
//! # Start here
//!
//! [`Record::from_json`] reads a record and [`Record::write`] writes one. Code that is to be recorded gets a [`Probe`] and
//! opens a span for each phase:
//!
//! ```
//! use buildscope_record::{Collector, Phase, Recorder};
//! use std::time::Instant;
//!
//! tracing::subscriber::with_default(Recorder::default(), || {
//!     let collector = Collector::start(Instant::now());
//!     let span = collector.probe().phase(Phase::Parse);
//!     // The work of the phase.
//!     span.end();
//!     let trace = collector.finish();
//!     assert_eq!(trace.spans[0].phase, Phase::Parse);
//! });
//! ```
//!
//! The format and its reasons: docs/design/record.md.

#![forbid(unsafe_code)]

mod address;
mod collect;
mod control;
mod digest;
mod event;
mod file;
mod head;
mod instruction;
mod listen;
mod mean;
mod model;
mod names;
mod phase;
mod placement;
mod policy;
mod probe;
mod processes;
mod step;
mod strands;
mod target;
mod units;
mod weight;

pub use address::{redacted, redacted_in_place};
pub use collect::{Collector, Trace};
pub use control::{acts_on_view, escaped_json, neutralised_json};
pub use digest::{BlobDigest, ConfigDigest, DiffId, Digest, DigestError, LayerKey, ManifestDigest, StepKey};
pub use event::*;
pub use file::{Fault, RecordError, failure_outside_of_steps, json_schema};
pub use head::Head;
pub use instruction::Instruction;
pub use listen::{RecordLayer, Recorder};
pub use mean::Mean;
pub use model::*;
pub use names::{Admission, CacheState, DriverChoice, DriverName, Network, Tool, UnknownName};
pub use phase::{Group, Phase};
pub use placement::{Candidate, SMALL_LAYER, best_machine};
pub use policy::{Policy, topological};
pub use probe::{BuildId, Delay, Delayed, PhaseSpan, Probe, Quantity, WaitSpan};
pub use processes::{
    Blocked, Cause, Folded, Observed, Origin, OutputLine, Process, ProcessTime, Processes, StackSamples, Synced,
    Timeline, is_container_runtime,
};
pub use step::*;
pub use strands::{Partner, StrandStep, Strands};
pub use target::{Target, TargetOutcome};
pub use units::{ByteSize, Nanos, StageId, StepId};
pub use weight::{WeightError, weight};
