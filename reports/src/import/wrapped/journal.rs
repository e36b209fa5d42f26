//! systemd's journal with its fields (`journalctl -o export`, `-o verbose`).

/// The messages of a journal, each behind its time; `None` if the text is not a journal.
pub(super) fn lines(text: &str) -> Option<String> {
    let mut head = text.lines().take(40);
    if head.clone().any(|line| line.starts_with("__REALTIME_TIMESTAMP=")) {
        return Some(exported(text));
    }
    let verbose = |line: &str| is_entry(line);
    let field = |line: &str| line.starts_with("    ") && line.contains('=');
    let starts = head.find(|line| verbose(line)).is_some() && head.next().is_some_and(field);
    starts.then(|| shown(text))
}

/// Whether a line begins an entry: a time, and the cursor in brackets.
fn is_entry(line: &str) -> bool {
    line.ends_with(']') && line.contains(" [s=") && line.contains(";i=")
}

/// `journalctl -o verbose`: the time and the cursor, then a field in each line.
fn shown(text: &str) -> String {
    let mut out = String::new();
    let mut time = "";
    let mut message = false;
    for line in text.lines() {
        if is_entry(line) {
            time = line.split(" [s=").next().unwrap_or_default();
            message = false;
        } else if let Some(first) = line.strip_prefix("    MESSAGE=") {
            push(&mut out, time, first);
            message = true;
        } else if line.strip_prefix("    ").is_some_and(is_field) {
            message = false;
        } else if message {
            // A message of several lines continues after its indentation.
            push(&mut out, time, line.trim_start());
        }
    }
    out
}

/// Whether a line is a field: a name in capitals before an equals sign.
fn is_field(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

/// `journalctl -o export`: fields in lines, entries between empty lines. A field with unprintable characters is written as its name, the
/// length of its value in eight bytes, and the value.
fn exported(text: &str) -> String {
    let mut out = String::new();
    let (mut time, mut message) = ("", Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        if line.is_empty() {
            flush(&mut out, &mut time, &mut message);
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_field(line)) {
            match name {
                "__REALTIME_TIMESTAMP" => time = value,
                "MESSAGE" => message.push(value),
                _ => {}
            }
        } else {
            // Bytes of the length that are not UTF-8 are one character each.
            let start = rest.char_indices().nth(8).map_or(rest.len(), |(at, _)| at);
            let value = &rest[start..];
            let end = end_of_value(value);
            if line == "MESSAGE" {
                message.extend(value[..end].lines());
            }
            rest = value[end..].strip_prefix('\n').unwrap_or("");
        }
    }
    flush(&mut out, &mut time, &mut message);
    out
}

/// The end of a value: before a line that is a field, the name of a field, or empty.
fn end_of_value(value: &str) -> usize {
    let name = |line: &str| {
        line.len() > 2 && line.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let mut at = 0;
    for line in value.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        if at > 0 && (text.is_empty() || is_field(text) || name(text)) {
            return at - 1;
        }
        at += line.len();
    }
    value.trim_end_matches('\n').len()
}

fn flush(out: &mut String, time: &mut &str, message: &mut Vec<&str>) {
    message.drain(..).for_each(|line| push(out, time, line));
    *time = "";
}

fn push(out: &mut String, time: &str, line: &str) {
    for part in [time, if time.is_empty() { "" } else { " " }, line, "\n"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_in_both_forms() {
        let export = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1772359200123456\nPRIORITY=6\nMESSAGE=#1 [internal] x\n_PID=1\n\n\
                      __REALTIME_TIMESTAMP=1772359201123456\nMESSAGE\n\u{c}\0\0\0\0\0\0\0#1 DONE 1.0s\n_PID=1\n\n";
        let expected = "1772359200123456 #1 [internal] x\n1772359201123456 #1 DONE 1.0s\n";
        assert_eq!(lines(export).as_deref(), Some(expected));
        let verbose = "Sun 2026-03-01 10:00:00.123456 UTC [s=1d;i=1;b=2e]\n    PRIORITY=6\n    MESSAGE=#1 [internal] x\n    _PID=1\n";
        assert_eq!(lines(verbose).as_deref(), Some("Sun 2026-03-01 10:00:00.123456 UTC #1 [internal] x\n"));
        assert_eq!(lines("#1 [internal] x\n    A=b\n"), None);
    }

    #[test]
    fn a_line_break_as_a_length_is_not_an_end() {
        // Ten bytes: the first byte of the length is a line break.
        let export = "__REALTIME_TIMESTAMP=1\nMESSAGE\n\n\0\0\0\0\0\0\0#1 CACHED!\n\n";
        assert_eq!(lines(export).as_deref(), Some("1 #1 CACHED!\n"));
    }
}
