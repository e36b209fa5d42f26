//! The layout of rewritten instructions: the lines, continuations and comments of the text that they come from.

use std::collections::BTreeSet;
use std::ops::Range;

/// The most comparisons of words for one change. A longer instruction is written on one line.
const MOST_COMPARISONS: usize = 4_000_000;

/// A chain that is longer than this gets a line for each instruction that it is made of.
const LONGEST_LINE: usize = 100;

/// A word of the text.
struct Word {
    range: Range<usize>,
    text: String,
    /// The number of its instruction among those given.
    part: usize,
}

/// Instructions of a Dockerfile's text, in order, whose words a change uses again.
pub(crate) struct Layout<'t> {
    text: &'t str,
    parts: Vec<Range<usize>>,
    words: Vec<Word>,
    escape: char,
}

/// Instructions in their layout.
pub(crate) struct Laid {
    /// The texts, each of one instruction or more.
    pub(crate) lines: Vec<String>,
    /// Whether they are all words of the text, apart from keywords, flags and `&&`.
    pub(crate) is_whole: bool,
}

impl<'t> Layout<'t> {
    /// Reads the words of some instructions, given by their places in the text.
    pub(crate) fn of(text: &'t str, parts: Vec<Range<usize>>, escape: char) -> Self {
        let mut layout = Self { text, parts, words: Vec::new(), escape };
        for part in 0..layout.parts.len() {
            layout.read(part);
        }
        layout
    }

    fn read(&mut self, part: usize) {
        let Range { start, end } = self.parts[part].clone();
        let mut at = start;
        let mut open: Option<Word> = None;
        let mut continues = false;
        for line in self.text[start..end].split_inclusive('\n') {
            let (first, content) = (at, line.trim_end());
            at += line.len();
            // Comments and blank lines do not end a continuation, and are not a part of it.
            if continues && (content.trim().is_empty() || content.trim_start().starts_with('#')) {
                continue;
            }
            let kept = content.strip_suffix(self.escape);
            continues = kept.is_some();
            for (offset, letter) in kept.unwrap_or(content).char_indices() {
                let place = first + offset;
                if letter.is_whitespace() {
                    self.words.extend(open.take());
                    continue;
                }
                let word = open.get_or_insert(Word { range: place..place, text: String::new(), part });
                word.text.push(letter);
                word.range.end = place + letter.len_utf8();
            }
        }
        self.words.extend(open);
    }

    /// The instructions with the lines of the text; `None` if the text has too many words.
    pub(crate) fn lay(&self, lines: &[String]) -> Option<Laid> {
        let wanted: Vec<(usize, &str)> = lines
            .iter()
            .enumerate()
            .flat_map(|(line, text)| text.split_whitespace().map(move |word| (line, word)))
            .collect();
        let found = self.matched(&wanted)?;
        let linking = |word: &str| word.eq_ignore_ascii_case("RUN") || matches!(word, "&&" | ";");
        let used: BTreeSet<usize> = found.iter().filter_map(|from| *from).collect();
        let added = wanted.iter().zip(&found).filter(|(_, from)| from.is_none());
        let is_whole = self.words.iter().enumerate().all(|(at, word)| used.contains(&at) || linking(&word.text))
            && added.into_iter().all(|((_, word), _)| linking(word) || word.starts_with("--"));
        let mut laid = Laid { lines: vec![String::new(); lines.len()], is_whole };
        let several = self.parts.iter().any(|part| self.text[part.clone()].contains('\n'))
            || self.parts.windows(2).any(|pair| comments(&self.text[pair[0].end..pair[1].start]).next().is_some())
            || lines.iter().any(|line| line.len() > LONGEST_LINE);
        let mut last: Option<usize> = None;
        for (at, &(line, word)) in wanted.iter().enumerate() {
            let from = found[at];
            let begins = laid.lines[line].is_empty();
            // The word that comes next in the text decides which comments belong here.
            let next = found[at..].iter().find_map(|from| *from);
            let changes_part = match (last, next) {
                (Some(last), Some(next)) => self.words[last].part != self.words[next].part,
                _ => false,
            };
            let adjoins = !begins && from.is_some() && last.map(|last| last + 1) == from;
            if let (true, Some(last), Some(from)) = (adjoins, last, from)
                && self.words[last].part == self.words[from].part
            {
                laid.lines[line] += &self.text[self.words[last].range.end..self.words[from].range.start];
            } else if begins {
                if let (Some(last), Some(next)) = (last, next) {
                    for comment in comments(&self.text[self.words[last].range.end..self.words[next].range.start]) {
                        laid.lines[line] += comment;
                        laid.lines[line].push('\n');
                    }
                }
            } else if word == "&&" && from.is_none() && changes_part && several {
                let (last, next) = (last?, next?);
                laid.lines[line] += &format!(" {}\n", self.escape);
                for comment in comments(&self.text[self.words[last].range.end..self.words[next].range.start]) {
                    laid.lines[line] += &format!("    {comment}\n");
                }
                laid.lines[line] += "    ";
            } else {
                laid.lines[line].push(' ');
            }
            match from {
                Some(from) => {
                    laid.lines[line] += &self.text[self.words[from].range.clone()];
                    last = Some(from);
                }
                None => laid.lines[line] += word,
            }
        }
        Some(laid)
    }

    /// The word of the text that each wanted word is, by the longest common subsequence.
    fn matched(&self, wanted: &[(usize, &str)]) -> Option<Vec<Option<usize>>> {
        let (rows, columns) = (self.words.len(), wanted.len());
        if rows.saturating_mul(columns) > MOST_COMPARISONS {
            return None;
        }
        let width = columns + 1;
        let mut lengths = vec![0_u32; (rows + 1) * width];
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                lengths[row * width + column] = if self.words[row].text == wanted[column].1 {
                    lengths[(row + 1) * width + column + 1] + 1
                } else {
                    lengths[(row + 1) * width + column].max(lengths[row * width + column + 1])
                };
            }
        }
        let mut found = vec![None; columns];
        let (mut row, mut column) = (0, 0);
        while row < rows && column < columns {
            if self.words[row].text == wanted[column].1 {
                found[column] = Some(row);
                (row, column) = (row + 1, column + 1);
            } else if lengths[(row + 1) * width + column] >= lengths[row * width + column + 1] {
                row += 1;
            } else {
                column += 1;
            }
        }
        Some(found)
    }
}

/// The comment lines in a part of the text.
fn comments(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| line.starts_with('#'))
}
