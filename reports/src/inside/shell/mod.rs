//! The commands of a shell's text, in the order in which the shell runs them.
//!
//! The text is parsed by a shell grammar. The values of variables and the branches that are taken are not known, so a command that depends
//! on them may have processes of any name, or no process.

mod arguments;
mod builtins;
mod groups;
mod names;
mod turns;
mod unread;
mod words;
mod work;

pub(super) use arguments::{Values, fits};
pub(super) use builtins::ShellWork;
pub(super) use groups::Groups;
pub(super) use names::{Name, Program};

use brush_parser::ast::{
    AndOrList, CaseClauseCommand, Command, CompoundCommand, CompoundList, CompoundListItem, FunctionBody,
    IfClauseCommand, Pipeline, SeparatorOperator, SimpleCommand,
};
use buildscope_commands::grammar::{Offsets, lists, parse, pipelines};
use names::{Position, Programs, Trap, steps, substitutions, trap};
use std::collections::HashMap;
use std::ops::Range;
use turns::Constants;
use unread::Part;
use words::literal;
use work::Works;

/// The most commands that a unit may have to be divided.
const COMMANDS: usize = 200;

/// A command of the text that gets one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// The range of the unit in the text, in bytes.
    pub(super) span: Range<usize>,
    /// The programs that the unit starts, in order.
    pub(super) names: Vec<Name>,
    /// The programs of the action of a signal's trap, which the shell may run while any of the units runs.
    pub(super) action: Vec<Name>,
    /// Whether the shell may go on without it: a branch, or a command after a test or `||`.
    pub(super) optional: bool,
    /// Whether it may start them repeatedly: a loop, a function with one, a sourced file.
    pub(super) repeats: bool,
    /// The number of repetitions of a loop, if the text determines it.
    pub(super) turns: Option<usize>,
    /// The number of the first programs that a loop starts only once: those in its words.
    pub(super) once: usize,
    /// Whether the shell continues while the unit runs (`&`).
    pub(super) background: bool,
    /// The activities of the shell itself that may take long.
    pub(super) work: ShellWork,
    /// The commands of the unit.
    pub(super) inner: Inner,
}

/// The commands within a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Inner {
    /// A single command.
    #[default]
    None,
    /// The parts of a pipeline, which run at the same time.
    Piped(Vec<Unit>),
    /// The commands of a subshell: a process of its own starts them.
    Subshell(Vec<Unit>),
    /// The commands of a loop or a function, which the shell itself starts, perhaps several times.
    Repeated(Vec<Unit>),
    /// The command substitutions in the words of a command (`$( … )`), and then the command itself, if it starts a program.
    Substituted(Vec<Unit>),
}

impl Inner {
    fn units(&self) -> &[Unit] {
        match self {
            Self::None => &[],
            Self::Piped(units) | Self::Subshell(units) | Self::Repeated(units) | Self::Substituted(units) => units,
        }
    }

    /// A list of one command would say no more than the unit itself.
    fn of(wrap: fn(Vec<Unit>) -> Self, units: Vec<Unit>) -> Self {
        match &units[..] {
            [] => Self::None,
            [one] if one.inner.units().is_empty() && one.names.is_empty() => Self::None,
            _ => wrap(units),
        }
    }
}

impl Unit {
    /// A command that runs once, and for which the shell waits.
    fn of(span: Range<usize>, names: Vec<Name>) -> Self {
        let (work, inner, action) = (ShellWork::default(), Inner::None, Vec::new());
        Self {
            span,
            names,
            action,
            optional: false,
            repeats: false,
            turns: None,
            once: 0,
            background: false,
            work,
            inner,
        }
    }

    /// The maximum number of processes that the unit starts; `None` if the text does not determine it. The last command of a shell may be a
    /// subshell without a process of its own.
    pub(super) fn most(&self, is_last: bool) -> Option<usize> {
        match self.turns {
            None if self.repeats => None,
            turns => {
                let starts = |name: &Name| match name {
                    Name::Subshell(within) if is_last => within.len().max(1),
                    _ => 1,
                };
                let (once, in_turn) = self.names.split_at(self.once.min(self.names.len()));
                let of = |names: &[Name]| names.iter().map(starts).sum::<usize>();
                Some(of(once) + of(in_turn) * turns.unwrap_or(1))
            }
        }
    }

    /// Whether the unit is a subshell of few programs that runs once.
    pub(super) fn is_subshell(&self) -> bool {
        const FEW: usize = 32;
        let is_single = matches!(&self.names[..], [Name::Subshell(within)] if within.len() <= FEW);
        is_single && !self.repeats && self.turns.is_none()
    }

    /// Makes it a function whose text is not known in place of the program of its last name.
    pub(super) fn call_unknown(&mut self) {
        self.names.pop();
        self.names.push(Name::Any);
        (self.repeats, self.turns, self.work) = (true, None, ShellWork::ANY);
    }

    /// Whether the shell runs the unit without starting a process.
    pub(super) fn is_builtin(&self) -> bool {
        self.names.is_empty()
    }
}

/// What a shell's text says.
pub(super) struct Script {
    pub(super) units: Vec<Unit>,
    pub(super) groups: Groups,
}

/// The units of a shell's text.
pub(super) fn units(text: &str) -> Vec<Unit> {
    script(text).units
}

/// Reads a shell's text. What the shell's grammar does not accept is one unit that may start anything.
pub(super) fn script(text: &str) -> Script {
    let whole = || Script {
        units: vec![Unit { repeats: true, work: ShellWork::ANY, ..Unit::of(0..text.len(), vec![Name::Any]) }],
        groups: Groups::default(),
    };
    let parts = match parse(text) {
        Some(program) => vec![Part::Read(program)],
        None => match unread::parts(text) {
            Some(parts) => parts,
            None => return whole(),
        },
    };
    let mut reader = ShellReader {
        text,
        offsets: Offsets::of(text),
        constants: Constants::default(),
        programs: Programs::default(),
        works: Works::default(),
        functions: HashMap::new(),
        groups: Groups::default(),
        units: Vec::new(),
        conditions: 0,
        exit: None,
    };
    for part in &parts {
        match part {
            Part::Read(lists) => lists.iter().for_each(|list| reader.list(list)),
            Part::Background(lists) => {
                lists.iter().flat_map(|list| &list.0).for_each(|item| reader.background(&item.0));
            }
            Part::Unread(span) => {
                reader.push(Unit { repeats: true, work: ShellWork::ANY, ..Unit::of(span.clone(), vec![Name::Any]) })
            }
        }
    }
    let units: Vec<Unit> = reader.units.into_iter().chain(reader.exit).collect();
    if units.is_empty() { whole() } else { Script { units, groups: reader.groups } }
}

struct ShellReader<'t> {
    text: &'t str,
    offsets: Offsets,
    constants: Constants,
    programs: Programs,
    works: Works,
    /// The commands of each function.
    functions: HashMap<String, Vec<Unit>>,
    groups: Groups,
    units: Vec<Unit>,
    /// The depth of conditions.
    conditions: usize,
    /// The action of the shell at its end (`trap ... EXIT`).
    exit: Option<Unit>,
}

impl ShellReader<'_> {
    /// Notes the action of a trap. That of the shell's end runs after everything else. Returns whether the command sets one.
    fn trap(&mut self, command: &Command) -> bool {
        let Some(Trap { action, at_end }) = trap(command) else { return false };
        let names = if action.starts_with('-') { Vec::new() } else { self.programs.substituted(&action) };
        let span = self.offsets.commands([command]).filter(|_| !names.is_empty());
        match span {
            Some(span) if !at_end => self.push(Unit { action: names, ..Unit::of(span, Vec::new()) }),
            None if !at_end => return false,
            span => {
                self.exit = span.map(|span| Unit { repeats: true, work: ShellWork::ANY, ..Unit::of(span, names) });
            }
        }
        true
    }

    fn list(&mut self, list: &CompoundList) {
        for CompoundListItem(commands, separator) in &list.0 {
            match separator {
                SeparatorOperator::Sequence => self.chain(commands),
                SeparatorOperator::Async => self.background(commands),
            }
        }
    }

    /// Notes a command that has lists of commands.
    fn group(&mut self, command: &Command, compound: &CompoundCommand) {
        if let Some(span) = self.offsets.commands([command]) {
            let lists = lists(compound).into_iter().filter_map(|list| self.offsets.list(list)).collect();
            self.groups.add(span, lists);
        }
    }

    fn chain(&mut self, commands: &AndOrList) {
        for (pipeline, is_optional) in steps(commands) {
            self.conditions += usize::from(is_optional);
            self.pipeline(pipeline);
            self.conditions -= usize::from(is_optional);
        }
    }

    /// Adds a unit.
    fn push(&mut self, unit: Unit) {
        self.units.push(Unit { optional: self.conditions > 0, ..unit });
    }

    /// Reads commands that run only under a condition.
    fn under_condition(&mut self, read: impl FnOnce(&mut Self)) {
        self.conditions += 1;
        read(self);
        self.conditions -= 1;
    }

    /// Adds commands that the shell does not wait for. Unless they are one program or pipeline, a copy of the shell runs them.
    fn background(&mut self, commands: &AndOrList) {
        let direct = commands.additional.is_empty()
            && match &commands.first.seq[..] {
                [Command::Simple(simple)] => self.works.of_simple(simple).is_none(),
                parts => parts.len() > 1,
            };
        let before = self.units.len();
        if direct {
            self.pipeline(&commands.first);
        } else if let Some(span) = self.offsets.commands(pipelines(commands).flat_map(|pipeline| &pipeline.seq)) {
            let within = self.programs.names(|programs, names| programs.chain(commands, names));
            let inner = Inner::of(Inner::Subshell, self.units_of_copy(|reader| reader.chain(commands)));
            self.push(Unit { inner, ..Unit::of(span, vec![Name::Subshell(within)]) });
        }
        self.units[before..].iter_mut().for_each(|unit| unit.background = true);
    }

    /// The text of commands.
    fn text_of(&self, span: Option<Range<usize>>) -> &str {
        span.and_then(|span| self.text.get(span)).unwrap_or_default()
    }

    /// Adds a pipeline as a unit. Groups and branches count as their commands.
    fn pipeline(&mut self, pipeline: &Pipeline) {
        self.read(pipeline);
        let text = self.text_of(self.offsets.commands(&pipeline.seq)).to_owned();
        match &pipeline.seq[..] {
            [Command::Function(function)] => {
                let FunctionBody(body, _) = &function.body;
                for list in lists(body) {
                    let text = self.text_of(self.offsets.list(list)).to_owned();
                    self.constants.define(&text);
                }
            }
            // Its commands were read one by one.
            [Command::Compound(CompoundCommand::BraceGroup(_), _)] => {}
            _ => self.constants.pass(pipeline, &text, self.conditions == 0),
        }
    }

    fn read(&mut self, pipeline: &Pipeline) {
        for command in &pipeline.seq {
            if let Command::Compound(compound, _) = command {
                self.group(command, compound);
            }
        }
        match &pipeline.seq[..] {
            [Command::Compound(compound, _)] => match compound {
                CompoundCommand::BraceGroup(group) => return self.list(&group.list),
                CompoundCommand::IfClause(clause) => return self.branches(clause),
                CompoundCommand::CaseClause(case) => return self.cases(case),
                _ => {}
            },
            [Command::Function(function)] => {
                let FunctionBody(body, _) = &function.body;
                let name = &function.fname.value;
                self.programs.define(name, body);
                self.works.define(name, body);
                let constants = std::mem::take(&mut self.constants);
                let units = self.units_of(|reader| reader.body(body));
                self.constants = constants;
                self.functions.insert(name.clone(), units);
                return;
            }
            [command] if self.trap(command) => return,
            _ => {}
        }
        let Some(span) = self.offsets.commands(&pipeline.seq) else { return };
        let mut repeats = false;
        let names = self.programs.names(|programs, names| {
            for command in &pipeline.seq {
                repeats |= programs.command(command, Position::in_pipeline(pipeline), names);
            }
        });
        let once = self.in_words(pipeline);
        let turns = self.turns(pipeline);
        let inner = match &pipeline.seq[..] {
            [one] => self.inside(one, &names),
            parts => Inner::of(Inner::Piped, self.units_of(|reader| parts.iter().for_each(|part| reader.part(part)))),
        };
        let work = match &pipeline.seq[..] {
            [one] => self.works.of(one),
            _ => ShellWork::default(),
        };
        let turns = turns.filter(|_| !inner.units().iter().any(|unit| unit.repeats));
        self.push(Unit { repeats, turns, once, work, inner, ..Unit::of(span, names) });
    }

    /// The number of programs that the words of a loop start.
    fn in_words(&mut self, pipeline: &Pipeline) -> usize {
        let [Command::Compound(CompoundCommand::ForClause(clause), _)] = &pipeline.seq[..] else { return 0 };
        let names = self.programs.names(|programs, names| {
            clause.values.iter().flatten().for_each(|word| programs.substitutions(word, names));
        });
        names.len()
    }

    /// The number of turns of a loop. Within it, variables are unknown that it may change.
    fn turns(&mut self, pipeline: &Pipeline) -> Option<usize> {
        let [command @ Command::Compound(compound, _)] = &pipeline.seq[..] else { return None };
        let body = match compound {
            CompoundCommand::ForClause(clause) => &clause.body.list,
            CompoundCommand::ArithmeticForClause(clause) => &clause.body.list,
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => &clause.1.list,
            _ => return None,
        };
        let turns = self.constants.turns(command, self.text_of(self.offsets.list(body)));
        let whole = self.text_of(self.offsets.commands([command])).to_owned();
        self.constants.forget(&whole);
        turns.filter(|turns| *turns > 0)
    }

    /// Adds a part of a pipeline. Unless it is a program, a copy of the shell runs it.
    fn part(&mut self, command: &Command) {
        let Some(span) = self.offsets.commands([command]) else { return };
        let names = self.programs.names(|programs, names| {
            programs.command(command, Position::InPipeline, names);
        });
        let inner = match command {
            Command::Compound(compound, _) => {
                Inner::of(Inner::Subshell, self.units_of_copy(|reader| reader.body(compound)))
            }
            _ => Inner::None,
        };
        self.push(Unit { inner, ..Unit::of(span, names) });
    }

    /// The commands within one command, which starts these programs.
    fn inside(&mut self, command: &Command, names: &[Name]) -> Inner {
        match command {
            Command::Compound(compound @ CompoundCommand::Subshell(_), _) => {
                Inner::of(Inner::Subshell, self.units_of_copy(|reader| reader.body(compound)))
            }
            Command::Compound(compound, _) => Inner::of(Inner::Repeated, self.units_of(|reader| reader.body(compound))),
            Command::Simple(simple) => {
                let name = simple.word_or_name.as_ref().and_then(literal);
                let units = name.and_then(|name| self.functions.get(&name)).cloned();
                let itself = units.map_or(Inner::None, |units| Inner::of(Inner::Repeated, units));
                self.substituted(command, simple, names, itself)
            }
            Command::Function(_) | Command::ExtendedTest(_) => Inner::None,
        }
    }

    /// The substitutions of a command, and the command itself, which has these commands. A single one of them would say no more than the
    /// command.
    fn substituted(&mut self, command: &Command, simple: &SimpleCommand, names: &[Name], itself: Inner) -> Inner {
        let texts = substitutions(simple).unwrap_or_default();
        let Some(span) = self.offsets.commands([command]).filter(|_| names.len() >= texts.len().max(2)) else {
            return itself;
        };
        let (mut units, mut from) = (Vec::new(), span.start);
        for (text, name) in texts.iter().zip(names) {
            let Some(at) = self.text[from..span.end].find(&**text) else { return itself };
            let part = from + at..from + at + text.len();
            from = part.end;
            let inner = match name {
                Name::Subshell(_) => {
                    Inner::of(Inner::Subshell, self.units_of_copy(|reader| reader.part_of_text(part.clone())))
                }
                Name::Is(_) | Name::Any | Name::Given(_) => Inner::None,
            };
            let start = part.end - text.trim_start().len();
            units.push(Unit { inner, ..Unit::of(start..start + text.trim().len(), vec![name.clone()]) });
        }
        if units.is_empty() || count(&units) > COMMANDS {
            return itself;
        }
        let own = names.get(texts.len()..).filter(|names| !names.is_empty());
        units.extend(own.map(|names| Unit { inner: itself, ..Unit::of(span, names.to_vec()) }));
        Inner::Substituted(units)
    }

    /// Reads a part of the text as commands.
    fn part_of_text(&mut self, part: Range<usize>) {
        if let Some(program) = unread::parse_part(self.text, part) {
            program.iter().for_each(|list| self.list(list));
        }
    }

    /// The commands of a compound command, as units.
    fn body(&mut self, compound: &CompoundCommand) {
        match compound {
            CompoundCommand::Subshell(subshell) => self.list(&subshell.list),
            CompoundCommand::BraceGroup(group) => self.list(&group.list),
            CompoundCommand::ForClause(clause) => self.list(&clause.body.list),
            CompoundCommand::ArithmeticForClause(clause) => self.list(&clause.body.list),
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0);
                self.list(&clause.1.list);
            }
            CompoundCommand::IfClause(clause) => self.branches(clause),
            CompoundCommand::CaseClause(case) => self.cases(case),
            CompoundCommand::Arithmetic(_) => {}
        }
    }

    fn branches(&mut self, clause: &IfClauseCommand) {
        self.list(&clause.condition);
        self.under_condition(|reader| {
            reader.list(&clause.then);
            for other in clause.elses.iter().flatten() {
                if let Some(condition) = &other.condition {
                    reader.list(condition);
                }
                reader.list(&other.body);
            }
        });
    }

    fn cases(&mut self, case: &CaseClauseCommand) {
        let names = self.programs.names(|programs, names| programs.substitutions(&case.value, names));
        if let Some(span) = self.offsets.word(&case.value).filter(|_| !names.is_empty()) {
            self.push(Unit::of(span, names));
        }
        self.under_condition(|reader| {
            case.cases.iter().filter_map(|case| case.cmd.as_ref()).for_each(|list| reader.list(list));
        });
    }

    /// Returns the units of a copy of the shell, which does not have the shell's traps and changes none of its variables and functions.
    fn units_of_copy(&mut self, read: impl FnOnce(&mut Self)) -> Vec<Unit> {
        let (exit, constants, sourced) = (self.exit.take(), self.constants.clone(), self.programs.sourced);
        let mut units = self.units_of(read);
        units.extend(std::mem::replace(&mut self.exit, exit));
        self.constants = constants;
        self.programs.sourced = sourced;
        units
    }

    /// Returns the units that `read` adds, without the earlier ones. Units above the limit are left out.
    fn units_of(&mut self, read: impl FnOnce(&mut Self)) -> Vec<Unit> {
        let before = (std::mem::take(&mut self.units), std::mem::take(&mut self.conditions));
        read(self);
        let (units, conditions) = before;
        self.conditions = conditions;
        let units = std::mem::replace(&mut self.units, units);
        if count(&units) > COMMANDS { Vec::new() } else { units }
    }
}

/// The texts of the command that is the only one of a loop or a subshell with a program, of the only one within that, and so on.
pub(super) fn only_commands(text: &str) -> Vec<&str> {
    let units = units(text);
    let mut within = &units[..];
    let mut found = Vec::new();
    while let Some(one) = only_program(within) {
        found.push(&text[one.span.clone()]);
        within = one.inner.units();
    }
    found
}

fn only_program(units: &[Unit]) -> Option<&Unit> {
    let mut programs = units.iter().filter(|unit| !unit.is_builtin());
    programs.next().filter(|_| programs.next().is_none())
}

/// The number of units, with the units within them.
fn count(units: &[Unit]) -> usize {
    units.iter().map(|unit| 1 + count(unit.inner.units())).sum()
}

#[cfg(test)]
mod tests;
