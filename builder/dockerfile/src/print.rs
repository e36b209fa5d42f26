//! Writes instructions as text in normal form, each on one line.

use super::lines::{Item, LineReader};
use super::{Dockerfile, Instruction};

/// The length in bytes above which a line is broken. It is below the parser's maximum of 65536 bytes.
const LONGEST: usize = 60_000;

/// Writes a Dockerfile in normal form: the directives, then one instruction on each line, followed by its heredocs.
/// Comments and continuations are left out. Parsing the result gives the same instructions, and printing these gives
/// the same text.
pub fn print(file: &Dockerfile<'_>) -> String {
    let mut out = String::with_capacity(file.text.len());
    for directive in &file.directives {
        out += &format!("# {}={}\n", directive.name, directive.value);
    }
    for instruction in &file.instructions {
        line(file, instruction, &mut out);
    }
    out
}

fn line(file: &Dockerfile<'_>, instruction: &Instruction<'_>, out: &mut String) {
    let text = &file.text[instruction.span.range()];
    let mut reader = LineReader::new(text);
    reader.escape = file.escape;
    reader.end_directives();
    let Some(Item::Line(logical)) = reader.item() else { return };
    let joined = logical.text.trim();
    let mut rest = joined;
    while rest.len() > LONGEST {
        // The line is broken within a word, so that no piece starts with a space or a `#`, or ends with an escape.
        let fits = |at: usize| {
            let (before, after) = rest.split_at(at);
            !before.ends_with(file.escape)
                && !after.starts_with(|c: char| c.is_whitespace() || c == '#' || c == file.escape)
        };
        let Some(at) = (1..LONGEST).rev().find(|at| rest.is_char_boundary(*at) && fits(*at)) else { break };
        *out += &rest[..at];
        out.push(file.escape);
        out.push('\n');
        rest = &rest[at..];
    }
    *out += rest;
    // A final escape would continue the line. A form feed after it prevents that: it is trimmed as a space at the end
    // of the line, but it may not follow the escape of a continuation.
    if rest.ends_with(file.escape) && !rest[..rest.len() - file.escape.len_utf8()].ends_with(file.escape) {
        out.push('\u{c}');
    }
    out.push('\n');
    let documents = &text[reader.position()..];
    if !documents.is_empty() {
        *out += documents;
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::print;
    use crate::parse;

    #[test]
    fn normal_form_has_no_comments_or_continuations() {
        let text = "# escape=`\n# comment\nfrom  a  `\n # inner\n  as b\n\nRUN x `\n\n y\nCOPY <<E /z\n$a\nE\n";
        let file = parse(text).unwrap();
        let printed = print(&file);
        assert_eq!(printed, "# escape=`\nfrom  a    as b\nRUN x  y\nCOPY <<E /z\n$a\nE\n");
        assert_eq!(print(&parse(&printed).unwrap()), printed);
    }

    #[test]
    fn broken_long_lines_join_to_the_same_text() {
        let text = format!("FROM a\nRUN {}\n", "word # \\\\ ".repeat(10_000));
        let broken: String = text.replace(' ', " \\\n");
        let file = parse(&broken).unwrap();
        let printed = print(&file);
        let again = parse(&printed).unwrap();
        assert_eq!(file.joined(&file.instructions[1]).trim(), again.joined(&again.instructions[1]).trim());
    }
}
