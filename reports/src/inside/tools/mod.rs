//! The activities of known tools, in the words of a Dockerfile's author: download, unpack, compile.
//!
//! A rule names programs and, where one program does several things, an argument. A process without a rule does what its parent does. If
//! only the output of a step is known, the lines of a tool show when an activity starts or ends. Each family of tools has a file.

mod apk;
mod apt;
mod archive;
mod c;
mod cargo;
mod configure;
mod debian;
mod dnf;
mod duration;
mod fetch;
mod git;
mod go;
mod jvm;
mod npm;
mod python;

use buildscope_record::{Nanos, Process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::LazyLock;

pub(super) use cargo::builds_library;

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

/// The activity of programs with these names.
pub(super) struct ProcessRule {
    /// Names; one that ends in `*` stands for all names with this prefix.
    programs: &'static [&'static str],
    /// A text that an argument must contain; of several words, each. A word after `=` must be a whole argument, a word after `^` must be in
    /// the first argument, a word after `>` must be the beginning of the second, and only options may follow the argument of a word after
    /// `$`. After `~`, a letter must be an option, alone or among others, and what follows one of the letters after it is a value; after `>~`,
    /// it must be in the second argument, also without a `-`.
    argument: &'static str,
    activity: Activity,
    by: KnownBy,
}

/// By what it is known what a program does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownBy {
    /// It does one thing.
    Name,
    /// It does one thing until a line of its family says that it does another.
    Lines,
    /// It decides what its children do, which is one thing, until a line of its family says otherwise.
    Children,
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

/// The meaning of a line of output.
pub(super) struct LineRule {
    /// The start of the line after its spaces; a `*` in it stands for any text.
    pattern: &'static str,
    says: Says,
    /// Commands with one of these words do not print the line.
    unless: &'static str,
    /// The commands that print the line: the program, and words that the command has; empty if those of the family do.
    by: &'static [&'static str],
    /// A word that the command has rather than not.
    word: LineWord,
    order: Order,
    duration: LineDuration,
}

/// The place of a line among those of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Before the line at the end, if the tool has one.
    Any,
    /// At the end, once.
    Last,
    /// At the end, perhaps after another line at the end.
    AfterLast,
    /// Perhaps several times, of which the last one is at the end.
    Each,
    /// After another line of the command, also after one at the end.
    Follows,
}

impl Order {
    /// Whether the tool may have ended with this line.
    pub(super) fn is_end(self) -> bool {
        matches!(self, Self::Last | Self::AfterLast | Self::Each)
    }
}

/// What the first duration in a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineDuration {
    /// Nothing.
    None,
    /// How long the activity lasted that has ended.
    OfActivity,
    /// How long the tool has run, without its start.
    OfTool,
}

/// A word of the command that printed a line.
enum LineWord {
    None,
    /// This one, which may be the end of a path.
    Is(&'static str),
    /// The one at this place of the line.
    At(usize),
}

/// The change of a tool's activity that a line of output shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// The activity starts.
    Begins(Activity),
    /// The activity starts, and the one before it continues after its end.
    Interrupts(Activity),
    /// The activity has ended.
    Ended(Activity),
}

impl Says {
    /// The activity that starts or has ended.
    pub(super) fn activity(self) -> Activity {
        match self {
            Self::Begins(activity) | Self::Interrupts(activity) | Self::Ended(activity) => activity,
        }
    }
}

const fn rule(programs: &'static [&'static str], argument: &'static str, activity: Activity) -> ProcessRule {
    ProcessRule { programs, argument, activity, by: KnownBy::Name }
}

/// One process does several things, which its lines name; `activity` where they do not.
const fn by_lines(programs: &'static [&'static str], argument: &'static str, activity: Activity) -> ProcessRule {
    ProcessRule { programs, argument, activity, by: KnownBy::Lines }
}

/// One process starts others, which do this.
const fn by_children(programs: &'static [&'static str], argument: &'static str, activity: Activity) -> ProcessRule {
    ProcessRule { programs, argument, activity, by: KnownBy::Children }
}

const fn line_rule(pattern: &'static str, says: Says) -> LineRule {
    LineRule {
        pattern,
        says,
        unless: "",
        by: &[],
        word: LineWord::None,
        order: Order::Any,
        duration: LineDuration::None,
    }
}

const fn begins(pattern: &'static str, activity: Activity) -> LineRule {
    line_rule(pattern, Says::Begins(activity))
}

const fn interrupts(pattern: &'static str, activity: Activity) -> LineRule {
    line_rule(pattern, Says::Interrupts(activity))
}

const fn ended(pattern: &'static str, activity: Activity) -> LineRule {
    line_rule(pattern, Says::Ended(activity))
}

impl LineRule {
    /// Commands with one of these words do not print the line.
    const fn unless(self, unless: &'static str) -> Self {
        Self { unless, ..self }
    }

    /// Only these commands print the line.
    const fn by(self, by: &'static [&'static str]) -> Self {
        Self { by, ..self }
    }

    /// The command has the word at this place of the line rather than not.
    const fn named(self, place: usize) -> Self {
        Self { word: LineWord::At(place), ..self }
    }

    /// The command has this word rather than not.
    const fn with(self, word: &'static str) -> Self {
        Self { word: LineWord::Is(word), ..self }
    }

    /// The tool prints the line at its end.
    const fn last(self) -> Self {
        Self { order: Order::Last, ..self }
    }

    /// The tool prints the line at its end, perhaps after another one.
    const fn after_last(self) -> Self {
        Self { order: Order::AfterLast, ..self }
    }

    /// The tool may print the line several times, at last at its end.
    const fn each(self) -> Self {
        Self { order: Order::Each, ..self }
    }

    /// A command prints it only after another one of its lines.
    const fn follows(self) -> Self {
        Self { order: Order::Follows, ..self }
    }

    /// The first duration of the line is that of the activity that has ended.
    const fn timed(self) -> Self {
        Self { duration: LineDuration::OfActivity, ..self }
    }

    /// The first duration of the line is the time that the tool took.
    const fn took(self) -> Self {
        Self { duration: LineDuration::OfTool, ..self }
    }

    /// The duration in a line, if it says this.
    fn duration(&self, of: LineDuration, line: &str) -> Option<Nanos> {
        if self.duration == of { duration::named(line) } else { None }
    }
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

/// Whether a process does nothing but wait for another one.
pub(super) fn only_waits(process: &Process) -> bool {
    npm::only_waits(process)
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

/// What is known of a command by its words, of which the first is the program. Some programs only run another one.
pub(super) fn known_by_words(words: &[String]) -> Option<Known> {
    known(&process_of(words)?)
}

/// The process of a command with these words.
fn process_of(words: &[String]) -> Option<Process> {
    let program = words.first()?.rsplit('/').next().unwrap_or_default();
    if let Some(ran) = ran(program, words).and_then(process_of).filter(|process| rule_of(process).is_some()) {
        return Some(ran);
    }
    let (program, arguments) = match program {
        // Scripts, whose process is their interpreter.
        "npm" | "npx" | "yarn" | "pnpm" => {
            let script = ["node".to_owned(), format!("/bin/{program}")];
            ("node", script.into_iter().chain(words[1..].iter().cloned()).collect())
        }
        program => (program, words.to_vec()),
    };
    Some(Process { program: program.to_owned(), arguments, ..Process::default() })
}

/// The words of the command that a program runs.
fn ran<'w>(program: &str, words: &'w [String]) -> Option<&'w [String]> {
    let first = match (program, words.get(1).map_or("", String::as_str)) {
        ("npx" | "bunx" | "uvx", _) => 1,
        ("npm" | "pnpm" | "yarn" | "bun", "exec" | "x" | "dlx") => 2,
        ("yarn" | "pnpm" | "poetry" | "pipenv" | "pdm" | "hatch" | "uv", "run") => 2,
        _ => return None,
    };
    let rest = &words[first..];
    Some(&rest[rest.iter().position(|word| !word.starts_with('-'))?..])
}

/// The words of a command, without the variables that it sets.
fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace().skip_while(|word| is_assignment(word)).map(str::to_owned).collect()
}

/// Whether a word in front of a program sets a variable of its environment.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|next| next.is_alphanumeric() || next == '_'))
}

/// The activity of a command that does one thing.
pub(super) fn only_activity(text: &str) -> Option<Activity> {
    known_by_words(&words_of(text)).filter(|known| known.tells.is_none()).map(|known| known.activity)
}

/// The activity of a command before its first line: one that does several things decides what to do.
pub(super) fn first_activity(words: &[String]) -> Option<Activity> {
    known_by_words(words).map(|known| if known.tells.is_some() { Activity::Plan } else { known.activity })
}

/// The activity of a command that does one thing, or whose children do one thing, as far as its lines do not say otherwise. What only decides
/// what others do (`make`, `yarn build`) does not say what that is.
pub(super) fn silent_activity(words: &[String]) -> Option<Activity> {
    let (_, rule) = rule_of(&process_of(words)?)?;
    let decides = matches!(rule.activity, Activity::Plan | Activity::Scripts);
    (rule.by != KnownBy::Lines && !decides).then_some(rule.activity)
}

/// Whether a command installs packages.
pub(super) fn installs(words: &[String]) -> bool {
    process_of(words).and_then(|process| rule_of(&process)).is_some_and(|(_, rule)| rule.activity == Activity::Unpack)
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
    begin_alike.iter().copied().filter(move |(_, rule)| fits(rule.pattern, line))
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

/// Whether a line begins with a pattern.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    parts.all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Whether the first of `letters` is among those of an option, without its `-`. What follows one of the others is the value of that.
fn has_letter(option: &str, letters: &str) -> bool {
    let (letter, valued) = letters.split_at(1);
    let given = option.split(|next| valued.contains(next)).next();
    given.is_some_and(|given| !given.contains('-') && given.contains(letter))
}

impl ProcessRule {
    fn fits(&self, process: &Process) -> bool {
        let named = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => process.program.starts_with(start),
            None => process.program == **pattern,
        };
        let given = |word: &str| {
            if let Some(whole) = word.strip_prefix('=') {
                return process.arguments.iter().any(|argument| argument == whole);
            }
            if let Some(letters) = word.strip_prefix('~') {
                let mut options = process.arguments.iter().skip(1).filter_map(|argument| argument.strip_prefix('-'));
                return options.any(|option| has_letter(option, letters));
            }
            if let Some(letters) = word.strip_prefix(">~") {
                return process.arguments.get(1).is_some_and(|option| has_letter(option, letters));
            }
            if let Some(begin) = word.strip_prefix('>') {
                return process.arguments.get(1).is_some_and(|argument| argument.starts_with(begin));
            }
            if let Some(part) = word.strip_prefix('$') {
                let words = process.arguments.iter().rev().find(|argument| !argument.starts_with('-'));
                return words.is_some_and(|last| last.contains(part));
            }
            match word.strip_prefix('^') {
                Some(part) => process.arguments.first().is_some_and(|argument| argument.contains(part)),
                None => process.arguments.iter().any(|argument| argument.contains(word)),
            }
        };
        let argued = self.argument.is_empty() || self.argument.split(' ').all(given);
        argued && self.programs.iter().any(named)
    }
}

#[cfg(test)]
fn of(command: &str) -> Option<Activity> {
    known_by_words(&words_of(command)).map(|known| known.activity)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a table: what is expected, and a command or a line.
    fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
        table.lines().filter(|row| !row.starts_with('#')).map(|row| row.split_once('\t').expect("two columns"))
    }

    fn name(activity: Activity) -> &'static str {
        if activity == Activity::Scripts { "scripts" } else { activity.name() }
    }

    /// Command lines of the processes of real runs, or of published logs where the table says so. A process without a rule does what its parent does.
    #[test]
    fn processes_of_real_runs_have_their_known_activity() {
        for (expected, command) in rows(include_str!("processes.tsv")) {
            assert_eq!(of(command).map_or("-", name), expected, "{command}");
        }
    }

    /// Lines of the output of real runs with other names and numbers, or of published logs where the table says so.
    #[test]
    fn lines_of_real_runs_have_their_known_meaning() {
        for (expected, text) in rows(include_str!("lines.tsv")) {
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
    fn a_pattern_is_the_beginning_of_a_line() {
        assert!(fits("(*) Installing ", "(12/30) Installing musl (1.2)"));
        assert!(fits("Get:", "Get:1 http://x") && !fits("Get:", "xGet:1"));
        assert!(!fits("[*%] Linking ", "[ 50%] Building C object"));
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
