//! A logical line to words: flags, quoted words, JSON arrays.

use super::Text;

/// A word and where it stands in the logical line.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Piece {
    pub(super) text: Text,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Piece {
    fn of(line: &str, start: usize, end: usize) -> Self {
        Self { text: line[start..end].into(), start, end }
    }
}

/// The spaces that part an instruction's words: not the newline, not Unicode's.
pub(super) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// The part of `line[start..end]` without spaces around it.
pub(super) fn trim(line: &str, start: usize, end: usize) -> (usize, usize) {
    let text = &line[start..end];
    // Nearly always there is nothing to trim.
    if let (Some(first), Some(last)) = (text.as_bytes().first(), text.as_bytes().last())
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return (start, end);
    }
    let left = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    (start + left, start + left + trimmed.len())
}

/// Words between spaces, quotes and escapes being ordinary characters.
pub(super) fn split(line: &str, start: usize, end: usize) -> Vec<Piece> {
    let bytes = line.as_bytes();
    let mut pieces = Vec::new();
    let mut at = start;
    while at < end {
        if is_space(bytes[at]) {
            at += 1;
            continue;
        }
        let from = at;
        while at < end && !is_space(bytes[at]) {
            at += 1;
        }
        pieces.push(Piece::of(line, from, at));
    }
    pieces
}

/// Words of ENV, LABEL and ARG: quotes and escapes keep spaces together and stay in the word.
pub(super) fn quoted(line: &str, start: usize, end: usize, escape: char) -> Vec<Piece> {
    let plain = |b: u8| b.is_ascii() && b != b'"' && b != b'\'' && b != b'\\' && b != b'`' && b != b'\n';
    if line.as_bytes()[start..end].iter().all(|b| plain(*b)) {
        return split(line, start, end);
    }
    let mut pieces = Vec::new();
    let mut chars = line[start..end].char_indices().map(|(at, c)| (start + at, c)).peekable();
    while let Some(&(from, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let mut quote = None;
        let mut to = from;
        // An escape at the very end is dropped.
        let mut dropped = None;
        while let Some(&(at, c)) = chars.peek() {
            if quote.is_none() && c.is_whitespace() {
                break;
            }
            chars.next();
            to = at + c.len_utf8();
            if quote.is_none() && (c == '"' || c == '\'') {
                quote = Some(c);
            } else if quote == Some(c) {
                quote = None;
            } else if c == escape && quote != Some('\'') {
                match chars.next() {
                    Some((at, c)) => to = at + c.len_utf8(),
                    None => dropped = Some(at),
                }
            }
        }
        pieces.push(Piece::of(line, from, dropped.unwrap_or(to)));
    }
    pieces.retain(|piece| piece.start < piece.end);
    pieces
}

/// The `--flags` at the head of the arguments, unquoted, and where the rest begins.
pub(super) fn flags(line: &str, start: usize, end: usize) -> (Vec<Piece>, usize) {
    let mut flags = Vec::new();
    let mut at = start;
    loop {
        at += line[at..end].len() - line[at..end].trim_start().len();
        if !line[at..end].starts_with("--") {
            return (flags, at);
        }
        let from = at;
        let mut text = Text::default();
        let mut quote = None;
        let mut chars = line[from..end].char_indices();
        let mut to = end;
        let mut was_quoted = false;
        while let Some((offset, c)) = chars.next() {
            match (quote, c) {
                (None, c) if c.is_whitespace() => {
                    to = from + offset;
                    break;
                }
                (None, '"' | '\'') => {
                    quote = Some(c);
                    was_quoted = true;
                }
                (Some(q), c) if q == c => quote = None,
                (_, '\\') => {
                    if let Some((_, escaped)) = chars.next() {
                        text.push(escaped);
                    }
                }
                (_, c) => text.push(c),
            }
        }
        at = to;
        if text == "--" {
            return (flags, at);
        }
        if was_quoted || !text.is_empty() {
            flags.push(Piece { text, start: from, end: to });
        }
    }
}

/// What an argument that looks like a JSON array is.
pub(super) enum Json {
    /// An array of strings.
    Strings(Vec<Text>),
    /// An array that holds something else: refused.
    NotStrings,
    /// No JSON: the text itself.
    None,
}

/// Reads the exec form.
pub(super) fn json(text: &str) -> Json {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Json::None;
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(values) => values
            .into_iter()
            .map(|value| match value {
                serde_json::Value::String(text) => Some(text.into()),
                _ => None,
            })
            .collect::<Option<_>>()
            .map_or(Json::NotStrings, Json::Strings),
        Err(_) => Json::None,
    }
}
