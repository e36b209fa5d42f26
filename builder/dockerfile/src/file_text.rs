//! The text of a file, as diagnostics show it: excerpts of bounded size around the marked characters.

use super::Span;
use std::sync::Arc;

/// The number of bytes of an instruction that are marked, and of bytes around the mark that are shown of a longer line. A line of a
/// Dockerfile may have 64 KiB, and an instruction any number of lines.
const SHOWN: usize = 200;
/// The longest line, in bytes, that is shown whole.
const WHOLE_LINE: usize = 2 * SHOWN;

/// A text and the offsets at which its lines start. With them, each of many diagnostics in a long text is shown without
/// reading the text from its first line.
#[derive(Clone, Debug)]
pub struct FileText {
    name: Arc<str>,
    text: Arc<str>,
    /// The offsets of the lines, ascending. The first one is 0.
    lines: Arc<[usize]>,
}

impl FileText {
    /// Creates the text of a file with a name.
    pub fn new(name: &str, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let lines = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        Self { name: name.into(), text, lines }
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Sets the file name that is printed.
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Returns the line of an offset, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Returns the part of a span that is marked in an excerpt.
    pub fn marked(&self, span: Span) -> Span {
        let range = span.range();
        let end = range.end.min(self.text.len());
        let start = self.text.floor_char_boundary(range.start.min(end));
        Span::new(start, self.text.floor_char_boundary(end.min(start + SHOWN)))
    }

    /// Returns the last lines of a span, if only its head is [marked](Self::marked).
    pub fn tail(&self, span: Span) -> Option<Span> {
        let (marked, end) = (self.marked(span).range(), span.range().end.min(self.text.len()));
        let from = self.text.floor_char_boundary(end.saturating_sub(SHOWN / 2));
        let line = from + self.text[from..end].find('\n')? + 1;
        (line > marked.end && line < end).then(|| Span::new(line, end))
    }

    /// The start and the end of a line, counted from 0, without its line ending.
    fn bounds(&self, line: usize) -> (usize, usize) {
        let start = self.lines[line];
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        (start, end.max(start))
    }

    /// The excerpt for a span in or next to long lines: the marked characters with some around them, without further lines.
    fn window(&self, start: usize, end: usize) -> (usize, usize) {
        let (line_start, _) = self.bounds(self.line(start) - 1);
        let (_, line_end) = self.bounds(self.line(end) - 1);
        let from = self.text.ceil_char_boundary(line_start.max(start.saturating_sub(SHOWN)));
        let to = self.text.floor_char_boundary(line_end.min(end.saturating_add(SHOWN)));
        (from, to)
    }
}

impl miette::SourceCode for FileText {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let (start, end) = (span.offset(), span.offset().saturating_add(span.len()));
        if end > self.text.len() {
            return Err(miette::MietteError::OutOfBounds);
        }
        let (top, bottom) = (self.line(start) - 1, self.line(end) - 1);
        let shown = top.saturating_sub(before)..=(bottom.saturating_add(after)).min(self.lines.len() - 1);
        let long = |line: usize| {
            let (start, end) = self.bounds(line);
            end - start > WHOLE_LINE
        };
        if shown.clone().any(long) {
            let (from, to) = self.window(start, end);
            let column = self.text[self.lines[top]..from].chars().count();
            let data = &self.text.as_bytes()[from..to];
            let span = miette::SourceSpan::new(from.into(), to - from);
            let lines = memchr::memchr_iter(b'\n', data).count();
            let name = self.name.to_string();
            return Ok(Box::new(miette::MietteSpanContents::new_named(name, data, span, top, column, lines)));
        }
        // One line more than is shown, because the reader also looks at the line end before the position.
        let first = self.line(start).saturating_sub(2 + before);
        let offset = self.lines[first];
        let within = miette::SourceSpan::new((start - offset).into(), span.len());
        let found = self.text.as_bytes()[offset..].read_span(&within, before, after)?;
        let span = miette::SourceSpan::new((offset + found.span().offset()).into(), found.span().len());
        let (line, column, lines) = (first + found.line(), found.column(), found.line_count());
        let name = self.name.to_string();
        Ok(Box::new(miette::MietteSpanContents::new_named(name, found.data(), span, line, column, lines)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miette::SourceCode;

    /// The expected values are those of miette's own reader, which reads the text from its first byte.
    #[test]
    fn the_last_lines_of_a_long_span_are_its_tail() {
        let text = format!("RUN <<E\n{}exit 3\nE\n", "echo é\n".repeat(100));
        let file = FileText::new("f", text.as_str());
        let whole = Span::new(0, text.len() - 1);
        let tail = file.tail(whole).unwrap();
        assert!(text[tail.range()].ends_with("echo é\nexit 3\nE") && tail.range().len() <= SHOWN / 2, "{tail:?}");
        assert_eq!(file.tail(Span::new(0, 50)), None, "it is marked whole");
        assert_eq!(file.tail(Span::new(0, 0)), None);
    }

    #[test]
    fn excerpts_equal_those_of_miette_s_reader() {
        let text = "FROM a\nRUN \\\n  x\n\nCOPY b /c\r\nRUN y\nENV ü=1";
        let (ours, theirs) = (FileText::new("f", text), miette::NamedSource::new("f", text.to_owned()));
        for start in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for length in [0, 1, 5, 12].into_iter().filter(|length| start + length <= text.len()) {
                let span = miette::SourceSpan::new(start.into(), length);
                for (before, after) in [(0, 0), (1, 1), (2, 0)] {
                    let seen = |source: &dyn SourceCode| {
                        let found = source.read_span(&span, before, after).unwrap();
                        (found.data().to_vec(), *found.span(), found.line(), found.column())
                    };
                    assert_eq!(seen(&ours), seen(&theirs), "{start} {length} {before} {after}");
                }
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("FROM a\nENV A={} é{}\nRUN x\n", "b".repeat(60_000), "c".repeat(5000));
        let file = FileText::new("f", text.as_str());
        let at = text.find('é').unwrap();
        let found = file.read_span(&miette::SourceSpan::new(at.into(), 'é'.len_utf8()), 1, 1).unwrap();
        let shown = std::str::from_utf8(found.data()).unwrap();
        assert_eq!(shown.len(), SHOWN + 'é'.len_utf8() + SHOWN);
        assert_eq!((found.line(), found.column()), (1, at - "FROM a\n".len() - SHOWN));
        assert!(shown.contains("b é") || shown.contains(" é"), "{shown}");
    }

    #[test]
    fn a_mark_is_cut_between_characters() {
        let text = "é".repeat(SHOWN);
        let file = FileText::new("f", text.as_str());
        assert_eq!(file.marked(Span::new(0, text.len())), Span::new(0, SHOWN));
        assert_eq!(file.marked(Span::new(2, 6)), Span::new(2, 6));
        assert_eq!(file.marked(Span::new(900, 1000)), Span::new(400, 400), "beyond the end");
    }
}
