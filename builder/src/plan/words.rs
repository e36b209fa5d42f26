//! The expansion of words, and the errors of words that several instructions have.

use buildscope_dockerfile::{self as dockerfile, Diagnostic, Expander, Span, Variables, Word};

/// Expands a word. If it cannot be expanded, reports an error at its characters and returns `None`.
pub(super) fn expanded(
    expander: &Expander,
    word: &Word<'_>,
    variables: &dyn Variables,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    match expander.word(&word.text, variables) {
        Ok(text) => Some(text),
        Err(error) => {
            diagnostics.push(unexpandable(word, &error));
            None
        }
    }
}

/// Returns the error of an owner or a user with an id that is out of range.
pub(super) fn out_of_range(word: &Word<'_>, what: &str, text: &str, error: &dockerfile::BadId) -> Diagnostic {
    Diagnostic::new(word.span, format!("invalid {what} {text:?}: {error}"))
        .label("the kernel treats the id 4294967295 as \"unchanged\", which would be root")
        .help("write an id from 0 to 2147483647, or a name of the image's /etc/passwd or /etc/group")
}

/// Returns the error of a word that cannot be expanded.
pub(super) fn unexpandable(word: &Word<'_>, error: &dockerfile::ExpandError) -> Diagnostic {
    let exact = word.span.range().len() == word.text.len() && word.text.is_char_boundary(error.at());
    let span = if exact { Span::new(word.span.range().start + error.at(), word.span.range().end) } else { word.span };
    Diagnostic::new(span, format!("failed to process {:?}: {error}", word.text))
        .label("the error starts here")
        .help(error.help())
}
