//! Switches with a value, as docker's command line has them: `--push=true`, `--load=false`, `-q=true`.
//!
//! *Takes* the words of a command line. *Gives* the same words with `--push` for `--push=true`, and without `--push=false`. *Must never
//! know* what a switch does.

use buildscope_oci::go_bool;
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// The command line without values of switches. What is behind `--` is another program's.
pub(super) fn without_values(command: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut current = command;
    let mut found: Vec<OsString> = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    found.extend(words.next());
    for word in words.by_ref() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            found.push(word);
            break;
        }
        if let Some(child) = current.get_subcommands().find(|child| child.get_name() == text) {
            current = child;
        }
        match switch(current, text) {
            Some((name, true)) => found.push(name.into()),
            // The last one counts.
            Some((name, false)) => found.retain(|known| *known != *name),
            None => found.push(word),
        }
    }
    found.extend(words);
    found
}

/// A switch with a value: its name with hyphens, and the value.
fn switch<'t>(command: &Command, word: &'t str) -> Option<(&'t str, bool)> {
    let (name, value) = word.split_once('=')?;
    let named = |arg: &&Arg| match name.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| name == format!("-{short}")),
    };
    let is_switch = |arg: &Arg| matches!(arg.get_action(), ArgAction::SetTrue);
    command.get_arguments().find(named).filter(|arg| is_switch(arg))?;
    Some((name, go_bool(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let inner = Command::new("build")
            .arg(Arg::new("push").long("push").action(ArgAction::SetTrue))
            .arg(Arg::new("quiet").long("quiet").short('q').action(ArgAction::SetTrue))
            .arg(Arg::new("label").long("label"));
        let command = Command::new("x").subcommand(inner);
        let words = without_values(&command, line.split(' ').map(OsString::from).collect());
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_of_switches_become_switches() {
        for (line, expected) in [
            ("x build --push=true .", "x build --push ."),
            ("x build --push=false .", "x build ."),
            ("x build --push --push=0 --push=T .", "x build --push ."),
            ("x build -q=1 --quiet=False .", "x build -q ."),
            ("x build --label=true --push=maybe .", "x build --label=true --push=maybe ."),
            ("x build -- docker --push=true", "x build -- docker --push=true"),
            ("x --push=true", "x --push=true"),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }
}
