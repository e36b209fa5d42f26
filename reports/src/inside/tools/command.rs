//! What a command of a text does, by its words. Some programs only run another one.

use super::{Activity, Known, KnownBy, known, rule_of};
use buildscope_record::Process;

/// What is known of a command by its words, of which the first is the program. Some programs only run another one.
pub(super) fn known_by_words(words: &[String]) -> Option<Known> {
    known(&process_of(words)?)
}

/// The most commands of which each runs the next.
const NESTED: usize = 8;

/// The process of a command with these words: of the commands that it runs, the last one that is known.
pub(super) fn process_of(words: &[String]) -> Option<Process> {
    let nested: Vec<&[String]> = std::iter::successors(ran(words), |words| ran(words)).take(NESTED).collect();
    let known = nested.into_iter().rev().filter_map(process).find(|process| rule_of(process).is_some());
    known.or_else(|| process(words))
}

/// The process of a command with these words, whatever it runs.
fn process(words: &[String]) -> Option<Process> {
    match name_of(words)? {
        // Scripts, whose process is their interpreter.
        program @ ("npm" | "npx" | "yarn" | "pnpm") => {
            let script = ["node".to_owned(), format!("/bin/{program}")];
            program_of(&script.into_iter().chain(words[1..].iter().cloned()).collect::<Vec<_>>())
        }
        _ => program_of(words),
    }
}

/// The process of a program with these words, which is not a script.
pub(super) fn program_of(words: &[String]) -> Option<Process> {
    Some(Process { program: name_of(words)?.to_owned(), arguments: words.to_vec(), ..Process::default() })
}

/// The name of the program.
fn name_of(words: &[String]) -> Option<&str> {
    words.first()?.rsplit('/').next()
}

/// The words of the command that a program runs.
fn ran(words: &[String]) -> Option<&[String]> {
    let first = match (name_of(words)?, words.get(1).map_or("", String::as_str)) {
        ("npx" | "bunx" | "uvx", _) => 1,
        ("npm" | "pnpm" | "yarn" | "bun", "exec" | "x" | "dlx") => 2,
        ("yarn" | "pnpm" | "poetry" | "pipenv" | "pdm" | "hatch" | "uv", "run") => 2,
        _ => return None,
    };
    let rest = &words[first..];
    Some(&rest[rest.iter().position(|word| !word.starts_with('-'))?..])
}

/// The words of a command, without the variables that it sets.
pub(super) fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace().skip_while(|word| is_assignment(word)).map(str::to_owned).collect()
}

/// Whether a word in front of a program sets a variable of its environment.
pub(super) fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|next| next.is_alphanumeric() || next == '_'))
}

/// The activity of a command that does one thing.
pub(super) fn only_activity(text: &str) -> Option<Activity> {
    known_by_words(&words_of(text)).filter(|known| known.tells.is_none()).map(|known| known.activity)
}

/// The activity of a command before its first line: one that does several things decides what to do.
pub(in crate::inside) fn first_activity(words: &[String]) -> Option<Activity> {
    known_by_words(words).map(|known| if known.tells.is_some() { Activity::Plan } else { known.activity })
}

/// The activity of a command that does one thing, or whose children do one thing, as far as its lines do not say otherwise. What only decides
/// what others do (`make`, `yarn build`) does not say what that is.
pub(in crate::inside) fn silent_activity(words: &[String]) -> Option<Activity> {
    let (_, rule) = rule_of(&process_of(words)?)?;
    let decides = matches!(rule.activity, Activity::Plan | Activity::Scripts);
    (rule.by != KnownBy::Lines && !decides).then_some(rule.activity)
}

/// Whether a command installs packages.
pub(in crate::inside) fn installs(words: &[String]) -> bool {
    process_of(words).and_then(|process| rule_of(&process)).is_some_and(|(_, rule)| rule.activity == Activity::Unpack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_runs_in_the_end_decides() {
        assert_eq!(only_activity("npx --yes yarn run jest"), Some(Activity::Test));
        assert_eq!(only_activity(&format!("{} jest", "npx ".repeat(NESTED))), Some(Activity::Test));
        // Each of them runs the next, and none of the first ones is known.
        assert_eq!(only_activity(&"npx ".repeat(200_000)), None);
    }
}
