//! Terminal sequences (ECMA-48) in a log: colours, cursor movements, titles. They are removed.

use std::borrow::Cow;

/// The forms of the escape character after programs that made it visible.
const WRITTEN_ESCAPES: [&str; 6] = ["^[", "\\e", "\\033", "\\x1b", "\\u001b", "\u{241b}"];

/// The starts of sequences behind that character: colours and movements, and Buildkite's times.
const SEQUENCES: [&str; 2] = ["[", "_bk;t="];

/// The line without terminal sequences. Of Buildkite's `ESC _bk;t=1700000000000 BEL` the time remains.
pub(crate) fn plain(line: &str) -> Cow<'_, str> {
    let visible = WRITTEN_ESCAPES.iter().any(|escape| {
        line.contains(escape) && SEQUENCES.iter().any(|start| line.contains(&format!("{escape}{start}")))
    });
    let line = if visible {
        let mut line = line.to_owned();
        for (escape, start) in WRITTEN_ESCAPES.iter().flat_map(|escape| SEQUENCES.map(|start| (escape, start))) {
            line = line.replace(&format!("{escape}{start}"), &format!("\u{1b}{start}"));
        }
        Cow::Owned(line)
    } else {
        Cow::Borrowed(line)
    };
    let lost = line.contains("[0m") || line.contains("[0K") || line.contains("_bk;t=");
    if !line.contains('\u{1b}') && !lost {
        return line;
    }
    let mut out = String::with_capacity(line.len());
    let mut rest: &str = &line;
    while let Some(at) = rest.find(['\u{1b}', '[', '_']) {
        out.push_str(&rest[..at]);
        let from = &rest[at..];
        let length = match from.strip_prefix('\u{1b}') {
            Some(escaped) => sequence(escaped, &mut out).map(|length| length + 1),
            None => bare(from, &mut out),
        };
        match length {
            Some(length) if conceals(&from[..length]) => rest = revealed(&from[length..]),
            Some(length) => rest = &from[length..],
            None => {
                let first = from.chars().next().map_or(1, char::len_utf8);
                if !from.starts_with('\u{1b}') {
                    out.push_str(&from[..first]);
                }
                rest = &from[first..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The parameters of a sequence that sets how characters look (SGR, ECMA-48 8.3.117), without the numbers of colours (ITU-T T.416: `38;5;N`,
/// `38;2;R;G;B`).
fn appearance(sequence: &str) -> Option<impl Iterator<Item = &str>> {
    let mut parameters = sequence.strip_prefix("\u{1b}[")?.strip_suffix('m')?.split(';');
    Some(std::iter::from_fn(move || {
        let parameter = parameters.next()?;
        if matches!(parameter, "38" | "48" | "58") {
            let numbers = match parameters.next() {
                Some("5") => 1,
                Some("2") => 3,
                _ => 0,
            };
            parameters.by_ref().take(numbers).for_each(drop);
        }
        Some(parameter)
    }))
}

/// Whether a sequence hides the characters after it: Jenkins puts its notes there.
fn conceals(sequence: &str) -> bool {
    appearance(sequence).is_some_and(|mut parameters| parameters.any(|parameter| parameter == "8"))
}

/// The text from the sequence that ends the hidden characters.
fn revealed(text: &str) -> &str {
    let mut from = 0;
    while let Some(at) = text[from..].find("\u{1b}[") {
        let sequence = &text[from + at..];
        let end = sequence.find('m').map_or(sequence.len(), |end| end + 1);
        let shows = |parameter: &str| matches!(parameter, "" | "0" | "28");
        if appearance(&sequence[..end]).is_some_and(|mut parameters| parameters.any(shows)) {
            return sequence;
        }
        from += at + 2;
    }
    ""
}

/// The length of the sequence after an escape character.
fn sequence(rest: &str, out: &mut String) -> Option<usize> {
    let first = rest.chars().next()?;
    match first {
        // Parameters and one final character (ECMA-48, 5.4); anything else is text after a lone escape.
        '[' => {
            let end = rest[1..].find(|c: char| !(' '..='?').contains(&c))?;
            ('@'..='~').contains(&char::from(rest.as_bytes()[1 + end])).then_some(end + 2)
        }
        ']' | '_' | 'P' | '^' | 'X' => {
            let end = rest.find(['\u{7}', '\u{1b}']).unwrap_or(rest.len());
            keep_time(&rest[..end], out);
            let string_terminator = rest[end..].starts_with("\u{1b}\\");
            Some((end + if string_terminator { 2 } else { 1 }).min(rest.len()))
        }
        '(' | ')' | '#' | ' ' => rest.chars().nth(1).map(|second| 1 + second.len_utf8()),
        _ => Some(first.len_utf8()),
    }
}

/// The length of a sequence whose escape character was lost on the way: `[36m`, `[0K`, `_bk;t=1700000000000`.
fn bare(from: &str, out: &mut String) -> Option<usize> {
    if let Some(rest) = from.strip_prefix("_bk;t=") {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        keep_time(&from[..6 + digits], out);
        return Some(6 + digits + usize::from(rest[digits..].starts_with('\u{7}')));
    }
    let rest = from.strip_prefix('[')?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let last = rest.as_bytes()[end];
    if !matches!(last, b'm' | b'K') {
        return None;
    }
    // `[1m5s]` is a time of one minute and five seconds.
    let seconds = rest[end + 1..].find(|c: char| !c.is_ascii_digit() && c != '.');
    if last == b'm' && seconds.is_some_and(|at| at > 0 && rest[end + 1 + at..].starts_with("s]")) {
        return None;
    }
    (last == b'K' || end > 0).then_some(end + 2)
}

fn keep_time(sequence: &str, out: &mut String) {
    if let Some(time) = sequence.strip_prefix("_bk;t=") {
        out.push_str(time);
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_before_other_letters_stay() {
        for text in ["\u{1b}[32m[✓]\u{1b}[0m compiled", "\u{1b}[█ 50%", "\u{1b}[1m[构建] \u{1b}[0K"] {
            let clean = plain(text);
            assert!(clean.contains(['✓', '█', '构']), "{clean:?}");
        }
    }

    #[test]
    fn sequences_are_taken_off() {
        assert_eq!(plain("\u{1b}[32m#1 x\u{1b}[0m"), "#1 x");
        assert_eq!(plain("\u{1b}]0;title\u{7}#1 x"), "#1 x");
        assert_eq!(plain("\u{1b}]8;;link\u{1b}\\#1 x"), "#1 x");
        assert_eq!(plain("\u{1b}(B#1 x"), "#1 x");
        assert_eq!(plain("\u{1b}[8mha:////4AAA=\u{1b}[0m#1 x"), "#1 x");
        assert_eq!(plain("\u{1b}[8mhidden\u{1b}[1mstill\u{1b}[28m#1 x"), "#1 x");
        assert_eq!(plain("\u{1b}_bk;t=1772359200123\u{7}#1 x"), "1772359200123 #1 x");
        assert_eq!(plain("_bk;t=1772359200123\u{7}#1 x"), "1772359200123 #1 x");
        assert_eq!(plain("msg=\"\\x1b_bk;t=1772359200123\u{7}#1 x"), "msg=\"1772359200123 #1 x");
        assert_eq!(plain("[36mINFO[0m[0031] x"), "INFO[0031] x");
        assert_eq!(plain("^[[36mINFO^[[0m[0031] x"), "INFO[0031] x");
        assert_eq!(plain("#5 [2/3] RUN a[0] _b"), "#5 [2/3] RUN a[0] _b");
        assert_eq!(plain("\u{1b}"), "");
    }
}
