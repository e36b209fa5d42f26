//! Text that is safe to show on a terminal.
//!
//! Control sequences and bidirectional marks in logs, names and errors are shown as escapes such as `\u{1b}`. Colours and bold
//! text pass.

use buildscope_record::acts_on_view;
use std::borrow::Cow;

/// The text with all control characters but newlines and tabs, and all bidirectional marks, shown as escapes. Sequences that
/// set colours or emphasis (SGR, ECMA-48, 8.3.117) are kept, and are ended at the end of the text.
pub fn neutralised(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts_on_view) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut styled = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = sgr(rest) {
            out += &rest[..length];
            styled = !matches!(&rest[2..length - 1], "" | "0");
            rest = &rest[length..];
            continue;
        }
        if acts_on_view(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    if styled {
        out += "\x1b[0m";
    }
    Cow::Owned(out)
}

/// The length of the SGR sequence at the start of a text, if it has one and only sets colours and emphasis. Blinking and
/// concealed text are not kept.
fn sgr(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !(c.is_ascii_digit() || matches!(c, ';' | ':')))?;
    let kept = parameters[end..].starts_with('m') && end <= 64 && keeps(&parameters[..end]);
    kept.then_some("\x1b[".len() + end + 1)
}

fn keeps(parameters: &str) -> bool {
    let mut numbers = parameters.split([';', ':']).map(|number| number.parse::<u32>().unwrap_or(0));
    while let Some(number) = numbers.next() {
        let known = match number {
            // Colours by index (38;5;n) or as red, green and blue (38;2;r;g;b).
            38 | 48 | 58 => match numbers.next() {
                Some(5) => numbers.next().is_some(),
                Some(2) => (0..3).all(|_| numbers.next().is_some()),
                _ => false,
            },
            0..=4 | 7 | 9 | 21..=24 | 27 | 29..=37 | 39..=47 | 49 | 59 | 90..=97 | 100..=107 => true,
            _ => false,
        };
        if !known {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_marks_are_shown_as_escapes() {
        for (text, shown) in [
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("\x1b]52;c;aGk=\x1b\\", "\\u{1b}]52;c;aGk=\\u{1b}\\"),
            ("\x1b[2J\x1b[1;1H", "\\u{1b}[2J\\u{1b}[1;1H"),
            ("\u{9b}2J\u{85}", "\\u{9b}2J\\u{85}"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}"),
            ("50%\r60%\x08", "50%\\u{d}60%\\u{8}"),
            ("\x1b[8mhidden", "\\u{1b}[8mhidden"),
            ("\x1b[31;5mblinks", "\\u{1b}[31;5mblinks"),
            ("\x1b[38;2;1;2mshort", "\\u{1b}[38;2;1;2mshort"),
            ("\x1b", "\\u{1b}"),
        ] {
            assert_eq!(neutralised(text), shown);
        }
    }

    #[test]
    fn colours_pass_and_are_ended() {
        for text in ["\x1b[31mred\x1b[0m", "\x1b[1;38;5;208mbold\x1b[m", "a\tb\nc", "é 漢"] {
            assert_eq!(neutralised(text), text);
        }
        assert_eq!(neutralised("\x1b[31mred"), "\x1b[31mred\x1b[0m");
    }

    #[test]
    fn a_neutralised_text_stays_the_same() {
        let once = neutralised("\x1b[31m\x1b]0;x\x07").into_owned();
        assert_eq!(neutralised(&once), once);
    }
}
