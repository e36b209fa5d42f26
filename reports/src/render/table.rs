//! Tables of text that fit a width.

use buildscope_record::acts_on_view;
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// For text.
    Left,
    /// For numbers.
    Right,
    /// For text that is shortened if the table is too wide.
    Flexible,
}

/// A cell: its text and its colour, as parameters of an escape sequence.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    colour: Option<&'static str>,
}

impl Cell {
    /// A cell without a colour.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: None }
    }

    /// The cell in a colour: the parameters of an SGR sequence (ECMA-48, 8.3.117).
    pub fn colour(self, colour: &'static str) -> Self {
        Self { colour: Some(colour), ..self }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows of cells.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<Cell>>,
    /// Whether the first column starts at the left margin.
    flush: bool,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: impl Into<Vec<Align>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), flush: false }
    }

    /// Removes the two spaces before the first column.
    #[must_use]
    pub fn flush(self) -> Self {
        Self { flush: true, ..self }
    }

    /// Appends a row. It may have fewer cells than the table has columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table without colours; see [`Self::render`].
    pub fn plain(&self, width: usize) -> String {
        self.render(width, false)
    }

    /// The table with two spaces before each column. The flexible column is shortened to fit `width`, but keeps at least twelve
    /// columns; then other columns of text are, which keep at least eight.
    pub fn render(&self, width: usize, colours: bool) -> String {
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|column| cells(column).map(|cell| cell.text.width()).max().unwrap_or(0))
            .collect();
        let total: usize = widths.iter().map(|width| width + 2).sum();
        if let Some(flexible) = self.columns.iter().position(|&align| align == Align::Flexible) {
            let over = total.saturating_sub(width);
            let kept = widths[flexible].saturating_sub(over).max(widths[flexible].min(12));
            let mut over = over.saturating_sub(widths[flexible] - kept);
            widths[flexible] = kept;
            for (column, _) in self.columns.iter().enumerate().filter(|(_, align)| **align == Align::Left) {
                let kept = widths[column].saturating_sub(over).max(widths[column].min(8));
                over -= widths[column] - kept;
                widths[column] = kept;
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &align), &width) in row.iter().zip(&self.columns).zip(&widths) {
                let text = cut(&cell.text, width);
                let space = " ".repeat(width.saturating_sub(text.width()));
                let text = paint(&text, cell.colour.filter(|_| colours));
                let _ = match align {
                    Align::Right => write!(line, "  {space}{text}"),
                    Align::Left | Align::Flexible => write!(line, "  {text}{space}"),
                };
            }
            let line = line.trim_end();
            out.push_str(if self.flush { line.strip_prefix("  ").unwrap_or(line) } else { line });
            out.push('\n');
        }
        out
    }
}

/// Text in a colour.
pub fn paint(text: &str, colour: Option<&str>) -> String {
    match colour {
        Some(colour) if !text.is_empty() => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        _ => text.to_owned(),
    }
}

/// The text, cut to `width` columns with an ellipsis. Control characters, which would move the cursor, become blanks.
pub fn cut(text: &str, width: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() || acts_on_view(c) { ' ' } else { c }).collect();
    if text.width() <= width {
        return text;
    }
    let mut used = 0;
    let keep = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    let mut kept: String = text.chars().take_while(keep).collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The end of a text in at most `width` columns, with an ellipsis before it if it is shortened: of a path, the end says most.
pub fn cut_start(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or_default();
        used <= width
    };
    let kept: Vec<char> = text.chars().rev().take_while(fits).collect();
    ['…'].into_iter().chain(kept.into_iter().rev()).collect()
}

/// The shortest text that is left of a quoted one, in columns.
const SHORTEST_QUOTE: usize = 12;

/// The text, with its backquoted parts shortened until it fits `width`: the words of the sentence stay.
pub(crate) fn shorten_quotes(text: &str, width: usize) -> String {
    let mut parts: Vec<String> = text.split('`').map(str::to_owned).collect();
    let whole = |parts: &[String]| parts.join("`");
    loop {
        let over = whole(&parts).width().saturating_sub(width);
        let quotes = (1..parts.len()).step_by(2).filter(|&part| parts[part].width() > SHORTEST_QUOTE);
        let Some(longest) = quotes.max_by_key(|&part| parts[part].width()).filter(|_| over > 0) else {
            return whole(&parts);
        };
        // If several quotes are long, each loses a part.
        let now = parts[longest].width();
        parts[longest] = cut(&parts[longest], (now - over.min(now / 2).max(1)).max(SHORTEST_QUOTE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flexible_column_gives_way() {
        let mut table = Table::new([Align::Flexible, Align::Right]);
        table.row(["a long text that will not fit".into(), "12 s".into()]);
        table.row(["short".into(), "3 s".into()]);
        assert_eq!(table.plain(24), "  a long text tha…  12 s\n  short              3 s\n");
        assert_eq!(table.flush().plain(24), "a long text tha…  12 s\nshort              3 s\n");
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(cut_start("/a/b/Dockerfile", 15), "/a/b/Dockerfile");
        assert_eq!(cut_start("/a/b/Dockerfile", 12), "…/Dockerfile");
        assert_eq!(cut_start("/a/界界", 4), "…界");
    }

    #[test]
    fn other_columns_of_text_give_way_after_the_flexible_one() {
        let mut table = Table::new([Align::Left, Align::Flexible, Align::Right, Align::Left]);
        table.row([
            "a_stage_with_a_name".into(),
            "RUN something long".into(),
            "1.00 s".into(),
            "other text here".into(),
        ]);
        assert_eq!(table.plain(59), "  a_stage_with_a_na…  RUN somethi…  1.00 s  other text here\n");
        assert_eq!(table.plain(41), "  a_stage…  RUN somethi…  1.00 s  other t…\n");
    }

    #[test]
    fn the_words_around_quotes_stay() {
        let text = "if `RUN apt-get update && apt-get install -y build-essential` (stage build, line 12) were cached";
        assert_eq!(shorten_quotes(text, 70), "if `RUN apt-get update && apt-get…` (stage build, line 12) were cached");
        assert_eq!(shorten_quotes(text, 200), text);
        let pair = "if both were cached: `RUN aaaaaaaaaaaaaaaaaaaaaaaaaaaa` and `RUN bbbbbbbbbbbbbbbbbbbbbbbbbbbb`";
        let short = shorten_quotes(pair, 60);
        assert!(short.width() <= 60 && short.starts_with("if both were cached: `RUN a"), "{short}");
    }

    #[test]
    fn wide_characters_count_twice_and_controls_do_not_pass() {
        assert_eq!(cut("日本語テキスト", 6), "日本…");
        assert_eq!(cut("a\u{1b}[31mb", 20), "a [31mb");
    }
}
