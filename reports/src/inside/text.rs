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

/// A command of a shell's text on one line, so that a shell still reads the same commands. If a word or a branch of `case` goes over the end
/// of a line, or if it has a heredoc, only the lines are joined.
pub(super) fn command_line(text: &str) -> String {
    const OPEN: [&str; 8] = ["do", "then", "else", "{", "(", "&&", "||", "|"];
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty() && !part.starts_with('#')) {
        let is_cut = part.contains("<<") || part.contains(" #") || part.split_whitespace().any(|word| word == "case");
        if is_cut || ['"', '\'', '`'].iter().any(|quote| part.matches(*quote).count() % 2 != 0) {
            return one_line(text);
        }
        let before = line.trim_end().to_owned();
        let continued = before.strip_suffix('\\');
        let open =
            before.ends_with([';', '&', '(', '|']) || OPEN.contains(&before.rsplit(' ').next().unwrap_or_default());
        line = match continued {
            Some(begun) => format!("{begun} {part}"),
            None if before.is_empty() || open => format!("{before} {part}"),
            None => format!("{before}; {part}"),
        };
    }
    one_line(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_command_are_commands_on_one_line() {
        assert_eq!(
            command_line("for i in 1 2\ndo\n  # why\n  a $i &&\n  b \\\n    c\n  d\ndone"),
            "for i in 1 2; do a $i && b c; d; done"
        );
        assert_eq!(command_line("if a; then\n\tb\nelse\n\tc |\n\td\nfi"), "if a; then b; else c | d; fi");
        assert_eq!(command_line("(\n a\n b &\n)"), "( a; b & )");
        assert_eq!(command_line("f 'a\nb'"), "f 'a b'");
        assert_eq!(command_line("case x in\na) b\n;;\nesac"), "case x in a) b ;; esac");
        assert_eq!(command_line("a   b"), "a b");
    }
}
