//! Texts that the shell's grammar does not accept as a whole: `coproc` with a name, and what only zsh knows. Their commands are read one
//! by one, as far as that is possible.

use brush_parser::ast::CompoundList;
use buildscope_commands::grammar::parse;
use std::ops::Range;

/// The longest text that is read in pieces, the most of them that are one command, and the most attempts.
const LONGEST: usize = 8 << 10;
const TOGETHER: usize = 40;
const ATTEMPTS: usize = 150;
/// The most words that each double the time of an attempt.
const NESTED: usize = 8;

/// A part of a text.
pub(super) enum Part {
    /// Commands that the grammar accepts.
    Read(Vec<CompoundList>),
    /// Commands that the shell does not wait for.
    Background(Vec<CompoundList>),
    /// Something that the grammar does not accept.
    Unread(Range<usize>),
}

/// The parts of a text that the grammar does not accept; `None` if they cannot be told apart.
pub(super) fn parts(text: &str) -> Option<Vec<Part>> {
    let pieces = pieces(text).filter(|pieces| pieces.len() > 1)?;
    let whole = |from: usize, to: usize| pieces[from].start..pieces[to].end;
    let (mut parts, mut at, mut attempts) = (Vec::new(), 0, 0);
    while at < pieces.len() && attempts < ATTEMPTS {
        let read = (at..pieces.len()).take(TOGETHER).find_map(|end| {
            attempts += 1;
            Some((end, part(text, whole(at, end))?))
        });
        let (end, part) = read.unwrap_or_else(|| {
            let end = end_of(text, &pieces, at);
            (end, Part::Unread(whole(at, end)))
        });
        let next = text[pieces[end].end..].trim_start();
        parts.push(match part {
            Part::Read(lists) if next.starts_with('&') && !next.starts_with("&&") => Part::Background(lists),
            part => part,
        });
        at = end + 1;
    }
    (attempts < ATTEMPTS).then_some(parts)
}

/// The piece that ends the loop or branch that begins in this one; the same piece if there is none.
fn end_of(text: &str, pieces: &[Range<usize>], at: usize) -> usize {
    const BEGIN: [&str; 9] = ["for", "foreach", "while", "until", "if", "case", "select", "switch", "begin"];
    const END: [&str; 4] = ["end", "done", "fi", "esac"];
    let mut depth = 0_i32;
    for (number, piece) in pieces.iter().enumerate().skip(at) {
        let first = text[piece.clone()].split_whitespace().next().unwrap_or_default();
        depth += i32::from(BEGIN.contains(&first)) - i32::from(END.contains(&first));
        if depth <= 0 {
            return number;
        }
    }
    at
}

/// Reads a part of a text by the grammar. The places of its words are those in the whole text.
pub(super) fn parse_part(text: &str, part: Range<usize>) -> Option<Vec<CompoundList>> {
    let blank: String = text[..part.start].chars().map(|_| ' ').collect();
    parse(&(blank + &text[part]))
}

/// Reads a part. Its places are those in the whole text.
fn part(text: &str, place: Range<usize>) -> Option<Part> {
    let of =
        |from: usize| parse_part(text, from..place.end).filter(|lists| lists.iter().any(|list| !list.0.is_empty()));
    let command = &text[place.clone()];
    let Some(rest) = command.strip_prefix("coproc").filter(|rest| rest.starts_with(char::is_whitespace)) else {
        return of(place.start).map(Part::Read);
    };
    // A compound command may have a name before it.
    let from = place.end - rest.trim_start().len();
    let name = text[from..place.end].find(char::is_whitespace).map_or(from, |end| from + end);
    let after = place.end - text[name..place.end].trim_start().len();
    let is_compound = text[after..place.end].starts_with(['{', '(']);
    of(if is_compound { after } else { from }).map(Part::Background)
}

/// The pieces of a text between the operators that end a command. `None` for texts with heredocs, and if brackets do not match.
fn pieces(text: &str) -> Option<Vec<Range<usize>>> {
    let nested = text.matches('(').count() + text.matches("case").count();
    if text.len() > LONGEST || nested > NESTED || text.contains("<<") {
        return None;
    }
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let mut quote = None;
    let mut letters = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, letter)) = letters.next() {
        let is_word_start = before.is_whitespace() || ";&|(".contains(before);
        match (quote, letter) {
            (Some('\''), _) if letter != '\'' => {}
            (_, '\\') => drop(letters.next()),
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (None, '#') if is_word_start => while letters.next_if(|(_, next)| *next != '\n').is_some() {},
            (None, '(' | '{') => depth += 1,
            (None, ')' | '}') => depth = depth.checked_sub(1)?,
            (None, ';' | '\n' | '&') if depth == 0 => {
                let next = letters.peek().map(|(_, next)| *next);
                let redirects = letter == '&' && (before == '>' || before == '<' || next == Some('>'));
                if !redirects {
                    pieces.push(start..at);
                    start = at + 1;
                }
            }
            _ => {}
        }
        before = letter;
    }
    pieces.push(start..text.len());
    let trimmed = |piece: Range<usize>| {
        let part = &text[piece.clone()];
        let from = piece.end - part.trim_start().len();
        from..from + text[from..piece.end].trim_end().len()
    };
    let pieces: Vec<Range<usize>> = pieces.into_iter().map(trimmed).filter(|piece| !piece.is_empty()).collect();
    (depth == 0 && quote.is_none()).then_some(pieces)
}
