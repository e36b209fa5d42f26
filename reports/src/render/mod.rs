//! Views of an explanation: text, Markdown, JSON, a timeline and an HTML page.
//!
//! *Takes* an explanation; the timeline and the page take the record too. *Gives* text. *Must never know* where it is written: the
//! caller gives the width of the terminal and says whether it has colours.

mod account;
mod flame;
pub mod html;
mod inside;
pub mod instant;
pub mod markdown;
mod processes;
mod style;
mod summary;
pub mod table;
mod target_tracks;
mod targets;
mod terminal;
pub mod text;
pub mod timeline;

pub use account::{Account, account};
pub use html::html;
pub use markdown::markdown;
pub use style::Style;
pub use summary::summary;
pub use terminal::neutralised;
pub use text::text;
pub use timeline::timeline;

use crate::Explanation;
use buildscope_record::redacted;

/// The explanation as indented JSON; `schema/explanation.v1.json` describes it. Credentials in addresses are left out.
///
/// # Errors
/// If a number cannot be written as JSON. That does not happen with a valid record.
pub fn json(explanation: &Explanation) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(explanation).map(|text| redacted(&text).into_owned() + "\n")
}
