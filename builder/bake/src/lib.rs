//! Reads bake and compose files as targets: what to build, and with which options.
//!
//! *Takes* the texts of `docker-bake.hcl`, `docker-bake.json` and compose files, with overrides and variables. *Gives*
//! targets as buildx bake 0.36 reads them. *Must never know* Dockerfiles, images, stores or how to build.
//!
//! # Start here
//!
//! ```
//! use buildscope_bake::{Definition, File, Inputs};
//!
//! let text = "target \"app\" { tags = [\"shop/app\"] }";
//! let file = File { name: "docker-bake.hcl".into(), text: text.into() };
//! let definition = Definition::read(&[file], &Inputs::default())?;
//! let selection = definition.select(&["app".into()], &[], &Default::default())?;
//! assert_eq!(selection.targets["app"].tags.as_deref(), Some(&["shop/app".to_owned()][..]));
//! # Ok::<_, buildscope_bake::Error>(())
//! ```

#![forbid(unsafe_code)]

mod bakefile;
mod compose;
mod csv;
mod definition;
mod error;
mod expression;
mod file;
mod functions;
mod paths;
mod print;
mod read;
mod select;
mod semantic;
mod target;
mod text;
mod value;

pub use definition::{Definition, Group, Inputs, Variable};
pub use error::{Error, File, Place};
pub use print::ListFormat;
pub use select::Selection;
pub use target::{Attest, BakeTarget, CacheEntry, Export, Policy, Resources, Secret, Ssh};
pub use text::{read_bounded, read_text};
