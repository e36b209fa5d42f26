//! Physical lines to logical ones: continuations, comments, directives, byte order mark.

use super::{Diagnostic, Span, Word};
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

impl<'a> Logical<'a> {
    /// A part of the joined text: of the source itself, where this is one line of it.
    #[inline]
    pub(super) fn word(&self, start: usize, end: usize) -> Word<'a> {
        match (&self.text, &self.pieces) {
            (Cow::Borrowed(text), Pieces::One(offset)) => {
                Word { text: text[start..end].into(), span: Span::new(offset + start, offset + end) }
            }
            (text, _) => Word { text: text[start..end].to_owned().into(), span: self.span_of(start, end) },
        }
    }

    /// The same, and its words are their own.
    pub(super) fn owned(self) -> Logical<'static> {
        Logical { text: self.text.into_owned().into(), ..self }
    }

    /// The place in the source of a part of the joined text.
    pub(super) fn span_of(&self, start: usize, end: usize) -> Span {
        let end = end.max(start);
        match &self.pieces {
            Pieces::One(offset) => Span::new(offset + start, offset + end),
            Pieces::Many(pieces) => {
                let place = |at: usize| {
                    let i = pieces.partition_point(|(joined, _)| *joined <= at).saturating_sub(1);
                    pieces[i].1 + (at - pieces[i].0)
                };
                // The end is looked up by its last character: the next piece may lie far away.
                Span::new(place(start), if end > start { place(end - 1) + 1 } else { place(start) })
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
    /// Where the next `<` is, or one before where it was looked for: nearly no line has one.
    mark: usize,
    /// Lines that are too long.
    pub(super) faults: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, number: 0, directives: true, escape: '\\', mark: 0, faults: Vec::new() }
    }

    /// Where the next line begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// That part of the text.
    pub(super) fn part(&self, span: Span) -> &'a str {
        &self.text[span.range()]
    }

    /// The number of the last line read.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The next line, whatever it is.
    #[inline]
    pub(super) fn physical(&mut self) -> Option<Physical<'a>> {
        let start = self.at;
        if start >= self.text.len() {
            return None;
        }
        let end = line_end(&self.text.as_bytes()[start..]).map_or(self.text.len(), |at| start + at + 1);
        self.at = end;
        self.number += 1;
        let raw = &self.text[start..end];
        if raw.len() >= MAX_LINE {
            self.check_length(raw, start);
        }
        Some(Physical { number: self.number, start, content: trim_line_end(raw) })
    }

    /// Whether there is a `<` in that part of the text. Parts are asked for in the order of the text.
    #[inline]
    pub(super) fn may_begin_document(&mut self, part: Span) -> bool {
        let part = part.range();
        if self.mark <= part.start {
            let rest = &self.text.as_bytes()[part.start..];
            self.mark = part.start + memchr::memchr(b'<', rest).unwrap_or(rest.len());
        }
        self.mark < part.end
    }

    #[cold]
    fn check_length(&mut self, raw: &str, start: usize) {
        if raw.len() > MAX_LINE || !raw.ends_with('\n') {
            self.faults.push(
                Diagnostic::new(
                    Span::new(start, start),
                    format!("dockerfile line greater than max allowed size of {}", MAX_LINE - 1),
                )
                .label(format!("this line has {} bytes", raw.len()))
                .help("break it with a continuation, or put the data in a file"),
            );
        }
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
    #[inline]
    pub(super) fn item(&mut self) -> Option<Item<'a>> {
        loop {
            let line = self.physical()?;
            let body = trim_start(line.content);
            let start = line.start + (line.content.len() - body.len());
            if let Some(comment) = body.strip_prefix('#') {
                let span = Span::new(start, start + body.len());
                if self.directives {
                    if let Some((key, value)) = directive(comment) {
                        let at = value.as_ptr() as usize - self.text.as_ptr() as usize;
                        let value_span = Span::new(at, at + value.len());
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

    #[inline]
    fn logical(&mut self, first: Physical<'a>, body: &'a str, start: usize) -> Logical<'a> {
        let lines = (first.number, first.number);
        let Some(begun) = continued(body, self.escape) else {
            let span = Span::new(start, start + body.len());
            return Logical { text: body.into(), pieces: Pieces::One(start), lines, span, blank_inside: false };
        };
        self.joined(lines, begun, start, start + body.len())
    }

    /// The lines that continue one, `body` being what it begins with and `end` where its content ends.
    fn joined(&mut self, mut lines: (u32, u32), body: &str, start: usize, mut end: usize) -> Logical<'a> {
        // Room for the usual number of lines.
        let mut text = String::with_capacity(body.len() * 4);
        text += body;
        let mut pieces = Vec::with_capacity(4);
        pieces.push((0, start));
        let mut blank_inside = false;
        while let Some(line) = self.physical() {
            lines.1 = line.number;
            let trimmed = trim_start(line.content);
            if trimmed.starts_with('#') {
                end = line.start + line.content.len();
                continue;
            }
            if trimmed.is_empty() {
                blank_inside = true;
                continue;
            }
            end = line.start + line.content.len();
            pieces.push((text.len(), line.start));
            match continued(line.content, self.escape) {
                Some(body) => text += body,
                None => {
                    text += line.content;
                    break;
                }
            }
        }
        let span = Span::new(start, end);
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

/// Where the first newline is. Most lines are so short that a vector search is over before it has begun.
#[inline]
fn line_end(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 64;
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (head, rest) = text.split_at(text.len().min(SHORT));
    let (words, tail) = head.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        // The lowest byte that is zero is the lowest whose top bit is set ("Bit Twiddling Hacks", haszero).
        let zeros = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\n'));
        let found = zeros.wrapping_sub(ONES) & !zeros & (ONES << 7);
        if found != 0 {
            return Some(n * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let in_tail = tail.iter().position(|b| *b == b'\n').map(|at| words.len() * 8 + at);
    in_tail.or_else(|| memchr::memchr(b'\n', rest).map(|at| head.len() + at))
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
