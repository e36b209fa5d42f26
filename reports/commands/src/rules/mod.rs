//! Rewrites of a Dockerfile. A rewrite has edits only if the file builds the same image with them.

mod cache;
mod copies;
mod evidence;
mod facts;
mod manifests;
mod order;
mod owner;
mod parallel;
mod path_pattern;
mod project;
mod removals;
mod split;
mod usual;
mod wording;
mod yarn;

pub use cache::{CacheAdvice, missing_caches};
pub use facts::{Facts, Nothing};
pub use order::{Reorder, ReorderKind, late_installs, needs_nothing_before};
pub use owner::{Changer, RecursiveChange, recursive_changes};
pub use parallel::{NeedlessChain, needless_chains};
pub use split::{Split, merged, split_install};
pub use usual::UsualFiles;

/// A change of one instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The instruction, as its index in the file.
    pub step: usize,
    /// The change.
    pub change: InstructionChange,
}

/// A change of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstructionChange {
    /// Adds these flags after the keyword.
    Flags(String),
    /// Puts this text before the command.
    Prefix(String),
    /// Replaces each of these words; an empty replacement removes the word.
    Word {
        /// The word.
        from: String,
        /// The word that replaces it.
        to: String,
    },
    /// Replaces the instruction by these.
    Lines(Vec<String>),
    /// Puts these instructions before it.
    Before(Vec<String>),
    /// Removes the instruction.
    Remove,
    /// Moves the instruction to the place after another one.
    MoveAfter(usize),
}
