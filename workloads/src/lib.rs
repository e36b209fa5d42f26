//! The corpus: builds that stand for real problems, each with its reason and its expected result.
//!
//! *Takes* a folder of workloads (`corpus/<name>/`). *Gives* manifests, build contexts made from
//! them (the same bytes from the same manifest, for ever), and edits that move a context on.
//! *Must never know* how a workload is built or measured.

#![forbid(unsafe_code)]

mod corpus;
mod edit;
mod error;
mod generate;
mod manifest;

pub use corpus::{Corpus, Workload};
pub use edit::{Change, Edit};
pub use error::WorkloadError;
pub use generate::Generate;
pub use manifest::{Category, Expect, ExpectedFile, ExpectedImage, Manifest, Scenario};
