//! The benchmark harness: builds workloads repeatedly and reports how reliable the times are.
//!
//! *Takes* binaries to measure, the reports and the corpus. *Gives* runs with their raw samples, comparisons,
//! exports. Only [`export`] knows the formats of other tools. *Must never* print: that is the task of the command.
//!
//! # Start here
//!
//! [`run`] measures, [`stats`] compares, [`gate`] judges, [`report`] shows. The statistics need no builds:
//!
//! ```
//! use buildscope_bench::stats::{Verdict, compare};
//!
//! let before = [1.00, 1.02, 0.99, 1.01, 1.00, 1.03, 0.98].to_vec();
//! let after = before.iter().map(|seconds| seconds * 1.2).collect();
//! let [Some(comparison)] = &compare(&[(before, after)])[..] else { panic!("one pair gives one comparison") };
//! assert_eq!(comparison.verdict, Verdict::Slower);
//! assert!((comparison.ratio.point - 1.2).abs() < 1e-9);
//! ```
//!
//! Methods: METHODOLOGY.md. Reasons: docs/design/harness.md.

#![forbid(unsafe_code)]

pub mod environment;
pub mod export;
pub mod gate;
pub mod history;
#[cfg(all(feature = "build", target_os = "linux"))]
pub mod measure;
pub mod report;
pub mod run;
#[cfg(all(feature = "build", target_os = "linux"))]
pub mod sampling;
pub mod stats;
