//! The text that the shell of a RUN reads, and where it is in the Dockerfile.

use super::{Command, Dockerfile, Heredoc, Run, Word};

/// The directory for the file of a heredoc with `#!`, which is that of BuildKit.
const SCRIPTS: &str = "/dev/pipes";

/// The text that the shell of a RUN reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The text.
    pub text: String,
    /// The path of the file from which the text is executed; `None` if the text is an argument of the shell.
    pub file: Option<String>,
    /// The pieces of the Dockerfile that make up the text; empty for a trigger of a base image.
    pub pieces: Vec<Piece>,
}

/// A piece of a script. After each newline within it, the next line of the Dockerfile goes on at its first column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first byte of the piece in the script.
    pub at: u32,
    /// The line in the Dockerfile, counted from 1.
    pub line: u32,
    /// The column in that line, in characters, counted from 1.
    pub column: u32,
}

impl Run<'_> {
    /// Returns the script of a RUN in the shell form.
    pub fn script(&self, file: &Dockerfile<'_>) -> Option<Script> {
        match &self.command {
            Command::Shell(word) => Some(Script::of(file, word, &self.heredocs)),
            Command::Exec(_) => None,
        }
    }
}

/// Returns the pieces of the last string of a JSON array, which is the text of a shell (`["sh", "-c", "make"]`). Empty if its characters
/// are not those of the Dockerfile one by one: it has an escape with a number, or is on several lines.
pub fn pieces_of_last(file: &Dockerfile<'_>, words: &[Word<'_>]) -> Vec<Piece> {
    let mut pieces = Pieces { file, list: Vec::new() };
    let Some(last) = words.last() else { return pieces.list };
    let array = last.span.range();
    let text = file.text.get(array.clone()).unwrap_or_default();
    let Some(end) = text.trim_end().strip_suffix(']').and_then(|text| text.trim_end().strip_suffix('"')) else {
        return pieces.list;
    };
    // A quote that begins a string has no backslash before it.
    let mut quotes = end.match_indices('"').map(|(at, _)| at);
    let Some(start) = quotes.rfind(|&at| !end[..at].ends_with('\\')).map(|at| at + 1) else { return pieces.list };
    let (mut read, mut at) = (String::new(), 0);
    pieces.add(0, array.start + start);
    while let Some(letter) = end[start + at..].chars().next() {
        let escaped = end[start + at + letter.len_utf8()..].chars().next().filter(|_| letter == '\\');
        let (plain, length) = match escaped {
            None => (letter, letter.len_utf8()),
            Some(next @ ('"' | '\\' | '/')) => (next, 2),
            Some('n') => ('\n', 2),
            Some('t') => ('\t', 2),
            Some(_) => return Vec::new(),
        };
        read.push(plain);
        at += length;
        if escaped.is_some() {
            pieces.add(read.len(), array.start + start + at);
        }
    }
    if read == *last.text { pieces.list } else { Vec::new() }
}

impl Script {
    /// Returns the script of a command in the shell form with its heredocs.
    ///
    /// If the command is only a heredoc, the script is its content. Otherwise the script contains the heredocs, and the
    /// shell reads them.
    pub fn of(file: &Dockerfile<'_>, word: &Word<'_>, documents: &[Heredoc]) -> Self {
        let joined = file.pieces(word);
        let known = !joined.is_empty();
        let mut pieces = Pieces { file, list: Vec::new() };
        let script = match documents.first() {
            Some(first) if matches!(Heredoc::parse(word), Ok(Some(_))) => {
                let text = first.text().into_owned();
                if known {
                    pieces.add_document(first);
                }
                let file = text.starts_with("#!").then(|| format!("{SCRIPTS}/{}", first.name));
                Self { text, file, pieces: Vec::new() }
            }
            _ => {
                let mut text = word.text.to_string();
                joined.iter().for_each(|&(at, offset)| pieces.add(at, offset));
                for document in documents {
                    text.push('\n');
                    if known {
                        pieces.add(text.len(), document.span.range().start);
                    }
                    text += &document.content;
                    text += &document.name;
                }
                Self { text, file: None, pieces: Vec::new() }
            }
        };
        Self { pieces: pieces.list, ..script }
    }
}

struct Pieces<'a> {
    file: &'a Dockerfile<'a>,
    list: Vec<Piece>,
}

impl Pieces<'_> {
    /// From the byte `at` on, the text is that of the Dockerfile from `offset` on.
    fn add(&mut self, at: usize, offset: usize) {
        let (line, column) = self.file.line_and_column(offset);
        // A Dockerfile is shorter than 4 GiB.
        self.list.push(Piece { at: u32::try_from(at).unwrap_or(u32::MAX), line, column });
    }

    /// Adds the content of a document. If leading tabs are removed, each line is a piece of its own.
    fn add_document(&mut self, document: &Heredoc) {
        let start = document.span.range().start;
        if !document.chomp {
            return self.add(0, start);
        }
        let (first, _) = self.file.line_and_column(start);
        let mut at = 0;
        for (line, number) in document.content.split_inclusive('\n').zip(0..) {
            let kept = line.trim_start_matches('\t');
            let tabs = u32::try_from(line.len() - kept.len()).unwrap_or(u32::MAX);
            self.list.push(Piece { at, line: first + number, column: tabs.saturating_add(1) });
            at += u32::try_from(kept.len()).unwrap_or(u32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Command, Kind, parse};

    /// The script of the last instruction, and what each of its pieces is in the Dockerfile.
    fn pieces(text: &str) -> (String, Vec<(String, u32, u32)>) {
        let file = parse(text).unwrap();
        let Kind::Run(run) = &file.instructions.last().unwrap().kind else { panic!("a RUN") };
        let script = run.script(&file).expect("a shell");
        let ends = script.pieces.iter().skip(1).map(|piece| piece.at as usize).chain([script.text.len()]);
        let shown = script
            .pieces
            .iter()
            .zip(ends)
            .map(|(piece, end)| (script.text[piece.at as usize..end].to_owned(), piece.line, piece.column));
        let shown = shown.collect();
        (script.text, shown)
    }

    fn piece(text: &str, line: u32, column: u32) -> (String, u32, u32) {
        (text.to_owned(), line, column)
    }

    #[test]
    fn continuation_lines_are_pieces() {
        let (text, pieces) = pieces("FROM a\nRUN --network=none \\\n  make && \\\n# why\n\n  strip é \\\n && ls\n");
        assert_eq!(text, "make &&   strip é  && ls");
        assert_eq!(pieces, [piece("make && ", 3, 3), piece("  strip é ", 6, 1), piece(" && ls", 7, 1)]);
    }

    #[test]
    fn the_text_of_a_shell_in_an_array_has_places() {
        let pieces = |run: &str| {
            let text = format!("FROM a\n{run}\n");
            let file = parse(&text).unwrap();
            let Kind::Run(run) = &file.instructions.last().unwrap().kind else { panic!("a RUN") };
            let Command::Exec(words) = &run.command else { panic!("an array") };
            let last = words.last().unwrap().text.to_string();
            let found = super::pieces_of_last(&file, words);
            let shown: Vec<_> =
                found.iter().map(|piece| (last[piece.at as usize..].to_owned(), piece.column)).collect();
            shown
        };
        let piece = |text: &str, column| (text.to_owned(), column);
        assert_eq!(pieces("RUN [\"sh\", \"-c\", \"make && ls\" ]"), [piece("make && ls", 19)]);
        assert_eq!(
            pieces(r#"RUN ["sh","-c","é \"a\" b"]"#),
            [piece("é \"a\" b", 17), piece("a\" b", 21), piece(" b", 24)]
        );
        assert_eq!(pieces(r#"RUN ["sh","-c","\u0061"]"#), []);
        assert_eq!(pieces("RUN [\"sh\",\"-c\",\"a && \\\n b\"]"), []);
    }

    #[test]
    fn an_escape_of_windows_joins_lines_too() {
        let (_, pieces) = pieces("# escape=`\nFROM a\nRUN a `\n && b\\c\n");
        assert_eq!(pieces, [piece("a ", 3, 5), piece(" && b\\c", 4, 1)]);
    }

    #[test]
    fn a_heredoc_starts_below_its_instruction() {
        let (text, shown) = pieces("FROM a\nRUN <<EOF\nmake\nls\nEOF\n");
        assert_eq!((text.as_str(), shown), ("make\nls\n", vec![piece("make\nls\n", 3, 1)]));
        let (_, shown) = pieces("FROM a\nRUN <<-EOF\n\t\tmake\n\tls\nEOF\n");
        assert_eq!(shown, [piece("make\n", 3, 3), piece("ls\n", 4, 2)]);
        let (_, shown) = pieces("FROM a\nRUN cat <<X > /f && \\\n sort /f\nb\nX\n");
        assert_eq!(shown, [piece("cat <<X > /f && ", 2, 5), piece(" sort /f\n", 3, 1), piece("b\nX", 4, 1)]);
    }
}
