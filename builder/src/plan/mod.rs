//! Instructions to graph.
//!
//! *Takes* parsed instructions, build arguments and the configurations of base images. *Gives* a
//! [`Plan`]: one graph of fully expanded steps, pruned to the target, with cache keys. *Must never
//! know* slots, drivers or processes, nor read a file.

mod arguments;
mod chain;
mod config;
mod copy;
pub mod draw;
mod environment;
mod fleet;
mod graph;
mod history;
mod instruction;
pub mod keys;
mod lower;
mod lowering;
mod multi_platform;
mod request;
mod run;
mod scope;
mod signal;
mod sources;
mod stages;
#[cfg(test)]
mod tests;
mod trie;
mod words;

pub use arguments::{SOURCE_DATE_EPOCH, source_date_epoch};
pub use config::Config;
pub use copy::{is_git, is_url};
pub use environment::{Environment, Variable};
pub use fleet::{End, Fleet};
pub use graph::*;
pub use history::{CreatedBy, quote};
pub use lower::{diagnose, lower, stop};
pub use request::{AssumeImages, ImageResolver, LowerRequest, NamedContext, ResolveError, ResolvedBase, SharedInputs};
pub(crate) use run::CACHE_MODE;

/// The error of lowering: every independent error of the file, with its position.
pub type PlanError = buildscope_dockerfile::Diagnostics;
