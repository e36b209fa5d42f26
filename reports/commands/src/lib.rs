//! The commands of a Dockerfile's RUN instructions: what they install or build, what they need of the build context, which directories
//! they can keep between builds, and what to write instead.
//!
//! *Takes* instructions as text, each on one line. *Gives* the commands of each RUN, and rewrites of the file that keep it working. *Must
//! never know* how long anything took, and reads no file: `check` and `explain` pass the facts that they know.
//!
//! # Start here
//!
//! ```
//! use buildscope_commands::{Script, Surroundings, Tool, recognise};
//!
//! let script = Script::read("apt-get update && apt-get install -y gcc").unwrap();
//! let image = Surroundings::default();
//! let usages: Vec<_> = script.commands().filter_map(|command| recognise(command, &image)).collect();
//! assert_eq!(usages.len(), 2);
//! assert!(usages.iter().all(|usage| usage.tool == Tool::Apt));
//! assert_eq!(usages[1].caches[0].target, "/var/cache/apt");
//! ```
//!
//! `examples/rewrites.rs` prints the rewrites of Dockerfiles.

#![forbid(unsafe_code)]

mod arguments;
mod file;
pub mod grammar;
mod instruction;
mod invocation;
mod keyword;
mod layout;
mod path;
pub mod rules;
mod script;
mod source;
mod tools;
mod touches;
mod usage;
mod users;
mod word;

pub use file::{Environments, File, InstructionLine, Run, Stage, Step};
pub use instruction::Instruction;
pub use invocation::Invocation;
pub use keyword::Keyword;
pub use path::join;
pub use script::{Element, Join, Script};
pub use source::{Place, Source, diff, words_at};
pub use tools::recognise;
pub use usage::{
    Cache, Cacheless, Content, DependencyFile, Development, Hooks, Needs, Prefetch, Presence, Sharing, Surroundings,
    Tool, Usage, Work,
};
pub use word::Word;
