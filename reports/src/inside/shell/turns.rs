//! The number of turns of a loop, as far as the text determines it.
//!
//! A loop has a turn for each of its words, or until a counter reaches its limit. Only values count that a variable certainly has at this
//! place: where a condition, a loop, a function or `eval` may have changed it, it is unknown. A loop may end earlier (`break`).

use super::words::literal;
use brush_parser::ParserOptions;
use brush_parser::ast::{
    Assignment, AssignmentName, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList,
    Pipeline, SimpleCommand, Word,
};
use brush_parser::word::{Parameter, ParameterExpr, SpecialParameter, WordPiece, WordPieceWithSource};
use buildscope_commands::grammar::parse;
use std::collections::HashMap;

/// The most turns that are determined.
const MOST: i64 = 100_000;
/// The most words of a sequence whose values are of use.
const WORDS: i64 = 50;
/// The most variables whose values are known.
const VALUES: usize = 200;

/// The values that variables certainly have at a place of the text.
#[derive(Clone, Debug, Default)]
pub(super) struct Constants {
    values: HashMap<String, String>,
    /// The number of positional parameters.
    parameters: Option<usize>,
    /// The texts of functions, which may change variables whenever they are called.
    functions: String,
    /// Whether the text has its own characters between words (`IFS`).
    splits_otherwise: bool,
}

impl Constants {
    /// Goes on after a command with this text. It sets variables for certain unless it runs under a condition.
    pub(super) fn pass(&mut self, pipeline: &Pipeline, text: &str, is_certain: bool) {
        self.forget(text);
        if let ([Command::Simple(simple)], true) = (&pipeline.seq[..], is_certain) {
            for assignment in assigned(simple).into_iter().flatten() {
                let (Some(name), Some(value)) = (name(assignment), text_of(assignment)) else { continue };
                if self.values.len() < VALUES && mentions(&self.functions, name) == 0 {
                    self.values.insert(name.to_owned(), value);
                }
            }
            if let Some(parameters) = parameters(simple) {
                self.parameters = parameters.into_iter().map(|word| self.words(word)).sum();
            }
        }
    }

    /// Notes the text of a function.
    pub(super) fn define(&mut self, text: &str) {
        self.functions += text;
        self.functions.push('\n');
        self.forget(text);
    }

    /// Forgets what a part of the text may change.
    pub(super) fn forget(&mut self, text: &str) {
        let has = |wanted: &[&str]| {
            text.split(|c: char| c.is_whitespace() || ";&|(){}".contains(c)).any(|word| wanted.contains(&word))
        };
        self.splits_otherwise |= text.contains("IFS");
        if has(&["eval", "source", "."]) {
            self.values.clear();
        }
        if has(&["eval", "source", ".", "set", "shift"]) {
            self.parameters = None;
        }
        self.values.retain(|name, _| mentions(text, name) == 0);
    }

    /// The number of turns of a loop; `text` is that of its body.
    pub(super) fn turns(&self, command: &Command, text: &str) -> Option<usize> {
        let Command::Compound(compound, _) = command else { return None };
        match compound {
            CompoundCommand::ForClause(clause) => match &clause.values {
                Some(words) => words.iter().map(|word| self.words(word)).sum(),
                None => self.parameters,
            },
            CompoundCommand::WhileClause(clause) => self.counted(&clause.0, &clause.1.list, text, false),
            CompoundCommand::UntilClause(clause) => self.counted(&clause.0, &clause.1.list, text, true),
            CompoundCommand::ArithmeticForClause(clause) => {
                let expression =
                    |part: &Option<brush_parser::ast::UnexpandedArithmeticExpr>| Some(compact(&part.as_ref()?.value));
                let (start, condition) = (expression(&clause.initializer)?, expression(&clause.condition)?);
                let (name, start) = start.split_once('=')?;
                let rest = condition.strip_prefix(name)?;
                let operators = [("<=", "-le"), (">=", "-ge"), ("!=", "-ne"), ("<", "-lt"), (">", "-gt")];
                let (limit, operator) =
                    operators.iter().find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, operator)))?;
                let step = progress(&expression(&clause.updater)?, name)?;
                let is_unchanged = mentions(text, name) == 0;
                turns(start.parse().ok()?, limit.parse().ok()?, operator, step).filter(|_| is_unchanged)
            }
            _ => None,
        }
    }

    /// The number of words that a word becomes.
    fn words(&self, word: &Word) -> Option<usize> {
        const PATTERN: [char; 5] = ['*', '?', '[', '{', '~'];
        if literal(word).is_some() {
            return (!word.value.contains(PATTERN)).then_some(1);
        }
        let pieces = brush_parser::word::parse(&word.value, &ParserOptions::default()).ok()?;
        match &pieces.iter().map(|piece| &piece.piece).collect::<Vec<_>>()[..] {
            [WordPiece::DoubleQuotedSequence(inner)] => match &inner[..] {
                [WordPieceWithSource { piece: WordPiece::ParameterExpansion(expression), .. }]
                    if is_all(expression) =>
                {
                    self.parameters
                }
                inner => (!word.value.contains('@') && !inner.is_empty()).then_some(1),
            },
            [WordPiece::ParameterExpansion(ParameterExpr::Parameter { parameter, indirect: false })] => {
                let Parameter::Named(name) = parameter else { return None };
                let value = self.values.get(name).filter(|value| !value.contains(PATTERN) && !self.splits_otherwise)?;
                Some(value.split_whitespace().count())
            }
            [WordPiece::CommandSubstitution(text) | WordPiece::BackquotedCommandSubstitution(text)] => {
                let (first, last, step) = self.bounds(text)?;
                turns(first, last, if step < 0 { "-ge" } else { "-le" }, step)
            }
            _ => None,
        }
    }

    /// The first and the last number of `seq`, and its step.
    fn bounds(&self, text: &str) -> Option<(i64, i64, i64)> {
        let program = parse(text)?;
        let simple = only(&program)?;
        let words = words(simple)?;
        if simple.word_or_name.as_ref()?.value != "seq" {
            return None;
        }
        let numbers: Vec<i64> = words.into_iter().map(|word| self.number(word)).collect::<Option<_>>()?;
        match numbers[..] {
            [last] => Some((1, last, 1)),
            [first, last] => Some((first, last, 1)),
            [first, step, last] => Some((first, last, step)),
            _ => None,
        }
    }

    /// The number that a word stands for.
    fn number(&self, word: &Word) -> Option<i64> {
        let value = word.value.trim_matches('"');
        match variable(value) {
            Some(name) => self.values.get(name)?.parse().ok(),
            None => value.parse().ok(),
        }
    }

    /// The number of turns while (or until) a test of a counter succeeds.
    fn counted(&self, condition: &CompoundList, body: &CompoundList, text: &str, is_until: bool) -> Option<usize> {
        let simple = only(std::slice::from_ref(condition))?;
        let mut given = words(simple)?;
        match &*simple.word_or_name.as_ref()?.value {
            "[" => drop(given.pop().filter(|last| last.value == "]")?),
            "test" => {}
            _ => return None,
        }
        let [counter, operator, limit] = given[..] else { return None };
        let name = variable(counter.value.trim_matches('"'))?;
        let operator = match (&*operator.value, is_until) {
            ("-lt", false) | ("-ge", true) => "-lt",
            ("-le", false) | ("-gt", true) => "-le",
            ("-gt", false) | ("-le", true) => "-gt",
            ("-ge", false) | ("-lt", true) => "-ge",
            ("-ne" | "!=", false) | ("-eq" | "=" | "==", true) => "-ne",
            _ => return None,
        };
        // A limit that is a variable must not change either.
        let is_changed = variable(limit.value.trim_matches('"')).is_some_and(|limit| mentions(text, limit) > 0);
        let start = self.values.get(name)?.parse().ok()?;
        turns(start, self.number(limit).filter(|_| !is_changed)?, operator, step(body, text, name)?)
    }
}

/// The words of `seq` with numbers, if they are few.
pub(super) fn sequence(text: &str) -> Option<String> {
    let (first, last, step) = Constants::default().bounds(text)?;
    let count = turns(first, last, if step < 0 { "-ge" } else { "-le" }, step)? as i64;
    let words = (0..count).map(|turn| (first + turn * step).to_string());
    (count <= WORDS).then(|| words.collect::<Vec<_>>().join(" "))
}

/// The number of turns of a counter from its start until the comparison with the limit fails.
fn turns(start: i64, limit: i64, operator: &str, step: i64) -> Option<usize> {
    let distance = i128::from(limit) - i128::from(start);
    let (distance, step) = match operator {
        "-lt" | "-le" => (distance, i128::from(step)),
        "-gt" | "-ge" => (-distance, -i128::from(step)),
        _ if step < 0 => (-distance, -i128::from(step)),
        _ => (distance, i128::from(step)),
    };
    if step <= 0 || operator == "-ne" && (distance < 0 || distance % step != 0) {
        return None;
    }
    let last = if matches!(operator, "-le" | "-ge") { distance + 1 } else { distance };
    let turns = last.max(0).div_euclid(step) + i128::from(last.max(0) % step > 0);
    (turns <= i128::from(MOST)).then_some(turns as usize)
}

/// The only command of a list, if it is a simple one.
fn only(lists: &[CompoundList]) -> Option<&SimpleCommand> {
    let [list] = lists else { return None };
    let [item] = &list.0[..] else { return None };
    match &item.0.first.seq[..] {
        [Command::Simple(simple)] if item.0.additional.is_empty() && !item.0.first.bang => Some(simple),
        _ => None,
    }
}

/// The words after the name of a command; `None` if it has assignments or redirections.
fn words(simple: &SimpleCommand) -> Option<Vec<&Word>> {
    let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
    let words = suffix.map(|item| match item {
        CommandPrefixOrSuffixItem::Word(word) => Some(word),
        _ => None,
    });
    words.collect::<Option<Vec<_>>>().filter(|_| simple.prefix.is_none())
}

/// The assignments of a command that does nothing else.
fn assigned(simple: &SimpleCommand) -> Option<Vec<&Assignment>> {
    let items = simple.prefix.as_ref().filter(|_| simple.word_or_name.is_none() && simple.suffix.is_none())?;
    let assignments = items.0.iter().map(|item| match item {
        CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) => Some(assignment),
        _ => None,
    });
    assignments.collect()
}

fn name(assignment: &Assignment) -> Option<&str> {
    match &assignment.name {
        AssignmentName::VariableName(name) if !assignment.append => Some(name),
        _ => None,
    }
}

/// The value that an assignment gives for certain.
fn text_of(assignment: &Assignment) -> Option<String> {
    match &assignment.value {
        AssignmentValue::Scalar(word) => literal(word),
        AssignmentValue::Array(_) => None,
    }
}

/// The new positional parameters of `set -- …`.
fn parameters(simple: &SimpleCommand) -> Option<Vec<&Word>> {
    let words = words(simple).filter(|_| simple.word_or_name.as_ref().is_some_and(|name| name.value == "set"))?;
    let (first, parameters) = words.split_first()?;
    (first.value == "--").then(|| parameters.to_vec())
}

fn is_all(expression: &ParameterExpr) -> bool {
    let parameter = match expression {
        ParameterExpr::Parameter { parameter, indirect: false } => parameter,
        _ => return false,
    };
    matches!(parameter, Parameter::Special(SpecialParameter::AllPositionalParameters { concatenate: false }))
}

/// The name of the variable whose value a word is.
fn variable(word: &str) -> Option<&str> {
    let name = word.strip_prefix('$')?;
    let name = name.strip_prefix('{').map_or(Some(name), |name| name.strip_suffix('}'))?;
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(is_word);
    is_name.then_some(name)
}

/// The change of a counter in each turn; `None` if a turn may change it otherwise.
fn step(body: &CompoundList, text: &str, name: &str) -> Option<i64> {
    let steps = body.0.iter().filter_map(|item| match &item.0.first.seq[..] {
        [command] => step_of(command, name),
        _ => None,
    });
    let steps: Vec<(i64, usize)> = steps.collect();
    match steps[..] {
        [(step, known)] if mentions(text, name) == known => Some(step),
        _ => None,
    }
}

/// The change of a counter by a command, and how often the command's text has its name.
fn step_of(command: &Command, counter: &str) -> Option<(i64, usize)> {
    let expression = match command {
        Command::Simple(simple) => {
            let assignments = assigned(simple)?;
            let [assignment] = assignments[..] else { return None };
            let AssignmentValue::Scalar(word) = &assignment.value else { return None };
            let value = &word.value;
            let sum = value.strip_prefix("$((").and_then(|rest| rest.strip_suffix("))"));
            let sum = sum.or_else(|| value.strip_prefix("$(expr ").and_then(|rest| rest.strip_suffix(')')))?;
            format!("{}={sum}", name(assignment).filter(|name| *name == counter)?)
        }
        Command::Compound(CompoundCommand::Arithmetic(arithmetic), _) => arithmetic.expr.value.clone(),
        _ => return None,
    };
    let times = mentions(&expression, counter);
    progress(&compact(&expression), counter).map(|step| (step, times))
}

/// The change of a counter by an expression.
fn progress(expression: &str, name: &str) -> Option<i64> {
    let of_sum = |sum: &str| match sum.strip_prefix(name) {
        Some(rest) if rest.starts_with(['+', '-']) => rest.parse().ok(),
        _ => sum.strip_suffix(name)?.strip_suffix('+')?.parse().ok(),
    };
    match expression.strip_prefix(name) {
        Some("++") => Some(1),
        Some("--") => Some(-1),
        Some(rest) => match rest.split_once('=')? {
            ("", sum) => of_sum(sum),
            ("+", step) => step.parse().ok(),
            ("-", step) => step.parse::<i64>().ok()?.checked_neg(),
            _ => None,
        },
        None => match expression.strip_suffix(name)? {
            "++" => Some(1),
            "--" => Some(-1),
            _ => None,
        },
    }
}

/// An expression without spaces and the signs of expansions.
fn compact(expression: &str) -> String {
    expression.chars().filter(|c| !c.is_whitespace() && !"${}".contains(*c)).collect()
}

/// How often a text has the name of a variable in another way than for its value.
fn mentions(text: &str, name: &str) -> usize {
    let is_mention = |&(at, _): &(usize, &str)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let is_part = before.ends_with(is_word) || after.starts_with(is_word);
        let is_path = before.ends_with(['/', '.']) || after.starts_with(['/', '.']);
        if is_part || is_path || before.ends_with(" -") {
            return false;
        }
        match before.strip_suffix('{').unwrap_or(before).ends_with('$') {
            // `${x:=1}` sets it.
            true => before.ends_with('{') && (after.starts_with('=') || after.starts_with(":=")),
            false => true,
        }
    };
    text.match_indices(name).filter(is_mention).count()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::super::units;

    /// The numbers of turns of the loops of a text.
    fn turns(text: &str) -> Vec<Option<usize>> {
        units(text).iter().filter(|unit| unit.repeats).map(|unit| unit.turns).collect()
    }

    #[test]
    fn a_loop_has_a_turn_for_each_word() {
        for (text, expected) in [
            ("for i in a b c; do cc $i; done", Some(3)),
            ("l='a b'; for i in $l; do cc $i; done", Some(2)),
            ("l='a b' && for i in x ${l} \"$y z\"; do cc $i; done", Some(4)),
            ("for i in $(seq 4) `seq 2 2 7`; do cc $i; done", Some(7)),
            ("n=3; for i in $(seq 0 $n); do cc $i; done", Some(4)),
            ("for i in $(seq 9 -3 1); do cc $i; done", Some(3)),
            ("set -- a 'b c'; for i in \"$@\"; do cc $i; done", Some(2)),
            ("set -- a 'b c'; for i; do cc $i; done", Some(2)),
            ("l='a b'; ls -l x.l /l/b; echo \"$l\"; for i in $l; do cc $i; done", Some(2)),
            ("for ((i = 0; i < 5; i++)); do cc $i; done", Some(5)),
            ("for ((i = 9; i >= 0; i -= 2)); do cc $i; done", Some(5)),
            // What the text does not determine.
            ("for i in *.c; do cc $i; done", None),
            ("for i in {1..3}; do cc $i; done", None),
            ("for i in $l; do cc $i; done", None),
            ("l='*.c'; for i in $l; do cc $i; done", None),
            ("l=a; [ $x ] && l='a b'; for i in $l; do cc $i; done", None),
            ("l=a; if [ $x ]; then l='a b'; fi; for i in $l; do cc $i; done", None),
            ("l=a; eval \"$x\"; for i in $l; do cc $i; done", None),
            ("f() { l='a b'; }; l=a; f; for i in $l; do cc $i; done", None),
            ("l='a b'; read l; for i in $l; do cc $i; done", None),
            ("l='a b'; IFS=,; for i in $l; do cc $i; done", None),
            ("l='a b'; : ${l:=c}; for i in $l; do cc $i; done", None),
            ("for i in \"${a[@]}\"; do cc $i; done", None),
            ("set -- a b; shift; for i; do cc $i; done", None),
            ("for i in $(ls) x; do cc $i; done", None),
            ("for ((i = 0; i < 5; i++)); do cc $i; i=3; done", None),
        ] {
            assert_eq!(turns(text).last(), Some(&expected), "{text}");
        }
        assert_eq!(turns("f() { for i in $l; do cc; done; }; l='a b'; f"), [None], "it may be called elsewhere");
        assert_eq!(turns("for i in a b; do l=x; for j in $l; do cc; done; done"), [None], "a loop within it");
    }

    #[test]
    fn a_counter_has_its_turns() {
        for (text, expected) in [
            ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); cc; done", Some(3)),
            ("i=1; n=6; while test \"$i\" -le $n; do cc; i=$((i + 2)); done", Some(3)),
            ("i=5; until [ ${i} -eq 0 ]; do cc; i=$(($i - 1)); done", Some(5)),
            ("i=5; while [ $i -gt 0 ]; do cc; ((i--)); done", Some(5)),
            ("i=0; while [ $i != 4 ]; do ((i += 2)); cc; done", Some(2)),
            ("i=0; until [ $i -ge 4 ]; do i=$(expr $i + 1); cc; done", Some(4)),
            // What the text does not determine.
            ("while [ $i -lt 3 ]; do i=$((i+1)); cc; done", None),
            ("i=4; while [ $i -lt 3 ]; do i=$((i+1)); cc; done", None),
            ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); [ $x ] && i=5; cc; done", None),
            ("i=0; while [ $i -lt 3 ]; do i=$((i*2)); cc; done", None),
            ("i=0; while [ $i -lt $n ]; do i=$((i+1)); cc; done", None),
            ("i=0; while [ $i -ne 3 ]; do i=$((i+2)); cc; done", None),
            ("i=0; while [ $i -lt 3 ]; do i=$((i-1)); cc; done", None),
            ("i=0; n=3; while [ $i -lt $n ]; do i=$((i+1)); n=4; cc; done", None),
            ("i=0; while [ $i -lt 3 ] && cc; do i=$((i+1)); done", None),
            ("i=0; while [ $i -lt 3 ]; do [ $x ] && i=$((i+1)); cc; done", None),
            ("i=0; while [ $i -lt 9000000000000000000 ]; do i=$((i+1)); cc; done", None),
        ] {
            assert_eq!(turns(text).last(), Some(&expected), "{text}");
        }
    }
}
