//! Text to instructions.
//!
//! *Takes* the text of a Dockerfile or an ignore file. *Gives* instructions with their places in
//! the text, or every independent fault as a spanned diagnostic. *Must never know* the file
//! system, the network or a clock: no I/O here.

mod span;

pub use span::Span;
