//! The commands of a Dockerfile's RUN instructions: what they install or build, what they need of the build context, which directories
//! they can keep between builds, and what to write instead.
//!
//! *Takes* instructions as text, each on one line. *Gives* the commands of each RUN, and rewrites of the file that keep it working. *Must
//! never know* how long anything took, and reads no file: `check` and `explain` pass the facts that they know.

#![forbid(unsafe_code)]

mod arguments;
mod file;
pub mod grammar;
mod instruction;
mod invocation;
mod keyword;
mod path;
pub mod rules;
mod script;
mod source;
mod tools;
mod touches;
mod usage;
mod users;
mod word;

pub use file::{Environments, File, Line, Run, Stage, Step};
pub use instruction::Instruction;
pub use invocation::Invocation;
pub use keyword::Keyword;
pub use path::join;
pub use script::{Element, Join, Script};
pub use source::{Place, Source, diff};
pub use tools::recognise;
pub use usage::{
    Cache, Cacheless, Content, Hooks, Manifest, Needs, Prefetch, Presence, Sharing, Surroundings, Tool, Usage, Work,
};
pub use word::Word;
