//! Whether a text of a RUN may be the one that a builder shows.
//!
//! BuildKit names a step by its text with the values of the variables that the Dockerfile defines, and without the backslashes before
//! characters. Which variables it replaced is not in its log.

/// Whether a builder may show `text` as `shown`: both are equal, except that a variable of `text` may have any value. White space and
/// backslashes do not count. An escaped letter of `text` may be any text: in the arguments of a process, `\t` is a tab, too. So may be what
/// follows an ellipsis at the end.
pub fn shows(shown: &str, text: &str) -> bool {
    let shown = bare(shown);
    let parts = literals(text);
    let [first, between @ .., last] = &parts[..] else {
        return parts.first().is_some_and(|only| *only == shown);
    };
    let Some(mut rest) = shown.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else { return false };
    for part in between {
        let Some(at) = rest.find(&**part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// How much of a text is the same with any values of its variables, in bytes.
pub(super) fn fixed(text: &str) -> usize {
    literals(text).iter().map(String::len).sum()
}

/// A text without white space and backslashes.
fn bare(text: &str) -> String {
    text.chars().filter(|char| !char.is_whitespace() && *char != '\\').collect()
}

/// The bare parts of a text before, between and after what may be any text.
fn literals(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut begun, mut at) = (0, 0);
    while let Some(found) = text[at..].find(['$', '\\']).map(|found| at + found) {
        let length = any(&text[found..]);
        if length > 1 {
            parts.push(bare(&text[begun..found]));
            begun = found + length;
        }
        at = found + length;
    }
    match text[begun..].strip_suffix('…') {
        Some(cut) => parts.extend([bare(cut), String::new()]),
        None => parts.push(bare(&text[begun..])),
    }
    parts
}

/// The length of what may be any text at a `$` or a backslash: `$NAME`, `$?`, `${...}`, `\n`. 1 if it is only this character.
fn any(text: &str) -> usize {
    let rest = &text[1..];
    let Some(next) = rest.chars().next() else { return 1 };
    if text.starts_with('\\') {
        return if matches!(next, 'n' | 't' | 'r') { 2 } else { 1 };
    }
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    match next {
        '{' => closing(rest).map_or(1, |end| 1 + end),
        '@' | '*' | '#' | '?' | '-' | '$' | '!' => 2,
        _ => 1 + rest.find(|char| !is_of_name(char)).unwrap_or(rest.len()),
    }
}

/// The length of a text in braces, with the braces.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0;
    let closes = |&(_, char): &(usize, char)| {
        open += match char {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        open == 0
    };
    text.char_indices().find(closes).map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that BuildKit's `processCmdEnv` (0.12 and HEAD of 2026-08-21) gives to these texts, with `V=1.2`, `W=` and `DIR=/a b`.
    #[test]
    fn variables_have_any_value() {
        for (text, shown) in [
            ("make", "make"),
            ("make  all &&   ls", "make all && ls"),
            ("apt-get install -y foo=$V", "apt-get install -y foo=1.2"),
            ("curl ${URL:-https://x/${V}} | tar x", "curl https://x/1.2 | tar x"),
            ("cd ${DIR} && make $W all", "cd /a b && make  all"),
            ("for i in 1 2; do sleep $i; done", "for i in 1 2; do sleep $i; done"),
            ("$V", "1.2"),
            (r#"echo "a \"b\"" $V"#, r#"echo "a "b"" 1.2"#),
            (r"printf 'a\nb' a\ b", r"printf 'anb' a b"),
            (r"printf 'a\nb'", r"printf 'a\nb'"),
            ("false; [ $? = 1 ]", "false; [ $? = 1 ]"),
            ("cc $V a.c…", "cc 1.2 a.c b.c"),
            ("echo $(pwd) $$ $", "echo $(pwd) $$ $"),
        ] {
            assert!(shows(shown, text), "{text} as {shown}");
        }
    }

    #[test]
    fn what_no_variable_explains_is_another_text() {
        for (text, shown) in [
            ("make", "make all"),
            ("make $V", "cmake 1"),
            ("make $V && ls", "make 1 && cp"),
            ("a $V b $V c", "a c b"),
            ("aa$V", "a"),
            ("a$V", ""),
            ("ab${V}bc", "abc"),
            ("${V", "1"),
        ] {
            assert!(!shows(shown, text), "{text} as {shown}");
        }
        assert_eq!(fixed("make $V && ls"), "make&&ls".len());
    }
}
