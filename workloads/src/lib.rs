//! The corpus: builds that represent real problems, each with its reason and its expected result.
//!
//! *Takes* a folder of workloads (`corpus/<name>/`). *Gives* manifests, build contexts made from them (always the same bytes from the
//! same manifest), and edits that change a context. *Must never know* how a workload is built or measured.
//!
//! # Start here
//!
//! ```
//! use buildscope_workloads::Corpus;
//!
//! let corpus = Corpus::open(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))?;
//! let workload = corpus.load("diamond")?;
//! println!("{}: {}", workload.name, workload.manifest.why);
//!
//! let folder = tempfile::tempdir()?;
//! workload.materialise(folder.path())?;
//! assert!(folder.path().join("Dockerfile").is_file());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! How to add a workload: CONTRIBUTING.md.

#![forbid(unsafe_code)]

mod corpus;
mod edit;
mod error;
mod generate;
mod manifest;

pub use corpus::{Corpus, Workload};
pub use edit::{Edit, FileChange};
pub use error::WorkloadError;
pub use generate::Generate;
pub use manifest::{Bake, Category, Expect, ExpectedFile, ExpectedImage, Manifest, Scenario};
