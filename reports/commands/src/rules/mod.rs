//! What to write instead. A rewrite has edits only where the file builds the same image with them.

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
mod split;
mod usual;
mod wording;

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
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These flags are put behind its keyword.
    Flags(String),
    /// This text is put before its command.
    Prefix(String),
    /// Each of these words becomes another; an empty one goes away.
    Word {
        /// The word.
        from: String,
        /// The word that replaces it.
        to: String,
    },
    /// It becomes these instructions.
    Lines(Vec<String>),
    /// These instructions are put before it.
    Before(Vec<String>),
    /// It goes away.
    Remove,
    /// It moves behind another instruction.
    MoveAfter(usize),
}
