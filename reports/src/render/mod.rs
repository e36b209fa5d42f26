//! An explanation for eyes and for programs.
//!
//! *Takes* an explanation (the timeline: the record too). *Gives* text. *Must never know* where it goes: whoever
//! writes it says how wide the terminal is and whether it has colours.

pub mod html;
mod table;
pub mod text;
pub mod timeline;

pub use html::html;
pub use text::{Style, text};
pub use timeline::timeline;

use crate::Explanation;

/// The explanation as indented JSON; `schema/explanation.v1.json` describes it.
///
/// # Errors
/// Where a number is one that JSON cannot hold, which a valid record does not lead to.
pub fn json(explanation: &Explanation) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(explanation).map(|text| text + "\n")
}
