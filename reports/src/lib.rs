//! Records in, explanations out.
//!
//! *Takes* a [`Record`](buildscope_record::Record): of this builder, or read from another one's log. *Gives* an explanation: where the time
//! went, what held the finish back, how short the build could be, in several views. *Must never know* how a build is
//! done: everything is computed from the record, so that imported builds get the same answers.

#![forbid(unsafe_code)]

pub mod advise;
mod answer;
pub mod attribute;
pub mod compare;
mod explain;
mod graph;
pub mod import;
pub mod misses;
pub mod render;
pub mod synthetic;
pub mod whatif;

pub use explain::{Explanation, StepExplanation, VERSION, explain, explain_with, json_schema};
