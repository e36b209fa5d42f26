//! A run as data: its cases, samples and environment.
//!
//! *Takes* `run.json`. *Gives* a [`Run`]. *Must never know* how samples are measured, judged or exported.

mod case;
mod error;
mod model;

pub use case::{Case, Subject};
pub use error::RunError;
pub use model::{Calls, CaseSamples, RUN_SCHEMA, Run, Sample};
