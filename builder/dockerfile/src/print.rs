//! Instructions to text: each on one line, in normal form.

use super::lines::{Item, Reader};
use super::{Dockerfile, Instruction};

/// Lines are broken before they come near the longest that is read.
const LONGEST: usize = 60_000;

/// Writes a Dockerfile in normal form: directives, then one instruction a line with its documents behind it;
/// comments and continuations are left out. Parsing it gives the same instructions, and printing those the same text.
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
    let mut reader = Reader::new(text);
    reader.escape = file.escape;
    reader.end_directives();
    let Some(Item::Line(logical)) = reader.item() else { return };
    let joined = logical.text.trim();
    let mut rest = joined;
    while rest.len() > LONGEST {
        // Within a word, so that no piece begins with a space or a comment's mark, or ends with an escape.
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
    // A form feed is a space at the end of a line, but not one that may follow a continuation's mark.
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
    fn normal_form() {
        let text = "# escape=`\n# comment\nfrom  a  `\n # inner\n  as b\n\nRUN x `\n\n y\nCOPY <<E /z\n$a\nE\n";
        let file = parse(text).unwrap();
        let printed = print(&file);
        assert_eq!(printed, "# escape=`\nfrom  a    as b\nRUN x  y\nCOPY <<E /z\n$a\nE\n");
        assert_eq!(print(&parse(&printed).unwrap()), printed);
    }

    #[test]
    fn long_lines_are_broken_where_it_does_not_matter() {
        let text = format!("FROM a\nRUN {}\n", "word # \\\\ ".repeat(10_000));
        let broken: String = text.replace(' ', " \\\n");
        let file = parse(&broken).unwrap();
        let printed = print(&file);
        let again = parse(&printed).unwrap();
        assert_eq!(file.joined(&file.instructions[1]).trim(), again.joined(&again.instructions[1]).trim());
    }
}
