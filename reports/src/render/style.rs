//! The format of text for a terminal.

use super::table::paint;

/// The format of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The number of columns.
    pub width: usize,
    /// The number of lines of a screen.
    pub height: usize,
    /// Whether to write colours.
    pub colours: bool,
    /// The number of steps to list, those with the largest share of the wall time. The others are counted.
    pub steps: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 100, height: 24, colours: false, steps: 30 }
    }
}

/// The SGR parameter of bold text (ECMA-48, 8.3.117).
pub(super) const BOLD: &str = "1";
/// The SGR parameter of faint text.
pub(super) const DIM: &str = "2";

pub(super) fn heading(text: &str, style: Style) -> String {
    paint(text, style.colours.then_some(BOLD)) + "\n"
}
