//! Words of the text without expansions.

use brush_parser::ast::Word;

/// The value of a word without its quotes; `None` if it depends on an expansion.
pub(super) fn literal(word: &Word) -> Option<String> {
    if word.value.contains(['$', '`', '*', '?']) {
        return None;
    }
    Some(brush_parser::unquote_str(&word.value))
}
