//! The sources of a build: the build context, named contexts, files from the web, trees of git repositories.
//!
//! *Takes* a directory and its ignore patterns, or an address. *Gives* a tree of entries, scanned on demand, with
//! content digests that are cached between builds; a blob; a directory. *Must never know* which instruction reads the
//! source, and must never follow a link out of a directory.

mod compression;
mod content;
mod context;
mod download;
mod error;
mod file_list;
pub(crate) mod fuzzing;
mod git;
mod hash;
mod known_files;
mod name;
mod node;
mod scan;
mod stat;
mod stat_cache;
mod text;
mod tree;
mod unpack;

pub use content::ContentInfo;
pub use context::Context;
pub use download::{Download, download, file_name};
pub use error::SourceError;
pub use file_list::FileList;
pub use git::{Checkout, GitAddress, directory_within};
pub use node::{ContextNode, NodeKind};
pub use scan::IgnoreVerdict;
pub use stat::Identity;
pub use text::{read_bounded, read_text, read_text_within};
pub use tree::ScratchTree;

pub(crate) use compression::{DecoderMemory, decompressed, decompressed_within, lacks_memory};
pub(crate) use content::StoredAt;
pub(crate) use download::remembered;
pub(crate) use known_files::KnownFiles;
pub(crate) use stat_cache::Memory;
