//! Joins physical lines to logical ones, and recognizes continuations, comments, directives and the byte order mark.

use super::{Diagnostic, Span, Word};
use std::borrow::Cow;

/// The maximum length of a line in bytes, line end included, for BuildKit's scanner.
const MAX_LINE: usize = 65_536;

/// A line of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Physical<'a> {
    /// The line number, counted from 1.
    pub(super) number: u32,
    /// The offset of its first byte.
    pub(super) start: usize,
    /// The text without the line end.
    pub(super) content: &'a str,
}

/// A logical line: a physical line and its continuations.
#[derive(Clone, Debug)]
pub(super) struct Logical<'a> {
    /// The joined text.
    pub(super) text: Cow<'a, str>,
    /// The origin of the text in the source.
    pieces: LinePieces,
    /// The first and the last line, counted from 1.
    pub(super) lines: (u32, u32),
    /// The position from the first character to the end of the last line's content.
    pub(super) span: Span,
    /// The last line of the continuation, if there is a blank line within it.
    pub(super) blank_inside: Option<u32>,
}

/// The origin of a joined text in the source. Most instructions have one piece.
#[derive(Clone, Debug)]
enum LinePieces {
    /// One piece, with its offset in the joined text, which is 0, and in the source.
    One((usize, usize)),
    /// Several pieces, each with its offset in the joined text and in the source, ascending and never empty.
    Many(Vec<(usize, usize)>),
}

impl<'a> Logical<'a> {
    /// Returns a part of the joined text as a word. It borrows from the source if the logical line is one physical
    /// line.
    #[inline]
    pub(super) fn word(&self, start: usize, end: usize) -> Word<'a> {
        match (&self.text, &self.pieces) {
            (Cow::Borrowed(text), LinePieces::One((_, offset))) => {
                Word { text: text[start..end].into(), span: Span::new(offset + start, offset + end) }
            }
            (text, _) => Word { text: text[start..end].to_owned().into(), span: self.span_of(start, end) },
        }
    }

    /// Returns the same line with owned text.
    pub(super) fn owned(self) -> Logical<'static> {
        Logical { text: self.text.into_owned().into(), ..self }
    }

    /// Returns the pieces of the source that make up the text: the offset of each in the text and in the source,
    /// ascending.
    pub(super) fn pieces(&self) -> &[(usize, usize)] {
        match &self.pieces {
            LinePieces::One(piece) => std::slice::from_ref(piece),
            LinePieces::Many(pieces) => pieces,
        }
    }

    /// Returns the position in the source of a part of the joined text.
    pub(super) fn span_of(&self, start: usize, end: usize) -> Span {
        let end = end.max(start);
        match &self.pieces {
            LinePieces::One((_, offset)) => Span::new(offset + start, offset + end),
            LinePieces::Many(pieces) => {
                let offset_of = |at: usize| {
                    let i = pieces.partition_point(|(joined, _)| *joined <= at).saturating_sub(1);
                    pieces[i].1 + (at - pieces[i].0)
                };
                // The end is looked up by the last character, because the next piece may be far away.
                Span::new(offset_of(start), if end > start { offset_of(end - 1) + 1 } else { offset_of(start) })
            }
        }
    }
}

/// An item that is read from a text.
pub(super) enum Item<'a> {
    /// A `# key=value` at the head of the file.
    Directive {
        /// The key as written.
        key: &'a str,
        /// The value as written.
        value: &'a str,
        /// The position of the whole line.
        span: Span,
        /// The position of the value.
        value_span: Span,
    },
    /// A comment line: its text without the `#` and surrounding spaces, and its position.
    Comment(&'a str, Span),
    /// A logical line with an instruction.
    Line(Logical<'a>),
}

/// Reads the text of a Dockerfile line by line.
pub(super) struct LineReader<'a> {
    text: &'a str,
    at: usize,
    number: u32,
    /// Whether the next line may be a directive. Directives end at the first other line.
    directives: bool,
    /// The current escape character.
    pub(super) escape: char,
    /// The offset of the last `<` that was found. It saves a search for most lines, which have no `<`.
    mark: usize,
    /// The errors of lines that are too long.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'a> LineReader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, number: 0, directives: true, escape: '\\', mark: 0, diagnostics: Vec::new() }
    }

    /// Returns the offset of the next line.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns a part of the text.
    pub(super) fn part(&self, span: Span) -> &'a str {
        &self.text[span.range()]
    }

    /// Returns the number of the last line that was read, counted from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Reads the next physical line.
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

    /// Returns whether a part of the text contains a `<`. The parts must come in the order of the text.
    #[inline]
    pub(super) fn may_start_heredoc(&mut self, part: Span) -> bool {
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
            self.diagnostics.push(
                Diagnostic::new(
                    Span::new(start, start),
                    format!("dockerfile line greater than max allowed size of {}", MAX_LINE - 1),
                )
                .label(format!("this line has {} bytes", raw.len()))
                .help("break it with a continuation, or put the data in a file"),
            );
        }
    }

    /// Returns a second reader at the current position, to look ahead without moving this one.
    pub(super) fn ahead(&self) -> Self {
        Self { diagnostics: Vec::new(), ..*self }
    }

    /// Moves to the position of another reader of the same text.
    pub(super) fn resume(&mut self, other: &Self) {
        (self.at, self.number) = (other.at, other.number);
    }

    /// Reads the next item. Blank lines are skipped.
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

    /// Ends the directives, because an unknown one was found. All further comments are ordinary comments.
    pub(super) fn end_directives(&mut self) {
        self.directives = false;
    }

    #[inline]
    fn logical(&mut self, first: Physical<'a>, body: &'a str, start: usize) -> Logical<'a> {
        let lines = (first.number, first.number);
        let Some(head) = continued(body, self.escape) else {
            let span = Span::new(start, start + body.len());
            return Logical { text: body.into(), pieces: LinePieces::One((0, start)), lines, span, blank_inside: None };
        };
        self.joined(lines, head, start, start + body.len())
    }

    /// Reads the lines that continue a line. `body` is the content of the first line without its escape, and `end` the
    /// offset at which that content ends.
    fn joined(&mut self, mut lines: (u32, u32), body: &str, start: usize, mut end: usize) -> Logical<'a> {
        // Most instructions have at most four lines of similar length.
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
        let blank_inside = blank_inside.then_some(lines.1);
        Logical { text: text.into(), pieces: LinePieces::Many(pieces), lines, span, blank_inside }
    }
}

/// Returns the line without its continuation, if it has one: an escape that is not escaped itself, followed only by
/// spaces.
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

/// Parses the `key = value` of a directive.
fn directive(comment: &str) -> Option<(&str, &str)> {
    let (key, value) = comment.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    (named && !value.is_empty()).then_some((key, value))
}

/// Returns the offset of the first newline. Most lines are so short that the set-up of a vector search would cost more
/// than the search itself.
#[inline]
fn line_end(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 64;
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (head, rest) = text.split_at(text.len().min(SHORT));
    let (words, tail) = head.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        // The lowest zero byte is the lowest one whose top bit is set (`haszero` in "Bit Twiddling Hacks").
        let zeros = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\n'));
        let found = zeros.wrapping_sub(ONES) & !zeros & (ONES << 7);
        if found != 0 {
            return Some(n * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let in_tail = tail.iter().position(|b| *b == b'\n').map(|at| words.len() * 8 + at);
    in_tail.or_else(|| memchr::memchr(b'\n', rest).map(|at| head.len() + at))
}

/// Removes line ends from the end of a line.
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
