//! What comes in: the build context, named contexts.
//!
//! *Takes* a directory and its ignore patterns. *Gives* a tree of entries, scanned as far as
//! someone looks, with content digests that are remembered from build to build. *Must never know*
//! which instruction wants it, nor follow a link out of the directory.

mod context;
mod error;
mod hash;
mod node;
mod scan;
mod stat_cache;

pub use context::Context;
pub use error::SourceError;
pub use hash::Facts;
pub use node::{Node, NodeKind};
pub use scan::Verdict;
pub use stat_cache::Identity;

pub(crate) use stat_cache::Memory;
