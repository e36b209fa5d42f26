//! Files of variables: `.env` and `env_file`.

use std::{borrow::Cow, collections::BTreeMap};

use super::interpolate::interpolate;

/// The most that the values of a file take, in bytes. Each use of a variable copies its value.
const MAX_VALUES: usize = 64 << 20;

/// Reads `NAME=value` lines. Values may be quoted and may use variables before them; a name alone takes the value that
/// `outer` knows.
pub(super) fn parse(text: &str, outer: &dyn Fn(&str) -> Option<String>) -> Result<BTreeMap<String, String>, String> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut line, mut left) = (1, MAX_VALUES);
    loop {
        let trimmed = rest.trim_start();
        line += rest[..rest.len() - trimmed.len()].matches('\n').count();
        if trimmed.is_empty() {
            return Ok(variables);
        }
        if trimmed.starts_with('#') {
            rest = trimmed.find('\n').map_or("", |end| &trimmed[end..]);
            continue;
        }
        let statement = trimmed.strip_prefix("export ").map_or(trimmed, str::trim_start);
        let end = statement.find(['=', ':', '\n']).unwrap_or(statement.len());
        let name = statement[..end].trim();
        let valid = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
        if name.is_empty() || !name.chars().all(valid) {
            // The line is not shown: the file may be a private one.
            return Err(format!(
                "line {line}: a name of a variable is expected: letters, digits, `_`, `.`, `-` and brackets"
            ));
        }
        let after = &statement[end..];
        if after.is_empty() || after.starts_with('\n') {
            if let Some(value) = outer(name) {
                variables.insert(name.to_owned(), value);
            }
            rest = after;
            continue;
        }
        let (value, remaining) = value(after[1..].trim_start_matches([' ', '\t', '\r']), &variables, outer)
            .map_err(|why| format!("line {line}: {why}"))?;
        line += after[..after.len() - remaining.len()].matches('\n').count();
        let more = || format!("the values up to line {line} take more than {} MiB", MAX_VALUES >> 20);
        left = left.checked_sub(value.len()).ok_or_else(more)?;
        variables.insert(name.to_owned(), value);
        rest = remaining;
    }
}

fn value<'t>(
    text: &'t str,
    variables: &BTreeMap<String, String>,
    outer: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, &'t str), String> {
    let known = |name: &str| outer(name).map(Cow::Owned).or_else(|| Some(Cow::Borrowed(variables.get(name)?.as_str())));
    let expand = |value: &str| interpolate(value, &known);
    let Some(quote @ ('"' | '\'')) = text.chars().next() else {
        let end = text.find('\n').unwrap_or(text.len());
        let line = text[..end].split(" #").next().unwrap_or_default().trim_end();
        return Ok((expand(line)?, &text[end..]));
    };
    let mut content = String::new();
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            c if escaped => {
                if c != quote {
                    content.push('\\');
                }
                content.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            c if c == quote => {
                let value = if quote == '"' { expand(&unescape(&content))? } else { content };
                return Ok((value, &text[index + 1..]));
            }
            c => content.push(c),
        }
    }
    Err("a quoted value is not closed".into())
}

/// Escapes of a value in double quotes. `\$` is a literal dollar sign.
fn unescape(text: &str) -> String {
    let mut output = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            output.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => output.push('\n'),
            Some('r') => output.push('\r'),
            Some('t') => output.push('\t'),
            Some('v') => output.push('\u{b}'),
            Some('f') => output.push('\u{c}'),
            Some('a') => output.push('\u{7}'),
            Some('b') => output.push('\u{8}'),
            Some('$') => output.push_str("$$"),
            Some(c @ ('"' | '\\')) => output.push(c),
            Some(other) => output.extend(['\\', other]),
            None => output.push('\\'),
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// Docker's documentation of environment files: comments, quotes, interpolation.
    #[test]
    fn values_follow_the_documented_syntax() {
        let text = "# comment\nVAR=VAL # no\nHASH=VAL#yes\nSINGLE='$VAR'\nDOUBLE=\"a\\n${VAR}\"\nexport E=1\nYAML: y\nINHERITED\n";
        let outer = |name: &str| (name == "INHERITED").then(|| "from outside".to_owned());
        let variables = parse(text, &outer).unwrap();
        let expected = [
            ("VAR", "VAL"),
            ("HASH", "VAL#yes"),
            ("SINGLE", "$VAR"),
            ("DOUBLE", "a\nVAL"),
            ("E", "1"),
            ("YAML", "y"),
            ("INHERITED", "from outside"),
        ];
        for (name, value) in expected {
            assert_eq!(variables[name], value, "{name}");
        }
        assert!(parse("A B=1", &outer).is_err());
        assert!(parse("A=\"open", &outer).is_err());
    }

    /// Values that double with each line; and the same value many times.
    #[test]
    fn values_do_not_take_all_memory() {
        let none = |_: &str| None;
        let doubling: String = (1..40).map(|n| format!("A{n}=${{A{0}}}${{A{0}}}x\n", n - 1)).collect();
        assert_eq!(parse(&doubling, &none).unwrap_err(), "line 21: a text is longer than 1 MiB");
        let many =
            format!("A={}\n", "x".repeat(1 << 20)) + &(0..200).map(|line| format!("B{line}=$A\n")).collect::<String>();
        assert_eq!(parse(&many, &none).unwrap_err(), "the values up to line 65 take more than 64 MiB");
        // A foreign file is not shown.
        let error = parse("-----BEGIN SECRET\n", &none).unwrap_err();
        assert!(error.starts_with("line 1: ") && !error.contains("SECRET"), "{error}");
    }

    /// Each value is found without copying all others.
    #[test]
    fn many_variables_take_linear_time() {
        let text: String = (0..20_000).map(|line| format!("A{line}=$A{}\n", line / 2)).collect();
        assert_eq!(parse(&text, &|_| None).unwrap().len(), 20_000);
    }
}
