//! Bytes to the text of a Dockerfile.

use super::{Keyword, Span, Syntax};
use std::borrow::Cow;

/// The error of bytes that are not the text of a Dockerfile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The text is UTF-16.
    #[error("it is UTF-16, as PowerShell writes with `>`: save it as UTF-8")]
    Utf16,
    /// A byte that is not UTF-8, in a line that is not a comment.
    #[error(
        "line {line} has the byte 0x{byte:02x}, which is not UTF-8: save the file as UTF-8 (only comments, LABEL and MAINTAINER may have such bytes)"
    )]
    NotUtf8 {
        /// The line, counted from 1.
        line: usize,
        /// The first byte that is not UTF-8.
        byte: u8,
    },
}

/// Decodes the bytes of a Dockerfile. Bytes that are not UTF-8 become replacement characters where they do not change what
/// is built: in comments, and in the labels and the author of the image, as in BuildKit.
///
/// # Errors
/// UTF-16, or another byte that is not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.iter().take(2).any(|byte| *byte == 0) {
        return Err(DecodeError::Utf16);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.into());
    }
    let mut text = String::with_capacity(bytes.len());
    let mut replaced = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text += chunk.valid();
        if let Some(&byte) = chunk.invalid().first() {
            replaced.push((text.len(), byte));
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    let (syntax, _) = Syntax::parse(&text);
    let within = |span: Span, at: usize| span.range().contains(&at);
    for (at, byte) in replaced {
        let node = syntax.nodes.iter().find(|node| within(node.span, at));
        let documents = node.map(|node| &*node.heredocs).unwrap_or_default();
        let in_document = documents.iter().any(|document| within(document.span, at));
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let comment = text[start..at].trim_start().starts_with('#') && !in_document;
        let described = matches!(node.and_then(|node| node.kind), Some(Keyword::Label | Keyword::Maintainer));
        if !comment && !described {
            return Err(DecodeError::NotUtf8 { line: text[..at].matches('\n').count() + 1, byte });
        }
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_labels_and_the_author_may_have_any_byte() {
        for text in [
            &b"FROM a\n# auteur: Ren\xe9\nRUN x\n"[..],
            b"FROM a\nRUN x \\\n  # \xe9t\xe9\n  && y\n",
            b"FROM a\nLABEL by=\"Ren\xe9\"\nMAINTAINER Ren\xe9\n",
            b"# \xe9\nFROM a\nRUN <<E\nx\nE\n# \xe9\n",
        ] {
            let decoded = decode(text).unwrap();
            assert!(decoded.contains('\u{fffd}') && super::super::parse(&decoded).is_ok(), "{decoded}");
        }
        assert!(matches!(decode("# é".as_bytes()), Ok(Cow::Borrowed("# é"))));
    }

    #[test]
    fn other_bytes_are_errors_with_their_line() {
        for (text, line) in [
            (&b"FROM a\nRUN echo \xe9\n"[..], 2),
            (b"FROM a\nENV A=\xe9\n", 2),
            (b"FROM a\nRUN <<E\n# \xe9 is part of the script\nE\n", 3),
            (b"FROM a\nCOPY <<E /x\n# \xe9\nE\n", 3),
            (b"FROM a\n# \xe9\nCOPY \xe9 /\n", 3),
        ] {
            assert_eq!(decode(text), Err(DecodeError::NotUtf8 { line, byte: 0xe9 }));
        }
    }

    #[test]
    fn utf_16_is_named() {
        for text in [&b"\xff\xfeF\0R\0O\0M\0"[..], b"\xfe\xff\0F\0R", b"F\0R\0O\0M\0"] {
            assert_eq!(decode(text), Err(DecodeError::Utf16));
        }
    }
}
