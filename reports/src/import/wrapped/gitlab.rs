//! Logs of GitLab's runner with times: a time, the number of the stream, `O` or `E`, and a space, or `+` if the line continues the one before.

use super::super::log::stamp;

/// Joins the parts of each line; `None` if no line is in parts.
pub(super) fn lines(text: &str) -> Option<String> {
    if !text.lines().any(|line| continued(line).is_some()) {
        return None;
    }
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some((stream, content)) = continued(line) else {
            out.push(line.to_owned());
            continue;
        };
        let begun = out
            .iter_mut()
            .rev()
            .take(FARTHEST)
            .find(|begun| begun.get(TIME..).is_some_and(|rest| rest.starts_with(stream)));
        match begun {
            Some(begun) => begun.push_str(content),
            None => out.push(format!("{}{stream} {content}", &line[..TIME])),
        }
    }
    out.push(String::new());
    Some(out.join("\n"))
}

/// The length of the time with its space, as in `2026-03-01T10:00:00.123456Z `.
const TIME: usize = 28;

/// The most lines of other streams between the parts of a line.
const FARTHEST: usize = 16;

/// The stream and the text of a line that continues another one.
fn continued(line: &str) -> Option<(&str, &str)> {
    let (stream, rest) = (line.get(TIME..TIME + 3)?, line.get(TIME + 3..)?);
    let hex = stream.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()) && stream.ends_with(['O', 'E']);
    let timed = || stamp::whole(&line[..TIME]).is_some() && line[..TIME].ends_with("Z ");
    if hex && rest.starts_with('+') && timed() { Some((stream, &rest[1..])) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together_by_stream() {
        let [first, second] = ["2026-03-01T10:00:00.123456Z ", "2026-03-01T10:00:01.123456Z "];
        let log = format!("{first}00O #1 [int\n{first}01E other\n{second}00O+ernal] x\n");
        assert_eq!(lines(&log), Some(format!("{first}00O #1 [internal] x\n{first}01E other\n")));
        assert_eq!(lines(&format!("{first}00O #1 [internal] x\n")), None);
    }
}
