//! The text of a Dockerfile: the places of its instructions, and the application of edits.

use crate::instruction::Instruction;
use crate::keyword::Keyword;
use crate::layout::Layout;
use crate::rules::{Edit, InstructionChange};
use std::collections::BTreeMap;
use std::ops::Range;

/// The text of a Dockerfile and the places of its instructions.
#[derive(Debug)]
pub struct Source<'t> {
    text: &'t str,
    places: Vec<Place>,
    /// The letter that continues a line.
    escape: char,
}

/// An instruction's place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bytes from the keyword to the end of the last line.
    pub range: Range<usize>,
    /// The offset after the instruction's own lines, where its heredocs start.
    pub documents: usize,
    /// The first line, counted from 1.
    pub line: u32,
    /// The instruction on one line, with single spaces and without heredocs.
    pub text: String,
    /// Whether `text` lost spaces in quotes, so that the instruction cannot be rewritten from it.
    pub spaced: bool,
}

impl<'t> Source<'t> {
    /// Finds the instructions.
    pub fn read(text: &'t str) -> Self {
        let escape =
            if text.lines().take_while(|line| line.starts_with('#')).any(|line| line.replace(' ', "") == "#escape=`") {
                '`'
            } else {
                '\\'
            };
        let mut places: Vec<Place> = Vec::new();
        let mut lines = text.split_inclusive('\n').scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        });
        let mut number = 0;
        while let Some((start, line)) = lines.next() {
            number += 1;
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let first = number;
            let (mut end, mut joined, mut last) =
                (start + line.trim_end_matches(['\n', '\r']).len(), String::new(), line.trim_end());
            loop {
                let continued = last.strip_suffix(escape);
                joined += continued.unwrap_or(last);
                if continued.is_none() {
                    break;
                }
                // Comments and blank lines do not end a continuation.
                let next = loop {
                    let next = lines.next();
                    number += u32::from(next.is_some());
                    match next {
                        Some((_, line)) if line.trim().is_empty() || line.trim_start().starts_with('#') => {}
                        other => break other,
                    }
                };
                let Some((at, line)) = next else { break };
                end = at + line.trim_end_matches(['\n', '\r']).len();
                last = line.trim_end();
            }
            let one_line = joined.split_whitespace().collect::<Vec<_>>().join(" ");
            let below = end;
            for name in heredocs(&one_line) {
                for (at, line) in lines.by_ref() {
                    number += 1;
                    end = at + line.trim_end_matches(['\n', '\r']).len();
                    if line.trim_end_matches(['\n', '\r']).trim_start_matches('\t') == name {
                        break;
                    }
                }
            }
            let documents = text[below..end].find('\n').map_or(end, |line| below + line + 1);
            places.push(Place {
                range: start..end,
                documents,
                line: first,
                text: one_line,
                spaced: is_spaced(&joined),
            });
        }
        Self { text, places, escape }
    }

    /// The instructions, each on one line, followed by its heredocs.
    pub fn instructions(&self) -> impl Iterator<Item = String> + '_ {
        self.places.iter().map(|place| {
            let documents = &self.text[place.documents..place.range.end];
            if documents.trim().is_empty() { place.text.clone() } else { format!("{}\n{documents}", place.text) }
        })
    }

    /// The places of instructions that are known by their text and, where it is known, by their first line. `None` for one that is not
    /// in the text. An edit above them may have moved them since.
    pub fn places<'p>(&'p self, known: &[(&str, Option<u32>)]) -> Vec<Option<&'p Place>> {
        let mut used = vec![false; self.places.len()];
        let one_line =
            |text: &str| text.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let mut find = |(text, line): &(&str, Option<u32>)| {
            let text = one_line(text);
            let same = |at: &usize| !used[*at] && self.places[*at].text.eq_ignore_ascii_case(&text);
            let mut candidates = (0..self.places.len()).filter(same);
            let exact = candidates.clone().find(|&at| Some(self.places[at].line) == *line);
            let at = exact.or_else(|| candidates.next())?;
            used[at] = true;
            Some(&self.places[at])
        };
        known.iter().map(&mut find).collect()
    }

    /// The text after the edits; `None` if an instruction that they change is missing or cannot be written again.
    pub fn applied(&self, edits: &[Edit], places: &[Option<&Place>]) -> Option<String> {
        // The replacement of each instruction; `None` if it is removed.
        let mut written: BTreeMap<usize, InstructionEdit> = BTreeMap::new();
        let (mut removed, mut rewritten) = (Vec::new(), Vec::new());
        for edit in edits {
            let place = (*places.get(edit.step)?)?;
            match edit.change {
                InstructionChange::Lines(_) => rewritten.push(place),
                InstructionChange::Remove => removed.push(place),
                _ => {}
            }
            let raw = &self.text[place.range.clone()];
            let own = written.entry(place.range.start).or_insert_with(|| InstructionEdit::of(raw));
            // Words that the file has on several lines are not found there.
            if let InstructionChange::Word { from, .. } = &edit.change
                && own.lines.iter().all(|line| words_at(line, from).next().is_none())
            {
                return None;
            }
            match &edit.change {
                InstructionChange::MoveAfter(other) => {
                    let moved = std::mem::take(&mut own.lines);
                    let target = (*places.get(*other)?)?;
                    let raw = &self.text[target.range.clone()];
                    written.entry(target.range.start).or_insert_with(|| InstructionEdit::of(raw)).after.extend(moved);
                }
                change => own.change(change),
            }
        }
        for place in rewritten {
            self.lay(place, &removed, &mut written)?;
        }
        let mut out = String::with_capacity(self.text.len() + 200);
        let mut at = 0;
        for (start, written) in written {
            let place = self.places.iter().find(|place| place.range.start == start)?;
            out += &self.text[at..start];
            let all: Vec<&str> =
                [&written.before, &written.lines, &written.after].into_iter().flatten().map(String::as_str).collect();
            out += &all.join("\n");
            at = written.end.unwrap_or(place.range.end);
            // Nothing is left of the line, so its end goes, too.
            if all.is_empty() {
                at += self.text[at..].find('\n').map_or(self.text.len() - at, |end| end + 1);
            }
        }
        Some(out + &self.text[at..])
    }

    /// Gives a rewritten instruction the layout of what it is made of. If that is several RUNs, it takes the place of all. `None` if it
    /// cannot be written.
    fn lay(&self, place: &Place, removed: &[&Place], written: &mut BTreeMap<usize, InstructionEdit>) -> Option<()> {
        let own = written.get(&place.range.start)?;
        let (lines, alone) = (own.lines.clone(), own.before.is_empty() && own.after.is_empty());
        // The RUNs directly before it that go with it. Only comments are between them.
        let index = self.places.iter().position(|other| other.range == place.range)?;
        let run = |place: &&Place| place.text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("run "));
        let gone = |other: &&Place| run(other) && removed.iter().any(|removed| removed.range == other.range);
        let joined = if run(&place) && alone && lines.len() == 1 {
            self.places[..index].iter().rev().take_while(gone).count()
        } else {
            0
        };
        let parts = &self.places[index - joined..=index];
        let has_documents = parts.iter().any(|part| !self.text[part.documents..part.range.end].trim().is_empty());
        let layout = Layout::of(self.text, parts.iter().map(|part| part.range.clone()).collect(), self.escape);
        let Some(laid) = (if has_documents { None } else { layout.lay(&lines) }) else {
            return (!place.spaced).then_some(());
        };
        if !laid.is_whole {
            return (!place.spaced).then_some(());
        }
        let first = parts[0].range.start;
        written.retain(|start, _| *start <= first || *start > place.range.start);
        let whole = written.get_mut(&first)?;
        (whole.lines, whole.end) = (laid.lines, Some(place.range.end));
        Some(())
    }
}

/// Whether quotes have more than one space in a row, or a tab.
fn is_spaced(text: &str) -> bool {
    let (mut quote, mut before) = (None, ' ');
    for letter in text.chars() {
        match quote {
            Some(open) if letter == open && before != '\\' => quote = None,
            Some(_) if letter.is_whitespace() && (letter != ' ' || before == ' ') => return true,
            None if matches!(letter, '"' | '\'') && before != '\\' => quote = Some(letter),
            _ => {}
        }
        before = letter;
    }
    false
}

/// The changes of one instruction.
#[derive(Default)]
struct InstructionEdit {
    before: Vec<String>,
    lines: Vec<String>,
    after: Vec<String>,
    /// The end of the text that it replaces, if that is not its own end.
    end: Option<usize>,
}

impl InstructionEdit {
    fn of(raw: &str) -> Self {
        Self { lines: vec![raw.to_owned()], ..Self::default() }
    }

    fn change(&mut self, change: &InstructionChange) {
        match change {
            InstructionChange::Before(lines) => self.before.extend(lines.iter().cloned()),
            InstructionChange::Remove | InstructionChange::MoveAfter(_) => self.lines.clear(),
            InstructionChange::Lines(lines) => self.lines.clone_from(lines),
            InstructionChange::Flags(_) | InstructionChange::Prefix(_) | InstructionChange::Word { .. } => {
                self.lines = self.lines.iter().map(|line| changed(line, change)).collect();
            }
        }
    }
}

/// The lines of a diff, one for each instruction: `-` and `+` for changed instructions, a space for unchanged ones between them.
pub fn diff(texts: &[&str], edits: &[Edit]) -> Vec<String> {
    let mut written: BTreeMap<usize, InstructionEdit> = BTreeMap::new();
    let mut moves = Vec::new();
    for edit in edits {
        let own = |written: &mut BTreeMap<usize, InstructionEdit>, step: usize| {
            written.entry(step).or_insert_with(|| InstructionEdit::of(texts.get(step).copied().unwrap_or_default()));
        };
        own(&mut written, edit.step);
        if let InstructionChange::MoveAfter(other) = &edit.change {
            moves.push(edit.step..*other);
            own(&mut written, *other);
            let moved = std::mem::take(
                &mut written.get_mut(&edit.step).map(|own| std::mem::take(&mut own.lines)).unwrap_or_default(),
            );
            if let Some(target) = written.get_mut(other) {
                target.after.extend(moved);
            }
        } else if let Some(own) = written.get_mut(&edit.step) {
            own.change(&edit.change);
        }
    }
    let mut out = Vec::new();
    for (step, text) in texts.iter().enumerate() {
        match written.get(&step) {
            Some(own) => {
                let kept = own.lines.len() == 1 && own.lines[0] == *text;
                let plus = |lines: &[String]| lines.iter().map(|line| format!("+{line}")).collect::<Vec<_>>();
                if kept {
                    let (before, after) = (plus(&own.before), plus(&own.after));
                    let whole = format!(" {}", first_line(text));
                    // The lines before an instruction that stays are shown before it.
                    out.extend(before.into_iter().chain([whole]).chain(after));
                } else {
                    let (old, new) = changed_lines(text, &own.lines);
                    out.extend(old.iter().map(|line| format!("-{line}")));
                    out.extend(plus(&own.before));
                    out.extend(plus(&new));
                    out.extend(plus(&own.after));
                }
            }
            None if moves.iter().any(|range| range.contains(&step)) => out.push(format!(" {}", first_line(text))),
            None => {}
        }
    }
    out
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The lines of an instruction with heredocs that a change of its words replaces, and those that replace them.
fn changed_lines(text: &str, lines: &[String]) -> (Vec<String>, Vec<String>) {
    let whole = || (vec![first_line(text).to_owned()], lines.to_vec());
    let [new] = lines else { return whole() };
    if text.lines().count() != new.lines().count() {
        return whole();
    }
    let differ = text.lines().zip(new.lines()).filter(|(old, new)| old != new);
    differ.map(|(old, new)| (old.to_owned(), new.to_owned())).unzip()
}

/// An instruction's text, on one line or several, after a change of its flags or words.
fn changed(raw: &str, change: &InstructionChange) -> String {
    match change {
        InstructionChange::Flags(flags) => {
            let keyword = raw.find(char::is_whitespace).unwrap_or(raw.len());
            format!("{} {flags}{}", &raw[..keyword], &raw[keyword..])
        }
        InstructionChange::Prefix(prefix) => {
            let at = command_start(raw);
            format!("{}{prefix}{}", &raw[..at], &raw[at..])
        }
        InstructionChange::Word { from, to } => word_changed(raw, from, to),
        _ => raw.to_owned(),
    }
}

/// The start of the command of a RUN: after the keyword, the flags, and the continuations between them.
fn command_start(raw: &str) -> usize {
    let mut at = raw.find(char::is_whitespace).unwrap_or(raw.len());
    loop {
        let rest = &raw[at..];
        let trimmed = rest.trim_start();
        let start = at + rest.len() - trimmed.len();
        let line = trimmed.split('\n').next().unwrap_or_default().trim_end();
        if line == "\\" || line == "`" || line.starts_with('#') {
            at = start + trimmed.find('\n').map_or(trimmed.len(), |end| end + 1);
        } else if trimmed.starts_with("--") {
            at = start + trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        } else {
            return start;
        }
        if at >= raw.len() {
            return raw.len();
        }
    }
}

/// A text with each whole word `from` replaced. If `to` is empty, the spaces before the word are removed, too.
pub(crate) fn word_changed(raw: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(raw.len() + to.len());
    let mut last = 0;
    for at in words_at(raw, from) {
        out += &raw[last..at];
        if to.is_empty() {
            out.truncate(out.trim_end_matches(' ').len());
        } else {
            out += to;
        }
        last = at + from.len();
    }
    out + &raw[last..]
}

/// The places at which a text has a word, or several words, as a whole.
pub fn words_at<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, ';' | '&' | '|' | '(' | ')');
    let found = text.match_indices(word).map(|(at, _)| at).filter(move |_| !word.is_empty());
    found.filter(move |&at| {
        text[..at].chars().next_back().is_none_or(ends) && text[at + word.len()..].chars().next().is_none_or(ends)
    })
}

/// The delimiters of the heredocs that an instruction's line begins.
fn heredocs(line: &str) -> Vec<String> {
    let instruction = Instruction::read(line);
    if !matches!(instruction.kind, Some(Keyword::Run | Keyword::Copy | Keyword::Add)) {
        return Vec::new();
    }
    let words = instruction.rest.split_whitespace();
    let named = words.filter_map(|word| {
        let name = word.trim_start_matches(|letter: char| letter.is_ascii_digit()).strip_prefix("<<")?;
        let name = name.trim_start_matches('-').trim_matches(['"', '\'']);
        let plain = !name.is_empty() && !name.contains(['<', '$', '(', '>']);
        plain.then(|| name.split([';', '&', '|']).next().unwrap_or(name).to_owned())
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# escape=\\\nFROM a AS b\n\nRUN one \\\n  # why\n  --two \\\n\n  three\nRUN <<EOF\npip install x\nEOF\nCOPY a \\\n  b /c\nCMD [\"x\"]";

    #[test]
    fn instructions_are_found_with_their_lines() {
        let source = Source::read(FILE);
        let found: Vec<_> = source.places.iter().map(|place| (place.line, place.text.as_str())).collect();
        assert_eq!(
            found,
            [
                (2, "FROM a AS b"),
                (4, "RUN one --two three"),
                (9, "RUN <<EOF"),
                (12, "COPY a b /c"),
                (14, "CMD [\"x\"]")
            ]
        );
        assert_eq!(source.instructions().nth(2).unwrap(), "RUN <<EOF\npip install x\nEOF");
    }

    fn edited(edits: &[Edit]) -> String {
        let source = Source::read(FILE);
        let texts: Vec<String> = source.places.iter().map(|place| place.text.clone()).collect();
        let known: Vec<_> = texts.iter().map(|text| (text.as_str(), None)).collect();
        source.applied(edits, &source.places(&known)).unwrap()
    }

    #[test]
    fn edits_keep_what_they_do_not_change() {
        assert_eq!(edited(&[]), FILE);
        let change = |step, change| Edit { step, change };
        let flagged = edited(&[
            change(1, InstructionChange::Flags("--mount=x".into())),
            change(1, InstructionChange::Word { from: "--two".into(), to: String::new() }),
            change(1, InstructionChange::Prefix("zero && ".into())),
        ]);
        assert_eq!(
            flagged,
            FILE.replace("RUN one \\\n  # why\n  --two \\", "RUN --mount=x zero && one \\\n  # why\n \\")
        );
        let moved = edited(&[
            change(1, InstructionChange::Before(vec!["COPY m /".into()])),
            change(1, InstructionChange::MoveAfter(3)),
        ]);
        assert_eq!(
            moved,
            "# escape=\\\nFROM a AS b\n\nCOPY m /\nRUN <<EOF\npip install x\nEOF\nCOPY a \\\n  b /c\nRUN one \\\n  # why\n  --two \\\n\n  three\nCMD [\"x\"]"
        );
        assert_eq!(edited(&[change(3, InstructionChange::Remove)]), FILE.replace("COPY a \\\n  b /c\n", ""));
    }

    #[test]
    fn spaces_in_quotes_are_not_written_again() {
        let source = Source::read("RUN echo \"a  b\" && make\n");
        let edit = Edit { step: 0, change: InstructionChange::Lines(vec!["RUN echo \"a b\"".into()]) };
        let places = source.places(&[("RUN echo \"a b\" && make", None)]);
        assert_eq!(source.applied(&[edit], &places), None);
    }

    /// A text after a change of its RUNs, which are named by their numbers among all instructions.
    fn rewritten(text: &str, edits: Vec<(usize, InstructionChange)>) -> Option<String> {
        let source = Source::read(text);
        let texts: Vec<String> = source.places.iter().map(|place| place.text.clone()).collect();
        let known: Vec<_> = texts.iter().map(|text| (text.as_str(), None)).collect();
        let edits: Vec<Edit> = edits.into_iter().map(|(step, change)| Edit { step, change }).collect();
        source.applied(&edits, &source.places(&known))
    }

    #[test]
    fn a_split_keeps_lines_comments_and_spaces_in_quotes() {
        let text = "FROM a\nRUN install \\\n    one \\\n    two \\\n    # why\n    && make \"a  b\" \\\n    # last\n    && check\nCMD x\n";
        let lines = ["RUN install one two", "RUN make \"a b\" && check"].map(str::to_owned).to_vec();
        assert_eq!(
            rewritten(text, vec![(1, InstructionChange::Lines(lines))]).unwrap(),
            "FROM a\nRUN install \\\n    one \\\n    two\n# why\nRUN make \"a  b\" \\\n    # last\n    && check\nCMD x\n"
        );
    }

    #[test]
    fn words_are_changed_as_a_whole_or_not_at_all() {
        let word = |from: &str| InstructionChange::Word { from: from.to_owned(), to: "make -j".to_owned() };
        let text = "FROM a\nRUN cmake . && make \\\n    all\nRUN <<X\ncmake .\nmake all\nX\n";
        assert_eq!(rewritten(text, vec![(1, word("make"))]).unwrap(), text.replace("&& make ", "&& make -j "));
        assert_eq!(rewritten(text, vec![(1, word("make all"))]), None, "the file has it on two lines");
        assert_eq!(rewritten(text, vec![(2, word("make"))]).unwrap(), text.replace("make all", "make -j all"));
        let run = "RUN <<X\ncmake .\nmake all\nX";
        let edit = Edit { step: 0, change: word("make") };
        assert_eq!(diff(&[run], &[edit]), ["-make all", "+make -j all"], "the lines that change");
    }

    #[test]
    fn a_merge_takes_the_place_of_the_first_and_keeps_lines_and_comments() {
        let text =
            "# escape=`\nFROM a\n# begin\nRUN one `\n    --two\n\n# middle\nRUN three\nrun four && five\nCMD x\n";
        let whole = vec!["RUN one --two && three && four && five".to_owned()];
        let gone = || InstructionChange::Remove;
        assert_eq!(
            rewritten(text, vec![(1, gone()), (2, gone()), (3, InstructionChange::Lines(whole))]).unwrap(),
            "# escape=`\nFROM a\n# begin\nRUN one `\n    --two `\n    # middle\n    && three `\n    && four && five\nCMD x\n"
        );
        // What is short stays short.
        let whole = || InstructionChange::Lines(vec!["RUN a && b".to_owned()]);
        assert_eq!(
            rewritten("FROM a\nRUN a\nRUN b\n", vec![(1, gone()), (2, whole())]).unwrap(),
            "FROM a\nRUN a && b\n"
        );
    }
}
