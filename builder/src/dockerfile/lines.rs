//! Physical lines to logical ones: continuations, comments, directives, byte order mark.

use super::{Diagnostic, Span};
use std::borrow::Cow;

/// The longest line that BuildKit's scanner takes, its line end included.
const MAX_LINE: usize = 65_536;

/// A line of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Physical<'a> {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Where it begins.
    pub(super) start: usize,
    /// Without its line end.
    pub(super) content: &'a str,
    /// With its line end.
    pub(super) raw: &'a str,
}

/// Lines that continuations make one.
#[derive(Clone, Debug)]
pub(super) struct Logical<'a> {
    /// What the instruction is, joined.
    pub(super) text: Cow<'a, str>,
    /// Where the pieces come from: (offset in `text`, offset in the source), ascending; always one at least.
    pieces: Pieces,
    /// First and last line.
    pub(super) lines: (u32, u32),
    /// From the first character to the end of the last line's content.
    pub(super) span: Span,
    /// A blank line stands within the continuation.
    pub(super) blank_inside: bool,
}

/// Most instructions are of one piece.
#[derive(Clone, Debug)]
enum Pieces {
    One(usize),
    Many(Vec<(usize, usize)>),
}

impl Logical<'_> {
    /// The place in the source of a part of the joined text.
    #[inline]
    pub(super) fn span_of(&self, start: usize, end: usize) -> Span {
        let end = end.max(start);
        match &self.pieces {
            Pieces::One(offset) => Span { start: offset + start, end: offset + end },
            Pieces::Many(pieces) => {
                let place = |at: usize| {
                    let i = pieces.partition_point(|(joined, _)| *joined <= at).saturating_sub(1);
                    pieces[i].1 + (at - pieces[i].0)
                };
                // The end is looked up by its last character: the next piece may lie far away.
                Span { start: place(start), end: if end > start { place(end - 1) + 1 } else { place(start) } }
            }
        }
    }
}

/// What is read from a text, one after the other.
pub(super) enum Item<'a> {
    /// `# key=value` at the head of the file.
    Directive {
        /// The key as written.
        key: &'a str,
        /// The value.
        value: &'a str,
        /// The place of the whole line.
        span: Span,
        /// The place of the value.
        value_span: Span,
    },
    /// A comment line, its text without `#` and spaces around.
    Comment(&'a str, Span),
    /// An instruction.
    Line(Logical<'a>),
}

/// Reads a Dockerfile's text line by line.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    number: u32,
    /// Directives are only looked for before the first line that is none.
    directives: bool,
    /// The escape character in force.
    pub(super) escape: char,
    /// Lines that are too long.
    pub(super) faults: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, number: 0, directives: true, escape: '\\', faults: Vec::new() }
    }

    /// Where the next line begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The number of the last line read.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The next line, whatever it is.
    pub(super) fn physical(&mut self) -> Option<Physical<'a>> {
        let start = self.at;
        if start >= self.text.len() {
            return None;
        }
        let end = memchr::memchr(b'\n', &self.text.as_bytes()[start..]).map_or(self.text.len(), |at| start + at + 1);
        self.at = end;
        self.number += 1;
        let raw = &self.text[start..end];
        if raw.len() > MAX_LINE || (raw.len() == MAX_LINE && !raw.ends_with('\n')) {
            self.faults.push(
                Diagnostic::new(
                    Span { start, end: start },
                    format!("dockerfile line greater than max allowed size of {}", MAX_LINE - 1),
                )
                .label(format!("this line has {} bytes", raw.len()))
                .help("break it with a continuation, or put the data in a file"),
            );
        }
        Some(Physical { number: self.number, start, content: trim_line_end(raw), raw })
    }

    /// Looks ahead without moving: the lines from here on.
    pub(super) fn ahead(&self) -> Self {
        Self { faults: Vec::new(), ..*self }
    }

    /// Goes on where another reader of the same text stands.
    pub(super) fn resume(&mut self, other: &Self) {
        (self.at, self.number) = (other.at, other.number);
    }

    /// The next thing that is not blank.
    pub(super) fn item(&mut self) -> Option<Item<'a>> {
        loop {
            let line = self.physical()?;
            let body = trim_start(line.content);
            let start = line.start + (line.content.len() - body.len());
            if let Some(comment) = body.strip_prefix('#') {
                let span = Span { start, end: start + body.len() };
                if self.directives {
                    if let Some((key, value)) = directive(comment) {
                        let at = value.as_ptr() as usize - self.text.as_ptr() as usize;
                        let value_span = Span { start: at, end: at + value.len() };
                        return Some(Item::Directive { key, value, span, value_span });
                    }
                    self.directives = false;
                }
                return Some(Item::Comment(comment.trim(), span));
            }
            self.directives = false;
            if body.is_empty() {
                continue;
            }
            return Some(Item::Line(self.logical(line, body, start)));
        }
    }

    /// No further directives: what was found was none that is known.
    pub(super) fn end_directives(&mut self) {
        self.directives = false;
    }

    fn logical(&mut self, first: Physical<'a>, body: &'a str, start: usize) -> Logical<'a> {
        let mut span = Span { start, end: start + body.len() };
        let mut lines = (first.number, first.number);
        let Some(body) = continued(body, self.escape) else {
            return Logical { text: body.into(), pieces: Pieces::One(start), lines, span, blank_inside: false };
        };
        let mut text = String::with_capacity(body.len() * 2);
        text += body;
        let mut pieces = vec![(0, start)];
        let mut blank_inside = false;
        while let Some(line) = self.physical() {
            lines.1 = line.number;
            let trimmed = trim_start(line.content);
            if trimmed.starts_with('#') {
                span.end = line.start + line.content.len();
                continue;
            }
            if trimmed.is_empty() {
                blank_inside = true;
                continue;
            }
            span.end = line.start + line.content.len();
            pieces.push((text.len(), line.start));
            match continued(line.content, self.escape) {
                Some(body) => text += body,
                None => {
                    text += line.content;
                    break;
                }
            }
        }
        Logical { text: text.into(), pieces: Pieces::Many(pieces), lines, span, blank_inside }
    }
}

/// The line without its continuation, if it has one: an escape that is not itself escaped, then spaces only.
#[inline]
fn continued(line: &str, escape: char) -> Option<&str> {
    let bytes = line.as_bytes();
    let mut end = bytes.len();
    while end > 0 && matches!(bytes[end - 1], b' ' | b'\t') {
        end -= 1;
    }
    let body = line[..end].strip_suffix(escape)?;
    (!body.ends_with(escape)).then_some(body)
}

/// `key = value` of a directive's comment.
fn directive(comment: &str) -> Option<(&str, &str)> {
    let (key, value) = comment.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    (named && !value.is_empty()).then_some((key, value))
}

/// Without the line ends behind it.
#[inline]
fn trim_line_end(raw: &str) -> &str {
    let bytes = raw.as_bytes();
    let end = bytes.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |last| last + 1);
    &raw[..end]
}

#[inline]
fn trim_start(text: &str) -> &str {
    match text.as_bytes().first() {
        Some(b) if b.is_ascii_graphic() => text,
        _ => text.trim_start(),
    }
}
