//! `buildscope build`.

mod arguments;
mod options;

pub use arguments::{Arguments, ProgressMode};
