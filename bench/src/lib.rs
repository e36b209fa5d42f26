//! The harness: builds workloads over and over, and says what can be trusted of the times.
//!
//! *Takes* binaries to measure, the reports and the corpus. *Gives* runs with their raw samples, comparisons, exports.
//! Only [`export`] knows the formats of others. *Must never* print: that is the command's.

#![forbid(unsafe_code)]

pub mod environment;
pub mod export;
pub mod gate;
pub mod history;
#[cfg(all(feature = "build", target_os = "linux"))]
pub mod measure;
pub mod report;
pub mod run;
pub mod stats;
