//! The harness: builds workloads over and over, and says what can be trusted of the times; and the
//! command line of the whole project.
//!
//! *Takes* the builder, the reports and the corpus. *Gives* the `buildscope` binary, runs with
//! their raw samples, comparisons, exports. Only [`export`] knows the formats of others; only
//! [`cli`] prints.

pub mod cli;
pub mod environment;
pub mod export;
pub mod gate;
pub mod history;
pub mod report;
pub mod run;
pub mod stats;
