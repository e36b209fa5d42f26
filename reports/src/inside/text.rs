//! The text of a RUN, and the texts of its rows.

use super::tree;
use buildscope_record::{Processes, Step};

pub(super) const SHELL: &str = "the shell itself";
pub(super) const UNATTRIBUTED: &str = "unattributed";

/// Returns the text that a step's shell got; `None` if no shell was started.
pub(super) fn script<'a>(step: &'a Step, seen: &'a Processes) -> Option<&'a str> {
    if let Some(file) = &seen.script {
        let first = file.lines().next().unwrap_or_default();
        return first.split_whitespace().any(|word| tree::is_shell(word.trim_start_matches("#!"))).then_some(file);
    }
    match &seen.command[..] {
        [] => Some(run_text(&step.text)),
        [program, options @ .., script] => {
            let takes_text =
                |option: &String| option.starts_with('-') && !option.starts_with("--") && option.ends_with('c');
            (tree::is_shell(program) && options.iter().any(takes_text)).then_some(script)
        }
        [_] => None,
    }
}

/// The text of a RUN without the keyword and its flags.
pub(super) fn run_text(text: &str) -> &str {
    let mut rest = text.strip_prefix("RUN").unwrap_or(text).trim_start();
    while let Some(flag) = rest.strip_prefix("--") {
        rest = flag.find(char::is_whitespace).map_or("", |end| flag[end..].trim_start());
    }
    rest
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
