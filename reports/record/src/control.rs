//! Characters that a terminal or a browser acts on instead of showing them.
//!
//! Names, logs and errors come from outside. Control characters in them could set a terminal's title or clipboard or move its
//! cursor, and bidirectional marks could reorder a text, so that it reads as something else.

use std::borrow::Cow;

/// Whether a character acts on a view, other than by a new line or a tab: C0 and C1 controls (ECMA-48, 5), and marks that change
/// the direction or the lines of text (Unicode Standard Annex 9, 2; The Unicode Standard, 5.8).
pub fn acts_on_view(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same JSON document with such characters written as escapes (RFC 8259, 7): programs read the same strings, and a terminal
/// acts on nothing.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    replaced(json, |c| format!("\\u{:04x}", u32::from(c)))
}

/// A JSON document whose strings show such characters as `\u{202e}`, for views that show strings as they are.
pub fn neutralised_json(json: &str) -> Cow<'_, str> {
    replaced(json, |c| format!("\\\\u{{{:x}}}", u32::from(c)))
}

/// JSON already has escapes for C0 controls, and the characters that are left are only in strings.
fn replaced(json: &str, written: impl Fn(char) -> String) -> Cow<'_, str> {
    let Some(first) = json.find(acts_on_view) else { return Cow::Borrowed(json) };
    let mut out = String::with_capacity(json.len() + 16);
    out += &json[..first];
    for c in json[first..].chars() {
        if acts_on_view(c) { out += &written(c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_keep_the_strings_of_a_document() {
        let strings = ["\u{1b}]0;x\u{7}", "a\u{202e}b\u{2066}", "\u{9b}2J\u{7f}\u{85}", "\u{2028}é漢", "\\u202e"];
        let json = serde_json::to_string_pretty(&strings).unwrap();
        let escaped = escaped_json(&json);
        assert!(!escaped.contains(acts_on_view), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), strings);
        assert!(matches!(escaped_json("[\"é\"]\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_neutralised_document_shows_the_marks() {
        let json = serde_json::to_string("a\u{202e}b\u{9b}").unwrap();
        let shown: String = serde_json::from_str(&neutralised_json(&json)).unwrap();
        assert_eq!(shown, "a\\u{202e}b\\u{9b}");
    }
}
