//! Finds the start of the builder's text in each line: CI services and tools write times, names, numbers and markers before it.
//!
//! The shapes of these prefixes are learned from the lines that only a builder writes ([`super::super::marks`]). A line of another kind
//! is cut where a learned shape ends.

use super::super::duration::duration;
use super::super::marks::{self, Mark};
use super::stamp::{self, Stamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The most parts of a prefix. Each service on the way of a line may write some.
const LONGEST: usize = 80;

/// The number of different words at one place of a shape above which all words are accepted.
const VARIANTS: usize = 8;

/// The most words with their numbers that are kept for one place of a shape.
const COUNTED: usize = 64;

/// A shape is accepted if it has at least one line for this number of lines of the most frequent shape.
const SHARE: usize = 20;

/// If a shape has this number of lines, a shape with a single line belongs to another program.
const FEW: usize = 4;

/// The kind of a part of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum PartKind {
    Stamp,
    Number,
    Word,
    Space,
    Char(char),
}

/// A part of a prefix.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PrefixPart<'t> {
    kind: PartKind,
    text: &'t str,
    stamp: Option<Stamp>,
}

/// The parts at the start of a line, at most `limit`, with the end of each.
fn parts(line: &str, limit: usize) -> Vec<(PrefixPart<'_>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = line[at..].chars().next().filter(|_| found.len() < limit) {
        let rest = &line[at..];
        let (kind, length, stamp) = match stamp::read(rest) {
            Some((length, stamp)) => (PartKind::Stamp, length, Some(stamp)),
            None if first.is_ascii_digit() => number(rest),
            None if first.is_alphanumeric() => (PartKind::Word, alphanumeric(rest), None),
            None if first.is_whitespace() => {
                (PartKind::Space, rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len()), None)
            }
            None => (PartKind::Char(first), first.len_utf8(), None),
        };
        at += length;
        // Numbers that are aligned to the right have spaces before them, but for the longest.
        let aligned =
            found.is_empty() && kind == PartKind::Space && line[at..].starts_with(|c: char| c.is_ascii_digit());
        if !aligned {
            found.push((PrefixPart { kind, text: &rest[..length], stamp }, at));
        }
    }
    found
}

fn alphanumeric(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len())
}

/// A number with an optional fraction, or a duration (`1m2.5s`); a word if other letters follow.
fn number(text: &str) -> (PartKind, usize, Option<Stamp>) {
    let whole = alphanumeric(text);
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let fraction = |point: char| {
        let rest = text[digits..].strip_prefix(point).unwrap_or_default();
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        (length, &rest[length..])
    };
    let fraction = match (fraction('.'), fraction(',')) {
        ((0, _), (3 | 6 | 9, rest)) if rest.starts_with([' ', '\t', ']', ')', 's']) => {
            text[digits..].len() - rest.len()
        }
        ((0, _), _) => 0,
        ((length, _), _) => length + 1,
    };
    let end = digits + fraction;
    let after = &text[end..];
    // `[1234 ms]`, as editors write the time since the start.
    if after.strip_prefix(" ms").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)) {
        return (PartKind::Number, end + " ms".len(), None);
    }
    let unit = usize::from(after.starts_with('s'));
    if after[unit..].starts_with(char::is_alphanumeric) {
        let written = text.find(|c: char| !c.is_ascii_digit() && !".hmsµnu".contains(c)).unwrap_or(text.len());
        let ends = !text[written..].starts_with(char::is_alphanumeric) && duration(&text[..written]).is_some();
        return if ends { (PartKind::Number, written, None) } else { (PartKind::Word, whole.max(1), None) };
    }
    (PartKind::Number, end + unit, None)
}

/// A number or a duration in a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// The value in units of 10⁻⁹.
    pub(crate) value: i128,
    /// Whether it is written with a unit of time, so that it cannot be the number of a line.
    pub(crate) has_unit: bool,
}

impl Number {
    fn read(text: &str) -> Option<Self> {
        let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        value(text).map(|value| Self { value, has_unit })
    }
}

/// The value of a number or of a duration as it is written, in units of 10⁻⁹.
pub(crate) fn value(text: &str) -> Option<i128> {
    if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return duration(&text.replace(' ', ""));
    }
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let fraction = &fraction[..fraction.len().min(9)];
    if whole.len() > 20 {
        return None;
    }
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole.parse::<i128>().ok()? * 1_000_000_000 + part * i128::pow(10, 9 - fraction.len() as u32))
}

type Shape = Vec<PartKind>;

/// The learned facts about one shape.
#[derive(Debug, Default)]
struct Learned {
    count: usize,
    /// The words at each place; no set if there are too many to matter.
    words: Vec<Option<HashSet<String>>>,
    /// The words at each place with the numbers at their ends, at most [`COUNTED`].
    counted: Vec<HashSet<String>>,
}

impl Learned {
    /// Whether the words at a place count lines, as `L12` does: most lines have another one.
    fn counts(&self, place: usize) -> bool {
        let different = self.counted.get(place).map_or(0, HashSet::len);
        different > VARIANTS && (different >= COUNTED || different * 2 > self.count)
    }

    /// The words at all places, except at those with too many different words.
    fn names(&self) -> BTreeSet<String> {
        self.words.iter().flatten().flatten().filter(|word| !is_marker(word)).cloned().collect()
    }
}

/// The learned shapes.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    shapes: HashMap<Shape, Learned>,
    /// Lengths of accepted shapes, longest first.
    lengths: Vec<usize>,
    /// The number of lines of each builder's form of log.
    pub(crate) marks: BTreeMap<Mark, usize>,
}

/// The way in which a quoted text writes a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// Behind a backslash, like all special characters.
    Escaped,
    /// Twice, as CSV does.
    Doubled,
    /// A single quote: twice, as SQL and YAML do, or behind a backslash, as Python does.
    Single,
}

/// A line without its prefix.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cut<'t> {
    /// The length of the prefix.
    pub(crate) length: usize,
    /// The times in the prefix.
    pub(crate) stamps: Vec<Stamp>,
    /// The numbers in the prefix.
    pub(crate) numbers: Vec<Number>,
    /// The names in the prefix: of the job, the service, the container.
    pub(crate) label: Vec<&'t str>,
    /// The quoting of the text, as in `msg="…"`.
    pub(crate) quote: Option<Quote>,
    /// Whether the prefix has a learned shape.
    pub(crate) known: bool,
}

impl Prefixes {
    /// Learns the shapes of the prefixes in a log.
    pub(crate) fn learn<'t>(lines: impl Iterator<Item = &'t str>) -> Self {
        let mut shapes: HashMap<Shape, Learned> = HashMap::new();
        let mut counts: HashMap<Shape, BTreeMap<Mark, usize>> = HashMap::new();
        for line in lines {
            let Some((at, mark)) = marks::find(line) else { continue };
            let parts = parts(&line[..at], LONGEST + 1);
            if parts.len() > LONGEST {
                continue;
            }
            let shape: Shape = parts.iter().map(|(part, _)| part.kind).collect();
            *counts.entry(shape.clone()).or_default().entry(mark).or_default() += 1;
            let learned = shapes.entry(shape).or_default();
            learned.count += 1;
            learned.words.resize(parts.len(), Some(HashSet::new()));
            learned.counted.resize(parts.len(), HashSet::new());
            for (((part, _), words), counted) in parts.iter().zip(&mut learned.words).zip(&mut learned.counted) {
                if part.kind == PartKind::Word && counted.len() < COUNTED && ends_in_digit(part.text) {
                    counted.insert(part.text.to_owned());
                }
                if part.kind == PartKind::Word && words.as_mut().is_some_and(|words| words.len() >= VARIANTS) {
                    *words = None;
                } else if let (PartKind::Word, Some(words)) = (part.kind, words) {
                    words.insert(without_counter(part.text).to_owned());
                }
            }
        }
        let first = shapes.values().max_by_key(|learned| learned.count);
        let (most, names) = first.map_or_else(Default::default, |first| (first.count, first.names()));
        // The lines of a terminal's display begin with a space, but not its head.
        let spaced: HashSet<Shape> = shapes
            .iter()
            .filter(|(shape, learned)| shape.last() == Some(&PartKind::Space) && learned.count == most)
            .map(|(shape, _)| shape[..shape.len() - 1].to_vec())
            .collect();
        shapes.retain(|shape, learned| {
            let single =
                || most < FEW || is_header(shape) || is_fence(shape) || (!names.is_empty() && learned.names() == names);
            spaced.contains(shape) || (learned.count * SHARE >= most && (learned.count > 1 || single()))
        });
        let mut marks = BTreeMap::new();
        for (mark, count) in shapes.keys().filter_map(|shape| counts.get(shape)).flatten() {
            *marks.entry(*mark).or_default() += count;
        }
        let mut lengths: Vec<usize> = shapes.keys().map(Vec::len).collect::<HashSet<_>>().into_iter().collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        Self { shapes, lengths, marks }
    }

    /// Cuts the prefix of a line.
    pub(crate) fn cut<'t>(&self, line: &'t str) -> Cut<'t> {
        if let Some((at, _)) = marks::find(line) {
            let own = parts(&line[..at], LONGEST + 1);
            let shape: Shape = own.iter().map(|(part, _)| part.kind).collect();
            if let Some(learned) = self.shapes.get(&shape) {
                return described(&own, at, learned);
            }
        }
        let own = parts(line, self.lengths.first().copied().unwrap_or(0));
        let kinds: Shape = own.iter().map(|(part, _)| part.kind).collect();
        for &length in self.lengths.iter().filter(|&&length| length <= own.len()) {
            if let Some(learned) = self.shapes.get(&kinds[..length])
                && own[..length].iter().zip(&learned.words).all(|((part, _), words)| fits(part, words.as_ref()))
            {
                return described(&own[..length], length.checked_sub(1).map_or(0, |last| own[last].1), learned);
            }
        }
        Cut::default()
    }
}

/// Whether a service writes such a prefix before the first line of a command: a time with at most a name.
fn is_header(shape: &Shape) -> bool {
    let count = |kind| shape.iter().filter(|part| **part == kind).count();
    count(PartKind::Stamp) > 0 && count(PartKind::Word) < 2
}

/// Whether a shape is the mark that chats and Markdown have before a text, in the same line as its beginning.
fn is_fence(shape: &Shape) -> bool {
    !shape.is_empty() && shape.iter().all(|part| *part == PartKind::Char('`'))
}

fn fits(part: &PrefixPart<'_>, words: Option<&HashSet<String>>) -> bool {
    let level = |words: &HashSet<String>| is_marker(part.text) && words.iter().any(|word| is_marker(word));
    part.kind != PartKind::Word || words.is_none_or(|words| words.contains(without_counter(part.text)) || level(words))
}

/// A word without the number at its end, which may count lines (`L12`).
fn without_counter(word: &str) -> &str {
    word.trim_end_matches(|c: char| c.is_ascii_digit())
}

fn ends_in_digit(word: &str) -> bool {
    word.ends_with(|c: char| c.is_ascii_digit())
}

fn described<'t>(parts: &[(PrefixPart<'t>, usize)], length: usize, learned: &Learned) -> Cut<'t> {
    let mut cut = Cut { length, known: true, ..Cut::default() };
    for (index, (part, _)) in parts.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| parts[before].0.kind);
        match part.kind {
            PartKind::Stamp => cut.stamps.extend(part.stamp),
            PartKind::Number if matches!(before, Some(PartKind::Word | PartKind::Char('-' | '_' | '/' | '#'))) => {
                cut.label.push(part.text)
            }
            PartKind::Number => cut.numbers.extend(Number::read(part.text)),
            PartKind::Word if learned.counts(index) => cut.label.push(without_counter(part.text)),
            PartKind::Word if !is_marker(part.text) => cut.label.push(part.text),
            PartKind::Word | PartKind::Space | PartKind::Char(_) => {}
        }
    }
    cut.quote = quote(parts);
    cut
}

/// The quote that a prefix opens and does not close, as in `msg="` or `msg="[build] `.
fn quote(parts: &[(PrefixPart<'_>, usize)]) -> Option<Quote> {
    let mut open = None;
    for (index, (part, _)) in parts.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &parts[before].0);
        match (part.kind, open) {
            (PartKind::Char(mark), Some((opened, _))) if mark == opened => open = None,
            // An apostrophe or the sign of an inch is behind a word.
            (PartKind::Char(mark @ ('"' | '\'')), None)
                if before.is_none_or(|before| !matches!(before.kind, PartKind::Word | PartKind::Number)) =>
            {
                open = Some((mark, before));
            }
            _ => {}
        }
    }
    let (mark, before) = open?;
    let between = |part: &PrefixPart<'_>| matches!(part.kind, PartKind::Char(',' | ';')) || part.text.contains('\t');
    Some(match mark {
        '\'' => Quote::Single,
        _ if before.is_none_or(between) => Quote::Doubled,
        _ => Quote::Escaped,
    })
}

/// Whether a word names a stream or a level: the lines of one build may have different ones.
fn is_marker(word: &str) -> bool {
    const MARKERS: [&str; 23] = [
        "stdout", "stderr", "out", "err", "o", "e", "f", "p", "i", "w", "d", "t", "info", "warn", "warning", "error",
        "debug", "notice", "trace", "stream", "level", "log", "pr",
    ];
    let lower = word.to_ascii_lowercase();
    let gitlab =
        lower.len() == 3 && lower.ends_with(['o', 'e']) && lower[..2].bytes().all(|byte| byte.is_ascii_hexdigit());
    gitlab || MARKERS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(learned: &[&str], line: &str) -> (String, usize, Vec<String>) {
        let cut = Prefixes::learn(learned.iter().copied()).cut(line);
        (line[cut.length..].to_owned(), cut.stamps.len(), cut.label.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn prefixes_of_ci_services_are_cut() {
        for (line, stamps, label) in [
            ("build\tBuild and push\t2026-03-01T10:00:00.1234567Z #1 [internal] load x", 1, "build Build and push"),
            ("2026-03-01T10:00:00.123456Z 01O #1 [internal] load x", 1, ""),
            ("web-1  | #1 [internal] load x", 0, "web 1"),
            ("2026-03-01T10:00:00.1Z stderr F #1 [internal] load x", 1, ""),
            ("[10:00:00] :\t [Step 1/2] #1 [internal] load x", 1, "Step 2"),
            ("  12 #1 [internal] load x", 0, ""),
            ("> #1 [internal] load x", 0, ""),
            ("Mar 01 10:00:00 host docker[123]: #1 [internal] load x", 1, "host docker"),
            ("Step #0 - \"build\": #1 [internal] load x", 0, "Step 0 build"),
            ("#1 [internal] load x", 0, ""),
        ] {
            let (text, found, names) = cut(&[line], line);
            assert_eq!(
                (text.as_str(), found, names.join(" ").as_str()),
                ("#1 [internal] load x", stamps, label),
                "{line}"
            );
        }
    }

    #[test]
    fn other_lines_are_cut_by_the_learned_shape() {
        let learned = ["10:00:00 a | #1 [internal] load x", "10:00:01 a | #1 DONE 0.1s"];
        assert_eq!(cut(&learned, "10:00:05 a | cancelled").0, "cancelled");
        assert_eq!(cut(&learned, "10:00:05 b | cancelled").0, "10:00:05 b | cancelled");
        assert_eq!(cut(&learned, "nothing").0, "nothing");
    }

    /// Packer marks lines of standard error by an arrow; sbt and others name a level.
    #[test]
    fn lines_of_one_program_may_be_marked_differently() {
        let learned = [
            "    app.x: #1 [internal] load x",
            "    app.x: #1 DONE 0.1s",
            "    app.x: #2 [1/1] RUN a",
            "    app.x: #2 DONE 0.1s",
        ];
        let odd = "==> app.x: #3 [internal] load y";
        assert_eq!(cut(&[&learned[..], &[odd]].concat(), odd).0, "#3 [internal] load y");
        let other = "==> other: #3 [internal] load y";
        assert_eq!(cut(&[&learned[..], &[other]].concat(), other).0, other);
        let levels = ["[info] #1 [internal] load x", "[info] #1 DONE 0.1s"];
        assert_eq!(cut(&levels, "[error] failed").0, "failed");
        assert_eq!(cut(&levels, "[other] failed").0, "[other] failed");
    }

    #[test]
    fn the_head_of_a_display_has_the_prefix_of_its_lines() {
        let display = ["+[+] Building 4.2s (3/3) FINISHED", "+ => [1/2] RUN a  1.0s", "+ => [2/2] RUN b  3.0s"];
        let more = ["+ => exporting to image  0.1s"; 4];
        assert_eq!(cut(&[&display[..], &more].concat(), display[0]).0, "[+] Building 4.2s (3/3) FINISHED");
    }

    #[test]
    fn numbers_have_values() {
        assert_eq!(
            (value("12"), value("1.5"), value("0.25s"), value("")),
            (Some(12_000_000_000), Some(1_500_000_000), Some(250_000_000), None)
        );
    }
}
