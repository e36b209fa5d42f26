//! Records in, explanations out.
//!
//! *Takes* a [`Record`](buildscope_record::Record) of this builder, or one imported from another builder's log. *Gives* an
//! explanation: where the time went, what determined the end of the build, how short it could be, in several views. *Must never know*
//! how a build is done: everything is computed from the record, so that imported builds get the same answers.
//!
//! # Start here
//!
//! [`import::import`] reads a record or another builder's log, and [`explain()`] computes everything about it:
//!
//! ```
//! use buildscope_record::Nanos;
//! use buildscope_reports::{explain, import::import};
//!
//! let log = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/buildkit.rawjson"))?;
//! let record = import(&log)?;
//! let explanation = explain(&record);
//! println!("{}", explanation.answer);
//!
//! // Each instant of the build is in exactly one group of phases.
//! let groups: Nanos = explanation.accounts.groups.iter().map(|row| row.wall).sum();
//! assert_eq!(groups, record.wall);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! [`whatif`] predicts the effect of other resources, [`render`] writes text, HTML and timelines. Runnable programs are in `examples/`,
//! methods and reasons in docs/design/explanation.md.

#![forbid(unsafe_code)]

pub mod advise;
mod analysis;
mod answer;
pub mod attribute;
mod bases;
pub mod compare;
mod counterpart;
mod dialect;
mod explain;
pub mod fleet;
mod graph;
pub mod import;
mod index;
pub mod inside;
mod machines;
pub mod misses;
mod needless;
mod others;
pub mod render;
mod steps;
pub mod synthetic;
mod targets;
pub mod whatif;
mod wording;

pub use bases::PulledBase;
pub use explain::{Explanation, VERSION, explain, explain_in, explain_with, json_schema};
pub use machines::MachineSteps;
pub use others::Others;
pub use steps::StepExplanation;
pub use targets::{TargetExplanation, UnknownTarget, record_of};
