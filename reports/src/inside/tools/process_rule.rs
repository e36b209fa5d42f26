//! A rule about a process: its name, its arguments, and what it does.

use super::Activity;
use buildscope_record::Process;

/// The activity of programs with these names.
pub(super) struct ProcessRule {
    /// Names; one that ends in `*` stands for all names with this prefix.
    pub(super) programs: &'static [&'static str],
    /// A text that an argument must contain; of several words, each. A word after `=` must be a whole argument, a word after `/=` the name of
    /// the file that an argument is the path of, a word after `^` must be in the first argument, a word after `>` must be the beginning of the second, perhaps after `./`, and only options may follow the
    /// argument of a word after `$`. After `~`, a letter must be an option, alone or among others, and what follows one of the letters
    /// after it is a value; after `>~`, it must be in the second argument, also without a `-`.
    pub(super) argument: &'static str,
    pub(super) activity: Activity,
    pub(super) by: KnownBy,
}

/// By what it is known what a program does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// It does one thing.
    Name,
    /// It does one thing until a line of its family says that it does another.
    Lines,
    /// It decides what its children do, which is one thing, until a line of its family says otherwise.
    Children,
}

pub(super) const fn rule(programs: &'static [&'static str], argument: &'static str, activity: Activity) -> ProcessRule {
    ProcessRule { programs, argument, activity, by: KnownBy::Name }
}

/// One process does several things, which its lines name; `activity` where they do not.
pub(super) const fn by_lines(
    programs: &'static [&'static str],
    argument: &'static str,
    activity: Activity,
) -> ProcessRule {
    ProcessRule { programs, argument, activity, by: KnownBy::Lines }
}

/// One process starts others, which do this.
pub(super) const fn by_children(
    programs: &'static [&'static str],
    argument: &'static str,
    activity: Activity,
) -> ProcessRule {
    ProcessRule { programs, argument, activity, by: KnownBy::Children }
}

impl ProcessRule {
    /// Whether a process has the name and the arguments.
    pub(super) fn fits(&self, process: &Process) -> bool {
        let named = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => process.program.starts_with(start),
            None => process.program == **pattern,
        };
        let given = |word: &str| {
            if let Some(whole) = word.strip_prefix('=') {
                return process.arguments.iter().any(|argument| argument == whole);
            }
            if let Some(name) = word.strip_prefix("/=") {
                return process.arguments.iter().any(|argument| is_path_to(argument, name));
            }
            if let Some(letters) = word.strip_prefix('~') {
                let mut options = process.arguments.iter().skip(1).filter_map(|argument| argument.strip_prefix('-'));
                return options.any(|option| has_letter(option, letters));
            }
            if let Some(letters) = word.strip_prefix(">~") {
                return process.arguments.get(1).is_some_and(|option| has_letter(option, letters));
            }
            if let Some(begin) = word.strip_prefix('>') {
                let second = process.arguments.get(1).map(|argument| argument.strip_prefix("./").unwrap_or(argument));
                return second.is_some_and(|argument| argument.starts_with(begin));
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

/// Whether an argument is the path of a file with this name. The text of a shell has spaces.
fn is_path_to(argument: &str, name: &str) -> bool {
    !argument.contains(char::is_whitespace) && argument.rsplit('/').next() == Some(name)
}

/// Whether the first of `letters` is among those of an option, without its `-`. What follows one of the others is the value of that.
fn has_letter(option: &str, letters: &str) -> bool {
    let (letter, valued) = letters.split_at(1);
    let given = option.split(|next| valued.contains(next)).next();
    given.is_some_and(|given| !given.contains('-') && given.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of `sh -c` names programs that other processes run.
    #[test]
    fn a_script_is_an_argument_and_not_a_part_of_a_text() {
        assert!(is_path_to("./configure", "configure") && is_path_to("/src/configure", "configure"));
        assert!(!is_path_to("./configure && make", "configure") && !is_path_to("cd src && ./configure", "configure"));
        assert!(!is_path_to("reconfigure", "configure") && !is_path_to("configure/x", "configure"));
    }
}
