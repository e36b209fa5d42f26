//! A run as data: cases, their samples, where they were measured.
//!
//! *Takes* `run.json`. *Gives* a [`Run`]. *Must never know* how samples are measured, judged or exported.

mod case;
mod error;
mod model;

pub use case::{Case, Subject};
pub use error::RunError;
pub use model::{Calls, CaseSamples, RUN_SCHEMA, Run, Sample};
