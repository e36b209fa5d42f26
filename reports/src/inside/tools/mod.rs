//! The activities of known tools, in the words of a Dockerfile's author: download, unpack, compile.
//!
//! A rule names programs and, where one program does several things, an argument. A process without a rule does what its parent does. If
//! only the output of a step is known, the lines of a tool show when an activity starts or ends. Each family of tools has a file.

mod apk;
mod apt;
mod archive;
mod c;
mod cargo;
mod command;
mod configure;
mod debian;
mod dnf;
mod duration;
mod fetch;
mod git;
mod go;
mod jvm;
mod line_rule;
mod npm;
mod process_rule;
mod python;

use buildscope_record::{Nanos, Process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::LazyLock;

pub(super) use cargo::builds_library;
pub(super) use command::{first_activity, installs, silent_activity};
pub(super) use line_rule::{Order, Says};
pub(super) use npm::only_waits;

use command::{is_assignment, only_activity};
use line_rule::{LineDuration, LineRule, LineWord, begins, ended, interrupts};
use process_rule::{KnownBy, ProcessRule, by_children, by_lines, rule};

/// The names of shells.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "busybox", "hush"];

/// Whether a program, by its path or name, is a shell.
pub(super) fn is_shell(program: &str) -> bool {
    SHELLS.contains(&program.rsplit('/').next().unwrap_or_default())
}

/// The activity of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// Fetching files from the network and verifying them.
    Download,
    /// Extracting an archive or a package.
    Unpack,
    /// Examining the machine.
    Configure,
    /// Compiling source code.
    Compile,
    /// Linking.
    Link,
    /// Putting files into an archive or a package.
    Pack,
    /// Running tests.
    Test,
    /// Running the scripts of packages.
    Scripts,
    /// Resolving which packages are needed.
    Plan,
}

impl Activity {
    /// Whether it is a part of building a program from its sources.
    fn builds(self) -> bool {
        matches!(self, Self::Plan | Self::Compile | Self::Link | Self::Pack)
    }

    /// The name of the activity: one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Unpack => "unpack",
            Self::Configure => "configure",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Pack => "pack",
            Self::Test => "test",
            Self::Scripts => "package scripts",
            Self::Plan => "plan",
        }
    }
}

/// A family of tools.
pub(super) struct Family {
    /// The programs that print these lines, as a command of the text names them.
    names: &'static [&'static str],
    rules: &'static [ProcessRule],
    lines: &'static [LineRule],
}

/// A family, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FamilyId(usize);

/// What is known of a process by its name and arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) activity: Activity,
    /// The family whose lines say what else it does.
    pub(super) tells: Option<FamilyId>,
}

/// The first rule that fits decides.
const FAMILIES: &[Family] = &[
    debian::FAMILY,
    apt::FAMILY,
    apk::FAMILY,
    dnf::FAMILY,
    python::FAMILY,
    npm::FAMILY,
    cargo::FAMILY,
    go::FAMILY,
    jvm::FAMILY,
    c::FAMILY,
    configure::FAMILY,
    git::FAMILY,
    fetch::FAMILY,
    archive::FAMILY,
];

/// The rule of a process, by its own name and arguments, and its family. A program that is asked for its version does nothing else.
fn rule_of(process: &Process) -> Option<(FamilyId, &'static ProcessRule)> {
    if let [_, .., last] = &process.arguments[..]
        && process.arguments.len() <= 3
        && last == "--version"
    {
        return None;
    }
    FAMILIES.iter().enumerate().find_map(|(number, family)| {
        let rule = family.rules.iter().find(|rule| rule.fits(process))?;
        Some((FamilyId(number), rule))
    })
}

/// The activity of a process, by its own name and arguments.
pub(super) fn known(process: &Process) -> Option<Known> {
    let (family, rule) = rule_of(process)?;
    let tells = (rule.by != KnownBy::Name).then_some(family);
    let activity = if rule.by == KnownBy::Children { Activity::Plan } else { rule.activity };
    Some(Known { activity, tells })
}

/// Whether a process with children waits for them, although it has sockets: a package manager keeps its connections open, and a bundler or
/// a test runner has a server of its own (vitest).
pub(super) fn waits_for_children(process: &Process) -> bool {
    let is_server = |known: Known| matches!(known.activity, Activity::Compile | Activity::Test);
    known(process).is_some_and(|known| known.tells.is_some() || is_server(known))
}

/// The activity of a process whose parent has the activity `above`: the same if its own is unknown. Compiling as a part of examining the
/// machine counts as that, unless the process `builds` a library: a build script of cargo does both.
pub(super) fn below(above: Option<Activity>, own: Option<Known>, builds: bool) -> Option<Known> {
    let same = above.map(|activity| Known { activity, tells: None });
    match (above, own) {
        (Some(Activity::Configure), Some(known)) if known.activity.builds() && !builds => same,
        // A make that `make check` starts has a target of another name (automake).
        (Some(Activity::Test | Activity::Pack), Some(Known { activity: Activity::Plan, tells: None })) => same,
        _ => own.or(same),
    }
}

/// The activity that a process has for one below it that is known by itself. What examines the machine compiles for that only, except for a
/// hook of a package's build backend.
pub(super) fn passed_on(above: Option<Activity>, parent: Option<&Process>, own: Option<Known>) -> Option<Activity> {
    above.filter(|_| own.is_none() || !parent.is_some_and(python::runs_hook))
}

/// The activity of a process for its parent: package managers of JavaScript and apk run the scripts of packages by a shell.
pub(super) fn for_parent(process: &Process, parent: &Process) -> Option<Known> {
    let scripts = is_shell(&process.program) && (npm::runs_scripts(parent) || parent.program == "apk");
    scripts.then_some(Known { activity: Activity::Scripts, tells: None })
}

/// Whether a program only does a part of a unit of work. A unit is compiled by a compiler and an assembler that the same parent started, and a
/// static library is made by ar and ranlib. For each package, dpkg starts dpkg-split and dpkg-deb twice, and the first dpkg-deb starts tar.
/// ccache has a source preprocessed before it has it compiled.
pub(super) fn is_part_of_unit<'p>(
    program: &str,
    arguments: &[String],
    mut siblings: impl Iterator<Item = &'p str>,
) -> bool {
    match program {
        _ if (program.starts_with("cc1") || program.starts_with("clang"))
            && arguments.iter().any(|word| word == "-E") =>
        {
            true
        }
        "as" => siblings.any(|sibling| sibling.starts_with("cc1")),
        "ranlib" => siblings.any(|sibling| sibling == "ar"),
        "collect2" | "lto-wrapper" | "dpkg-deb" | "dpkg-split" => true,
        _ => false,
    }
}

/// Whether a process was too short for its arguments to be read, although its program takes longer for a unit: then it was asked for its
/// version, as `go` and `cargo` do.
pub(super) fn is_query(process: &Process) -> bool {
    let builds = ["compile", "asm", "cgo", "link", "vet", "rustc", "esbuild"].contains(&&*process.program);
    builds && process.arguments.is_empty()
}

/// What a line says if a tool of this family printed it, and how long the activity lasted that has ended, if the line says so.
pub(super) fn line_of(family: FamilyId, text: &str) -> Option<(Says, Option<Nanos>)> {
    let text = uncoloured(text);
    let text = text.trim_start();
    rules_of(text)
        .find(|(of, _)| *of == family)
        .map(|(_, rule)| (rule.says, rule.duration(LineDuration::OfActivity, text)))
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToolLine {
    pub(super) says: Says,
    /// The commands that may have printed the line: the program, and words that the command has.
    pub(super) names: &'static [&'static str],
    /// Commands with one of these words have not printed the line.
    pub(super) unless: &'static str,
    /// A word that the command has rather than not.
    pub(super) word: Option<String>,
    pub(super) order: Order,
    /// How long the activity lasted that has ended, if the line says so.
    pub(super) lasted: Option<Nanos>,
    /// How long the tool has run, without its start, if the line says so.
    pub(super) took: Option<Nanos>,
}

impl ToolLine {
    /// A line that one of these commands may have printed, for struct update syntax.
    fn of(says: Says, names: &'static [&'static str]) -> Self {
        Self { says, names, unless: "", word: None, order: Order::Any, lasted: None, took: None }
    }

    /// Whether a program of a package printed it, which a package manager runs, and not that itself.
    pub(super) fn is_of_package(&self) -> bool {
        self.word.is_some() && self.says.activity() != Activity::Scripts
    }
}

/// The meaning of a line of output.
pub(super) fn line(text: &str) -> Option<ToolLine> {
    let text = uncoloured(text);
    let text = text.trim_start();
    let Some((family, rule)) = rules_of(text).next() else {
        return npm::script_line(text).or_else(|| c::command_line(text));
    };
    let names = if rule.by.is_empty() { FAMILIES[family.0].names } else { rule.by };
    let word = match rule.word {
        LineWord::None => None,
        LineWord::Is(word) => Some(word.to_owned()),
        LineWord::At(place) => text.split_whitespace().nth(place).map(str::to_owned),
    };
    let lasted = rule.duration(LineDuration::OfActivity, text);
    let took = rule.duration(LineDuration::OfTool, text);
    Some(ToolLine { unless: rule.unless, word, order: rule.order, lasted, took, ..ToolLine::of(rule.says, names) })
}

/// The rules of all families, in their order, by the first byte of the lines that they may fit: a step may print millions of lines.
static RULES: LazyLock<Vec<Vec<(FamilyId, &'static LineRule)>>> = LazyLock::new(|| {
    let mut rules = vec![Vec::new(); usize::from(u8::MAX) + 1];
    for (number, family) in FAMILIES.iter().enumerate() {
        for rule in family.lines {
            let first = rule.pattern.as_bytes()[0];
            for (byte, rules) in (0..=u8::MAX).zip(&mut rules) {
                if first == b'*' || first == byte {
                    rules.push((FamilyId(number), rule));
                }
            }
        }
    }
    rules
});

/// The rules that a line follows.
fn rules_of(line: &str) -> impl Iterator<Item = (FamilyId, &'static LineRule)> {
    let begin_alike = line.bytes().next().map_or_else(Default::default, |first| RULES[usize::from(first)].as_slice());
    begin_alike.iter().copied().filter(move |(_, rule)| rule.fits(line))
}

/// A line without the sequences that colour it (ECMA-48: ESC, `[`, parameters, a letter).
fn uncoloured(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return text.into();
    }
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain +=
            part.trim_start_matches(|next: char| next.is_ascii_digit() || next == ';').get(1..).unwrap_or_default();
    }
    plain.into()
}

#[cfg(test)]
fn of(text: &str) -> Option<Activity> {
    command::known_by_words(&command::words_of(text)).map(|known| known.activity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Command lines of processes of real runs, and of tools that could not be run as their documents and public Dockerfiles have them.
    const PROCESSES: [&str; 2] = [include_str!("processes.tsv"), include_str!("published-processes.tsv")];
    /// Lines of the output of real runs, and those of published logs of tools that could not be run. Both have other names and numbers.
    const LINES: [&str; 2] = [include_str!("lines.tsv"), include_str!("published-lines.tsv")];

    /// The rows of a table: what is expected, and a command or a line.
    fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
        table.lines().filter(|row| !row.starts_with('#')).map(|row| row.split_once('\t').expect("two columns"))
    }

    fn name(activity: Activity) -> &'static str {
        if activity == Activity::Scripts { "scripts" } else { activity.name() }
    }

    /// A process without a rule does what its parent does.
    fn processes_are_known(table: &'static str) {
        for (expected, command) in rows(table) {
            assert_eq!(of(command).map_or("-", name), expected, "{command}");
        }
    }

    fn lines_are_known(table: &'static str) {
        for (expected, text) in rows(table) {
            let said = match line(text).map(|line| line.says) {
                None => "-".to_owned(),
                Some(Says::Begins(activity)) => format!("begins {}", name(activity)),
                Some(Says::Interrupts(activity)) => format!("interrupts {}", name(activity)),
                Some(Says::Ended(activity)) => format!("ended {}", name(activity)),
            };
            assert_eq!(said, expected, "{text}");
        }
    }

    #[test]
    fn processes_of_real_runs_have_their_known_activity() {
        processes_are_known(PROCESSES[0]);
    }

    #[test]
    fn processes_of_tools_that_could_not_be_run_have_their_known_activity() {
        processes_are_known(PROCESSES[1]);
    }

    #[test]
    fn lines_of_real_runs_have_their_known_meaning() {
        lines_are_known(LINES[0]);
    }

    #[test]
    fn lines_of_published_logs_of_tools_that_could_not_be_run_have_their_known_meaning() {
        lines_are_known(LINES[1]);
    }

    /// Rules by family and place.
    type Rules = HashSet<(usize, usize)>;

    /// The rules that the rows of the tables follow first: those of processes, and those of lines.
    fn followed_rules() -> (Rules, Rules) {
        // A package manager of JavaScript is a script of node or a program.
        let both = |(_, command)| {
            let words = command::words_of(command);
            [command::process_of(&words), command::program_of(&words)].into_iter().flatten()
        };
        let processes = PROCESSES.iter().flat_map(|table| rows(table)).flat_map(both).filter_map(|process| {
            let (family, _) = rule_of(&process)?;
            Some((family.0, FAMILIES[family.0].rules.iter().position(|rule| rule.fits(&process))?))
        });
        let lines = LINES.iter().flat_map(|table| rows(table)).filter_map(|(_, text)| {
            let (family, _) = rules_of(text.trim_start()).next()?;
            Some((family.0, FAMILIES[family.0].lines.iter().position(|rule| rule.fits(text.trim_start()))?))
        });
        (processes.collect(), lines.collect())
    }

    /// A rule that no row follows is a guess, or a rule before it decides.
    #[test]
    fn each_rule_has_a_row_that_follows_it() {
        let (processes, lines) = followed_rules();
        let mut without = Vec::new();
        for (number, family) in FAMILIES.iter().enumerate() {
            let unfollowed = |at: &usize, rules: &Rules| !rules.contains(&(number, *at));
            without.extend((0..family.rules.len()).filter(|at| unfollowed(at, &processes)).map(|at| {
                let rule = &family.rules[at];
                format!("process {:?} {:?}", rule.programs, rule.argument)
            }));
            let patterns =
                (0..family.lines.len()).filter(|at| unfollowed(at, &lines)).map(|at| family.lines[at].pattern);
            without.extend(patterns.map(|pattern| format!("line {pattern:?}")));
        }
        assert_eq!(without, Vec::<String>::new());
    }

    #[test]
    fn a_line_is_known_without_its_colours() {
        assert!(line("  hello").is_none());
        let says = |text| line(text).map(|line| line.says);
        assert_eq!(says("\u{1b}[0m\u{1b}[32;1mSetting up\u{1b}[0m gcc"), Some(Says::Begins(Activity::Scripts)));
    }

    #[test]
    fn programs_of_no_family_do_nothing_known() {
        assert_eq!(of("my-own-tool --all"), None);
        assert_eq!(of("sh -c true"), None);
    }
}
