//! Logs in XML whose elements have the times of their texts: Robot Framework's output, log4j's XML, files of one's own.

use super::super::log::{prefix, stamp, terminal};
use super::super::marks;
use super::count_marks;
use super::page::{decoded, is_page, is_tag};
use std::borrow::Cow;

/// The names of attributes with a time.
const TIMES: [&str; 8] = ["t", "time", "timestamp", "ts", "date", "datetime", "at", "when"];

/// How many different times a document needs: one may be that of the whole.
const FEWEST: usize = 2;

/// The texts of the elements, each line behind the time of its element; `None` if the text is not such a document.
pub(super) fn lines(text: &str) -> Option<String> {
    // The command that printed the document may be before it.
    if !text.lines().take(FEWEST).any(|line| line.trim_start().starts_with('<')) {
        return None;
    }
    let (mut out, mut time, mut times) = (String::new(), String::new(), 0_usize);
    for part in (Parts { rest: text }) {
        match part {
            Part::Tag(tag) => {
                if let Some(found) = time_in(tag).filter(|found| *found != time) {
                    time = found;
                    times += 1;
                }
            }
            Part::Text(text) => {
                for line in text.trim_matches(['\n', '\r']).lines().filter(|line| !line.trim().is_empty()) {
                    out += &format!("{time} {line}\n");
                }
            }
        }
    }
    (times >= FEWEST && count_marks(&out) > 0).then_some(out)
}

enum Part<'t> {
    Tag(&'t str),
    Text(Cow<'t, str>),
}

struct Parts<'t> {
    rest: &'t str,
}

impl<'t> Iterator for Parts<'t> {
    type Item = Part<'t>;

    fn next(&mut self) -> Option<Part<'t>> {
        const CDATA: &str = "<![CDATA[";
        if self.rest.is_empty() {
            return None;
        }
        let (end, after) = if self.rest.starts_with(CDATA) { ("]]>", 3) } else { (">", 1) };
        if !self.rest.starts_with('<') {
            let (text, rest) = self.rest.split_at(self.rest.find('<').unwrap_or(self.rest.len()));
            self.rest = rest;
            return Some(Part::Text(decoded(text)));
        }
        let length = self.rest.find(end).unwrap_or(self.rest.len());
        let (inside, rest) = self.rest.split_at(length);
        self.rest = rest.get(after..).unwrap_or_default();
        Some(match inside.strip_prefix(CDATA) {
            Some(text) => Part::Text(Cow::Borrowed(text)),
            None => Part::Tag(inside),
        })
    }
}

/// The names and values of the attributes of a tag.
fn attributes(tag: &str) -> impl Iterator<Item = (String, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let open = rest.find(['"', '\''])?;
        let quote = rest[open..].chars().next()?;
        let (name, value) = (&rest[..open], &rest[open + 1..]);
        let end = value.find(quote)?;
        rest = &value[end + 1..];
        let name = name.trim_end().strip_suffix('=').unwrap_or_default().trim_end();
        let name = name.rsplit([' ', '\n', '\t', ':']).next().unwrap_or_default().to_ascii_lowercase();
        Some((name, &value[..end]))
    })
}

/// Whether a value is a time. A duration is a small number.
fn is_time(value: &str) -> bool {
    stamp::whole(value).is_some()
        || prefix::value(value).is_some_and(|value| value > 1_000_000_000_000_000_000)
            && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// The time in the attributes of a tag.
fn time_in(tag: &str) -> Option<String> {
    attributes(tag).find(|(name, value)| TIMES.contains(&&**name) && is_time(value)).map(|(_, value)| value.to_owned())
}

/// The fewest lines of builders in elements of their own.
const FEWEST_ROWS: usize = 3;

/// The texts of a log each line of which is in an element of its own, perhaps behind a prefix: `job 7 | <line at="…">…</line>`, a row of an
/// HTML table, an element whose text is in an attribute.
pub(super) fn rows(text: &str) -> Option<String> {
    if is_page(text) {
        return None;
    }
    let all: Vec<_> = text.lines().map(terminal::plain).collect();
    let rows: Vec<Option<Row<'_>>> = all.iter().map(|line| Row::read(line)).collect();
    let marked = || rows.iter().flatten().filter(|row| marks::find(&row.text).is_some());
    let name = marked().next()?.name;
    let own = marked().filter(|row| row.name == name).count();
    let outside = all.iter().zip(&rows).filter(|(line, row)| row.is_none() && marks::find(line).is_some()).count();
    if own < FEWEST_ROWS || own < marked().count() || outside > 0 {
        return None;
    }
    let line = |(line, row): (&Cow<'_, str>, &Option<Row<'_>>)| match row {
        Some(row) => format!("{}{} {}\n", row.before, row.time.as_deref().unwrap_or_default(), row.text),
        None => format!("{line}\n"),
    };
    Some(all.iter().zip(&rows).map(line).collect())
}

/// A line that is an element, behind a prefix.
struct Row<'t> {
    before: &'t str,
    name: &'t str,
    time: Option<String>,
    text: String,
}

impl<'t> Row<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let line = line.trim_end();
        let start = line.match_indices('<').map(|(at, _)| at).find(|&at| is_tag(&line[at..]))?;
        // Output of a step may be XML, too.
        if !line.ends_with('>') || marks::find(&line[..start]).is_some() {
            return None;
        }
        let (mut time, mut texts, mut values) = (None, Vec::new(), Vec::new());
        for part in (Parts { rest: &line[start..] }) {
            match part {
                Part::Tag(tag) => {
                    for (_, value) in attributes(tag) {
                        if time.is_none() && is_time(value) {
                            time = Some(value.to_owned());
                        }
                        values.push(decoded(value));
                    }
                }
                Part::Text(text) => texts.push(text),
            }
        }
        let texts: Vec<&str> = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        let text = texts.join(" ");
        // The text of an empty element is in an attribute.
        let in_value = || values.iter().find(|value| marks::find(value).is_some_and(|(at, _)| at == 0));
        let text = if text.is_empty() { in_value().map(|value| value.to_string()).unwrap_or_default() } else { text };
        let name = line[start + 1..].split([' ', '>', '/']).next().unwrap_or_default();
        Some(Self { before: &line[..start], name, time, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_element_is_before_its_text() {
        let expected = "2026-03-01T10:00:00.5Z #1 [1/1] RUN a > b && c\n2026-03-01T10:00:01Z #1 DONE 0.5s\n";
        for document in [
            "<?xml version=\"1.0\"?>\n<log>\n  <line time=\"2026-03-01T10:00:00.5Z\" level='a'>#1 [1/1] RUN a &gt; b &amp;&amp; c</line>\n  <line time=\"2026-03-01T10:00:01Z\">#1 DONE 0.5s</line>\n</log>\n",
            "<log4j:event timestamp=\"2026-03-01T10:00:00.5Z\">\n<log4j:message><![CDATA[#1 [1/1] RUN a > b && c]]></log4j:message>\n</log4j:event>\n<log4j:event timestamp=\"2026-03-01T10:00:01Z\">\n<log4j:message><![CDATA[#1 DONE 0.5s]]></log4j:message>\n</log4j:event>",
        ] {
            assert_eq!(lines(document).as_deref(), Some(expected), "{document}");
        }
    }

    #[test]
    fn each_line_may_be_an_element_behind_a_prefix() {
        let texts = ["#1 [1/1] RUN a > \"b\" && c", "#1 0.1 <p>x</p>", "", "#1 DONE 0.5s", "#2 [2/2] RUN d"];
        let log = |before: &str, element: fn(usize, &str) -> String| -> String {
            let escaped = |text: &str| {
                text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
            };
            texts.iter().enumerate().map(|(at, text)| format!("{before}{}\n", element(at, &escaped(text)))).collect()
        };
        let read = |log: &str| -> Vec<String> {
            rows(log).unwrap_or_default().lines().map(|line| line.trim_end().to_owned()).collect()
        };
        let expected = |before: &str, time: bool| -> Vec<String> {
            let line = |(at, text): (usize, &&str)| {
                let time = if time { format!("10:00:0{at}") } else { String::new() };
                format!("{before}{time} {text}").trim_end().to_owned()
            };
            texts.iter().enumerate().map(line).collect()
        };
        let timed =
            |at, text: &str| format!("<log:entry n='1' at=\"10:00:0{at}\"><log:msg>{text}</log:msg></log:entry>");
        assert_eq!(read(&log("[job 7] ", timed)), expected("[job 7] ", true));
        let plain = |_, text: &str| format!("<m>{text}</m>");
        assert_eq!(read(&log("<134>1 host - - ", plain)), expected("<134>1 host - - ", false));
        let attribute = |at, text: &str| format!("<e time=\"10:00:0{at}\" message=\"{text}\"/>");
        assert_eq!(read(&log("a | ", attribute)), expected("a | ", true));
        let cells = |at, text: &str| format!("<tr><td>10:00:0{at}</td><td><code>{text}</code></td></tr>");
        let cells = read(&log("", cells));
        assert_eq!(cells[0], " 10:00:00 #1 [1/1] RUN a > \"b\" && c");
        assert_eq!(
            rows("#1 [1/1] RUN cat\n#1 0.1 <a>#2 DONE 1.0s</a>\n#1 0.2 <a>#2 DONE 1.0s</a>\n#1 DONE 0.1s\n"),
            None
        );
    }

    #[test]
    fn a_document_without_times_of_lines_is_another() {
        for text in [
            "<testsuite timestamp=\"2026-03-01T10:00:00\" time=\"1.5\"><system-out>#1 [1/1] RUN a\n#1 DONE 0.5s</system-out></testsuite>",
            "<a time=\"2026-03-01T10:00:00Z\">x</a><a time=\"2026-03-01T10:00:01Z\">y</a>",
            "<",
            "<![CDATA[",
            "#1 [1/1] RUN a <b>\n",
            "",
        ] {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}
