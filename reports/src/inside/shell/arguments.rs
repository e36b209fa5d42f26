//! What the text says of the arguments of a program: the words, with the values of variables as far as the text has them.

use super::turns::sequence;
use brush_parser::ParserOptions;
use brush_parser::word::{Parameter, ParameterExpr, SpecialParameter, WordPiece, WordPieceWithSource};
use std::collections::HashMap;

/// The most pieces of the values of one variable.
const PIECES: usize = 50;
/// The most unknown pieces of a word that is compared: each of them is tried at each place.
const UNKNOWN: usize = 3;

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// It becomes one argument.
    One(Vec<Piece>),
    /// It becomes any number of arguments: an expansion without quotes, or a pattern of names.
    Many(Vec<Piece>),
}

impl Argument {
    /// The word, if the text determines it.
    pub(super) fn text(&self) -> Option<String> {
        let Self::One(pieces) = self else { return None };
        let texts = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// An expansion whose value is not in the text.
    Unknown,
    /// `$1`
    Positional(usize),
    /// `$@`
    AllPositional,
    /// A variable that has these values in the text. It may have others.
    OneOf(Vec<Vec<Piece>>),
}

/// The values of the variables that the text assigns.
#[derive(Debug, Default)]
pub(super) struct Variables(HashMap<String, Vec<Vec<Piece>>>);

impl Variables {
    /// Adds a value.
    pub(super) fn assign(&mut self, name: &str, value: &str) {
        let (Argument::One(pieces) | Argument::Many(pieces)) = self.read(value);
        self.add(name, pieces);
    }

    /// Adds the values that the variable of a loop takes.
    pub(super) fn assign_each<'a>(&mut self, name: &str, words: impl Iterator<Item = &'a str>) {
        for word in words {
            match self.read(word) {
                Argument::One(pieces) => self.add(name, pieces),
                Argument::Many(pieces) => split(pieces).into_iter().for_each(|value| self.add(name, value)),
            }
        }
    }

    /// The variable of a loop without words takes the positional parameters.
    pub(super) fn assign_parameters(&mut self, name: &str) {
        self.add(name, vec![Piece::AllPositional]);
    }

    fn add(&mut self, name: &str, value: Vec<Piece>) {
        let values = self.0.entry(name.to_owned()).or_default();
        let known: usize = values.iter().map(|value| size(value)).sum();
        let value = if known + size(&value) > PIECES { vec![Piece::Unknown] } else { value };
        if !values.contains(&value) {
            values.push(value);
        }
    }

    /// Reads a word of the text.
    pub(super) fn read(&self, word: &str) -> Argument {
        if !word.contains(['$', '`', '\'', '"', '\\', '*', '?', '[', '{', '~']) {
            return Argument::One(vec![Piece::Text(word.to_owned())]);
        }
        let Ok(parsed) = brush_parser::word::parse(word, &ParserOptions::default()) else {
            return Argument::Many(vec![Piece::Unknown]);
        };
        let (mut pieces, mut splits) = (Vec::new(), false);
        self.pieces(&parsed, false, &mut pieces, &mut splits);
        // Only an expansion alone is taken to be several arguments.
        if splits && pieces.len() == 1 { Argument::Many(pieces) } else { Argument::One(pieces) }
    }

    fn pieces(&self, parsed: &[WordPieceWithSource], quoted: bool, pieces: &mut Vec<Piece>, splits: &mut bool) {
        for part in parsed {
            let piece = match &part.piece {
                WordPiece::Text(text) if !quoted && text.contains(['*', '?', '[', '{']) => {
                    // A pattern of names, or several words.
                    *pieces = vec![Piece::Unknown];
                    *splits = true;
                    return;
                }
                WordPiece::Text(text) | WordPiece::SingleQuotedText(text) => Piece::Text(escaped(text)),
                WordPiece::EscapeSequence(text) => Piece::Text(escaped(text.strip_prefix('\\').unwrap_or(text))),
                WordPiece::DoubleQuotedSequence(inner) | WordPiece::GettextDoubleQuotedSequence(inner) => {
                    self.pieces(inner, true, pieces, splits);
                    continue;
                }
                WordPiece::ParameterExpansion(ParameterExpr::Parameter { parameter, indirect: false }) => {
                    *splits |= !quoted;
                    self.parameter(parameter, splits)
                }
                WordPiece::CommandSubstitution(text) if let (false, Some(words)) = (quoted, sequence(text)) => {
                    *splits = true;
                    Piece::OneOf(vec![vec![Piece::Text(words)]])
                }
                WordPiece::ParameterExpansion(_)
                | WordPiece::CommandSubstitution(_)
                | WordPiece::BackquotedCommandSubstitution(_) => {
                    *splits |= !quoted;
                    Piece::Unknown
                }
                WordPiece::AnsiCQuotedText(_) | WordPiece::TildePrefix(_) | WordPiece::ArithmeticExpression(_) => {
                    Piece::Unknown
                }
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, piece) => pieces.push(piece),
            }
        }
    }

    fn parameter(&self, parameter: &Parameter, splits: &mut bool) -> Piece {
        match parameter {
            Parameter::Positional(number) => Piece::Positional(*number as usize),
            Parameter::Special(SpecialParameter::AllPositionalParameters { concatenate }) => {
                *splits |= !concatenate;
                Piece::AllPositional
            }
            Parameter::NamedWithAllIndices { .. } => {
                *splits = true;
                Piece::Unknown
            }
            Parameter::Named(name) => self.0.get(name).map_or(Piece::Unknown, |values| Piece::OneOf(values.clone())),
            Parameter::Special(_) | Parameter::NamedWithIndex { .. } => Piece::Unknown,
        }
    }
}

/// The arguments with the parameters of a call of their function.
pub(super) fn call(arguments: &[Argument], parameters: &[Argument]) -> Vec<Argument> {
    let called = |argument: &Argument| match argument {
        Argument::Many(pieces) if pieces[..] == [Piece::AllPositional] => parameters.to_vec(),
        Argument::Many(pieces) => vec![Argument::Many(call_pieces(pieces, parameters))],
        Argument::One(pieces) => vec![Argument::One(call_pieces(pieces, parameters))],
    };
    arguments.iter().flat_map(called).collect()
}

fn call_pieces(pieces: &[Piece], parameters: &[Argument]) -> Vec<Piece> {
    let called = |piece: &Piece| match piece {
        Piece::Positional(number) => match parameters.get(..*number) {
            // After a word that may become several, the positions are unknown.
            Some([before @ .., Argument::One(value)]) if before.iter().all(|word| matches!(word, Argument::One(_))) => {
                value.clone()
            }
            _ => vec![Piece::Unknown],
        },
        Piece::AllPositional => vec![Piece::Unknown],
        Piece::OneOf(values) => {
            vec![Piece::OneOf(values.iter().flat_map(|value| call_value(value, parameters)).collect())]
        }
        Piece::Text(_) | Piece::Unknown => vec![piece.clone()],
    };
    let pieces: Vec<Piece> = pieces.iter().flat_map(called).collect();
    if size(&pieces) > PIECES { vec![Piece::Unknown] } else { pieces }
}

/// A value of a variable: a loop over all parameters takes one after the other.
fn call_value(value: &[Piece], parameters: &[Argument]) -> Vec<Vec<Piece>> {
    if value != [Piece::AllPositional] {
        return vec![call_pieces(value, parameters)];
    }
    let each = parameters.iter().flat_map(|word| match word {
        Argument::One(pieces) => vec![pieces.clone()],
        Argument::Many(pieces) => split(pieces.clone()),
    });
    each.collect()
}

/// The values that an expansion without quotes is split into, if they are known.
fn split(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    match &pieces[..] {
        [Piece::OneOf(values)] => values
            .iter()
            .flat_map(|value| match &value[..] {
                [Piece::Text(text)] => text.split_whitespace().map(|word| vec![Piece::Text(word.to_owned())]).collect(),
                _ => vec![value.clone()],
            })
            .collect(),
        _ => vec![pieces],
    }
}

/// The number of pieces, with those of values.
fn size(pieces: &[Piece]) -> usize {
    let of = |piece: &Piece| match piece {
        Piece::OneOf(values) => 1 + values.iter().map(|value| size(value)).sum::<usize>(),
        Piece::Text(_) | Piece::Unknown | Piece::Positional(_) | Piece::AllPositional => 1,
    };
    pieces.iter().map(of).sum()
}

/// A text as the observer writes it: with escaped control characters.
fn escaped(text: &str) -> String {
    text.replace('\n', "\\n").replace('\t', "\\t")
}

/// How far the values of expansions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// An expansion has one of the values that the text has.
    Known,
    /// An expansion may have any value.
    Any,
}

/// The sign of something that the observer left out.
const CUT: char = '…';

/// Whether a program with these words may have these arguments.
pub(crate) fn fits(words: &[Argument], arguments: &[String], values: Values) -> bool {
    let count = arguments.len();
    let left_out = |at: usize| arguments[at].chars().eq([CUT]);
    // Whether the words up to now may be the arguments up to each place.
    let mut reached = vec![false; count + 1];
    reached[0] = true;
    for word in words {
        let mut next = vec![false; count + 1];
        for at in (0..=count).filter(|&at| reached[at]) {
            if at < count && left_out(at) {
                next[at] = true;
                next[at + 1] = true;
            }
            match word {
                Argument::Many(_) if values == Values::Any => next[at..].fill(true),
                Argument::Many(pieces) => {
                    for value in split(pieces.clone()) {
                        if at < count && matches(&value, &arguments[at], values) {
                            next[at + 1] = true;
                        }
                    }
                    if let [Piece::OneOf(all)] = &pieces[..] {
                        all.iter()
                            .filter_map(|value| taken(value, &arguments[at..]))
                            .for_each(|taken| next[at + taken] = true);
                    }
                }
                Argument::One(pieces) => {
                    if at < count && matches(pieces, &arguments[at], values) {
                        next[at + 1] = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached[count] || count > 0 && reached[count - 1] && left_out(count - 1)
}

/// The number of arguments that a text is split into, if they are the next ones.
fn taken(value: &[Piece], arguments: &[String]) -> Option<usize> {
    let [Piece::Text(text)] = value else { return None };
    let words: Vec<&str> = text.split_whitespace().collect();
    arguments.get(..words.len()).filter(|&next| next == words).map(|_| words.len())
}

/// Whether the pieces of a word may have become this argument.
fn matches(pieces: &[Piece], argument: &str, values: Values) -> bool {
    let unknown = pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count();
    match values {
        Values::Any if unknown > UNKNOWN => true,
        _ => rest_matches(pieces, argument.strip_suffix(CUT).unwrap_or(argument), argument.ends_with(CUT), values),
    }
}

fn rest_matches(pieces: &[Piece], rest: &str, is_cut: bool, values: Values) -> bool {
    let Some((first, others)) = pieces.split_first() else { return rest.is_empty() };
    match first {
        Piece::Text(text) => match rest.strip_prefix(text.as_str()) {
            Some(after) => rest_matches(others, after, is_cut, values),
            None => is_cut && text.starts_with(rest),
        },
        Piece::OneOf(alternatives) if values == Values::Known => alternatives.iter().any(|value| {
            let all: Vec<Piece> = value.iter().chain(others).cloned().collect();
            rest_matches(&all, rest, is_cut, values)
        }),
        _ if values == Values::Known => false,
        _ => {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| rest_matches(others, &rest[at..], is_cut, values))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let mut variables = Variables::default();
        variables.assign("n", "0.2");
        variables.assign("l", "'a b'");
        variables.assign_each("f", ["x", "$l", "c*"].into_iter());
        variables
    }

    /// Whether the arguments fit with the values of the text, and with any.
    fn fitting(line: &str, arguments: &str) -> (bool, bool) {
        let variables = variables();
        let words: Vec<Argument> = line.split(' ').map(|word| variables.read(word)).collect();
        let arguments: Vec<String> = arguments.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        (fits(&words, &arguments, Values::Known), fits(&words, &arguments, Values::Any))
    }

    #[test]
    fn arguments_are_compared_with_the_values_of_the_text() {
        const SAME: (bool, bool) = (true, true);
        const POSSIBLE: (bool, bool) = (false, true);
        const OTHER: (bool, bool) = (false, false);
        for (line, arguments, expected) in [
            ("-c x", "-c x", SAME),
            ("-c x", "-c", OTHER),
            ("-c x", "-c x y", OTHER),
            ("'-c' \"x\"\\y", "-c xy", SAME),
            ("$n", "0.2", SAME),
            ("0.1$n", "0.10.2", SAME),
            ("$n", "0.3", POSSIBLE),
            ("-o $f.o", "-o b.o", SAME),
            ("-o $f.o", "-o z.o", POSSIBLE),
            ("-o $f.o", "-o z.c", OTHER),
            ("$l z", "a b z", SAME),
            ("\"$l\" z", "a b z", OTHER),
            ("*.c", "a.c b.c", POSSIBLE),
            ("$(ls) z", "z", POSSIBLE),
            ("-x ab", "-x a…", SAME),
            ("-x ab", "-x …", SAME),
            ("-x a b c", "-x …", SAME),
        ] {
            assert_eq!(fitting(line, arguments), expected, "{line}: {arguments}");
        }
    }

    #[test]
    fn a_function_gets_the_arguments_of_its_call() {
        let mut variables = variables();
        variables.assign_parameters("each");
        let body: Vec<Argument> = ["-a", "$1", "$each"].iter().map(|word| variables.read(word)).collect();
        let parameters: Vec<Argument> = ["x", "y"].iter().map(|word| variables.read(word)).collect();
        let called = call(&body, &parameters);
        let known = |arguments: [&str; 3]| fits(&called, &arguments.map(str::to_owned), Values::Known);
        assert!(known(["-a", "x", "x"]) && known(["-a", "x", "y"]));
        assert!(!known(["-a", "y", "x"]) && !known(["-a", "x", "z"]));
        let all = call(&[variables.read("\"$@\"")], &parameters);
        assert_eq!(all, parameters);
    }

    /// Values that contain each other would grow without a limit.
    #[test]
    fn values_are_bounded() {
        let mut variables = Variables::default();
        for _ in 0..100 {
            variables.assign("x", "$x$x$x");
        }
        let (Argument::One(pieces) | Argument::Many(pieces)) = variables.read("$x");
        assert!(size(&pieces) <= 2 * PIECES, "{}", size(&pieces));
        assert!(!fits(&[variables.read("$x$x$x$x")], &["a".repeat(200)], Values::Known));
    }
}
