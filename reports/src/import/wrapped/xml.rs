//! Logs in XML whose elements have the times of their texts: Robot Framework's output, log4j's XML, files of one's own.

use super::super::log::{prefix, stamp};
use super::count_marks;
use super::page::decoded;
use std::borrow::Cow;

/// The names of attributes with a time.
const TIMES: [&str; 7] = ["time", "timestamp", "ts", "date", "datetime", "at", "when"];

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

/// The time in the attributes of a tag.
fn time_in(tag: &str) -> Option<String> {
    let mut parts = tag.split(['"', '\'']);
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let name = name.trim_end().strip_suffix('=').unwrap_or_default().trim_end();
        let name = name.rsplit([' ', '\n', '\t', ':']).next().unwrap_or_default().to_ascii_lowercase();
        // A duration is a small number.
        let is_time = stamp::whole(value).is_some()
            || prefix::value(value).is_some_and(|value| value > 1_000_000_000_000_000_000)
                && value.bytes().all(|byte| byte.is_ascii_digit());
        if TIMES.contains(&&*name) && is_time {
            return Some(value.to_owned());
        }
    }
    None
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
