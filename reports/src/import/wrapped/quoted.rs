//! Logs as other programs print text: `cat -A`, literals of Python, parts of XML, parts of addresses.

use super::count_marks;
use memchr::memchr_iter;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The text of `cat -A`: a dollar sign at the end of each line, control characters as `^M` and `^I`.
pub(super) fn cat(text: &str) -> Option<String> {
    let lines = || text.lines().filter(|line| !line.is_empty());
    if lines().count() < 3 || !lines().all(|line| line.ends_with('$')) {
        return None;
    }
    let line = |line: &str| line.strip_suffix('$').unwrap_or(line).replace("^I", "\t").replace("^[", "\u{1b}");
    Some(text.lines().map(|text| line(text).trim_end_matches("^M").to_owned() + "\n").collect())
}

/// The text of one literal, as Python prints bytes and strings: `b'#1 ...\n'`; also behind a key of YAML or a variable: `log: "#1 ...\n"`.
pub(super) fn literal(text: &str) -> Option<String> {
    let name =
        |name: &str| name.trim_start_matches(['-', ' ']).chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    let value = |line| {
        let (key, value) = str::split_once(line, [':', '='])?;
        name(key.trim()).then(|| of_literal(value)).flatten()
    };
    of_literal(text).or_else(|| text.lines().find_map(value))
}

fn of_literal(text: &str) -> Option<String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('b').unwrap_or(inner);
    let quote = inner.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let inner = inner.strip_prefix(quote)?.strip_suffix(quote)?;
    // A quote within the text is escaped. Otherwise it closes a field, and others follow.
    if closing(inner, quote) < inner.len() || inner.contains('\n') || !inner.contains("\\n") {
        return None;
    }
    Some(unescaped(inner)).filter(|text| count_marks(text) > 0)
}

/// The texts of literals, one on each line, as a loop that prints `repr(line)` writes them: `'#1 …'`, `b"#1 …"`.
pub(super) fn literals(text: &str) -> Option<String> {
    const FEWEST: usize = 3;
    let line = |line: &str| {
        let inner = line.trim();
        let inner = inner.strip_prefix('b').unwrap_or(inner);
        let quote = inner.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
        let inner = inner.strip_prefix(quote)?.strip_suffix(quote)?;
        (closing(inner, quote) == inner.len()).then(|| unescaped(inner).trim_end_matches('\n').to_owned() + "\n")
    };
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(line).collect::<Option<_>>()?;
    // Rows that write their line ends are parts of one text.
    if text.lines().filter(|line| line.contains("\\n")).count() * 2 > lines.len() {
        return None;
    }
    Some(lines.concat()).filter(|text| lines.len() >= FEWEST && count_marks(text) > 0)
}

/// A log in one line with the escapes of its line ends: `#1 …\n#1 DONE 0.1s\n`. A document has such texts within it.
pub(super) fn escaped(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains('\n') || !text.contains("\\n") || text.contains("\":") {
        return None;
    }
    Some(unescaped(text)).filter(|log| count_marks(log) > count_marks(text) + 1)
}

/// The length of a text up to its closing quote, in bytes.
pub(super) fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.find(|c| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    end.unwrap_or(text.len())
}

/// A text with the escapes of a literal replaced. Bytes (`\xe2\x94\x80`) are UTF-8.
pub(super) fn unescaped(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let letter = after.chars().next().unwrap_or('\\');
        let mut used = letter.len_utf8().min(after.len());
        let digits = |length: usize| after.get(1..=length).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let character = match letter {
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            'x' => {
                if let Some(byte) = digits(2).and_then(|value| u8::try_from(value).ok()) {
                    out.push(byte);
                    used = 3;
                }
                None
            }
            'u' => {
                used = if digits(4).is_some() { 5 } else { used };
                digits(4).and_then(char::from_u32)
            }
            other => Some(other),
        };
        if let Some(character) = character {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = &after[used..];
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// The texts in an XML document, as reports of tests have them: CDATA sections.
pub(super) fn cdata(text: &str) -> Option<String> {
    let mut parts = text.split("<![CDATA[");
    parts.next()?;
    let sections: Vec<&str> = parts.map(|part| part.split_once("]]>").map_or(part, |(inside, _)| inside)).collect();
    (!sections.is_empty()).then(|| sections.join("\n"))
}

/// A text that is encoded as in an address (RFC 3986), as a form (a plus sign is a space), or as in a command of GitHub's runner, which
/// encodes only the ends of lines and the percent sign.
pub(super) fn percent(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let encoded =
        |&at: &usize| bytes.get(at + 1..at + 3).is_some_and(|digits| ESCAPES.iter().any(|known| digits == *known));
    let escapes = memchr_iter(b'%', bytes).filter(encoded).count();
    let spaces = memchr_iter(b' ', bytes).count();
    let decoded = if escapes < spaces {
        // An address within a log is not an encoded log.
        if !text.contains("%0A") {
            return None;
        }
        let log = text.lines().map(runner_command).collect::<Vec<_>>().join("\n");
        log.replace("%0D", "").replace("%0A", "\n").replace("%25", "%")
    } else if escapes == 0 {
        return None;
    } else {
        let spaced =
            if spaces > 0 || text.contains("%20") { Cow::Borrowed(text) } else { Cow::Owned(text.replace('+', " ")) };
        percent_decode_str(form_field(&spaced)).decode_utf8_lossy().into_owned()
    };
    (count_marks(&decoded) > count_marks(text)).then_some(decoded)
}

/// The longest field of a form, `name=value&name=value`, without its name. Any other text is returned unchanged.
fn form_field(text: &str) -> &str {
    let value = |field| {
        let (name, value) = str::split_once(field, '=')?;
        name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(value)
    };
    if text.trim_end().contains('\n') || value(text).is_none() {
        return text;
    }
    text.trim_end().split('&').filter_map(value).max_by_key(|value| value.len()).unwrap_or(text)
}

/// The text of a command of GitHub's runner: `::debug::text`.
fn runner_command(line: &str) -> &str {
    line.strip_prefix("::").and_then(|rest| rest.split_once("::")).map_or(line, |(_, text)| text)
}

/// Characters that are encoded in every log: spaces, line ends, and the characters at the start of builders' lines.
const ESCAPES: [&[u8; 2]; 8] = [b"20", b"0A", b"0a", b"23", b"5B", b"5b", b"3A", b"3a"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_cat_and_python_is_decoded() {
        assert_eq!(cat("#1 a^M$\n\n#2 b^Ic$\n#1 DONE$\n").unwrap(), "#1 a\n\n#2 b\tc\n#1 DONE\n");
        assert_eq!(cat("#1 a\n#2 cost 3$\n#3 c\n"), None);
        let log = "#1 [1/1] RUN echo \\'a\\'\\n#1 DONE 0.1s\\n#1 \\xe2\\x94\\x80\\u00e9\\n";
        assert_eq!(
            literal(&format!("b'{log}'\n")).unwrap(),
            "#1 [1/1] RUN echo 'a'\n#1 DONE 0.1s\n#1 \u{2500}\u{e9}\n"
        );
        assert_eq!(literal("'a word'"), None);
        // Fields of one line, the last of which has an escape.
        let field = "a=\"10:00:00\" msg=\"#1 [1/1] RUN printf '%s\\\\n' a\"\n";
        assert_eq!(literal(&format!("{field}{field}")), None);
        assert_eq!(
            literal("job: build\nlog: \"#1 [1/1] RUN a\\n#1 DONE 0.1s\\n\"\n").unwrap(),
            "#1 [1/1] RUN a\n#1 DONE 0.1s\n"
        );
        let log = "#1 [1/1] RUN echo 100%\n#1 DONE 0.1s\n";
        assert_eq!(percent("%231%20%5B1%2F1%5D%20RUN%20echo%20100%25\n%231%20DONE%200.1s\n").unwrap(), log);
        assert_eq!(percent("%231+%5B1/1%5D+RUN+echo+100%25%0A%231+DONE+0.1s%0A").unwrap(), log);
        assert_eq!(percent("#1 [1/1] RUN echo 100%25%0A#1 DONE 0.1s%0A").unwrap(), log);
        assert_eq!(percent("#1%20[1/1]%20RUN%20a=b%20&&%20c\n").unwrap(), "#1 [1/1] RUN a=b && c\n");
        assert_eq!(percent("job=7&log=%231+%5B1/1%5D+RUN+a%26%0A&x=").unwrap(), "#1 [1/1] RUN a&\n");
        assert_eq!(percent("#1 [1/1] RUN curl http://host/a%20b%0A\n#1 DONE 0.1s\n"), None);
        assert_eq!(unescaped("a\\"), "a\\");
        for printed in [
            "'#1 [1/1] RUN \"a\"'\n'#1 0.1 it\\'s'\n''\n'#1 DONE 0.1s'\n",
            "b'#1 [1/1] RUN \"a\"\\n'\nb\"#1 0.1 it's\"\nb''\nb'#1 DONE 0.1s'\n",
        ] {
            assert_eq!(literals(printed).as_deref(), Some("#1 [1/1] RUN \"a\"\n#1 0.1 it's\n\n#1 DONE 0.1s\n"));
        }
        assert_eq!(literals("#1 [1/1] RUN a\n'b'\n'c'\n"), None);
        assert_eq!(
            escaped("#1 [1/1] RUN a\\n#1 0.1 x\\n#1 DONE 0.1s").as_deref(),
            Some("#1 [1/1] RUN a\n#1 0.1 x\n#1 DONE 0.1s")
        );
        assert_eq!(escaped("#1 [1/1] RUN printf 'a\\n'"), None);
        assert_eq!(unescaped("\\u12"), "12");
        assert_eq!(
            cdata("<a><![CDATA[#1 x\n#1 DONE 0.1s\n]]></a><b><![CDATA[y]]>").unwrap(),
            "#1 x\n#1 DONE 0.1s\n\ny"
        );
    }
}
