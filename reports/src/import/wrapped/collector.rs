//! Logs that a collector keeps as JSON: docker's `json-file` driver, Kubernetes and cloud services, the APIs of CI services.
//!
//! An entry has the text in one field and its time in another. The text is the field that contains lines of builders.

use super::super::log::{prefix, stamp};
use super::super::marks;
use super::entries::{LogEntry, decoded, documents, entries, marks_in};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The text of a collector's log with the time before each line; `None` if the text is not one.
pub(super) fn lines(text: &str) -> Option<String> {
    lines_of(entries(&documents(text)?))
}

/// The texts of entries with the time before each line; `None` if they have no lines of a builder.
pub(super) fn lines_of(mut lists: Vec<Vec<LogEntry>>) -> Option<String> {
    let text = Text::find(all_of(&lists))?;
    let time = time_field(all_of(&lists), &text.path);
    let instant = |entry: &LogEntry| time.as_ref().and_then(|path| instant(entry.leaves.get(path)?));
    for list in lists.iter_mut().filter(|_| time.is_some()) {
        if is_newest_first(list, instant) {
            list.reverse();
        }
    }
    let several = lists.len() > 1;
    let mut all: Vec<LogEntry> = lists.into_iter().flatten().collect();
    if several && all.iter().all(|entry| instant(entry).is_some()) {
        all.sort_by_key(instant);
    }
    Some(written(&all, &text, time.as_deref()))
}

fn all_of(lists: &[Vec<LogEntry>]) -> impl Iterator<Item = &LogEntry> + Clone {
    lists.iter().flatten()
}

fn is_newest_first(list: &[LogEntry], instant: impl Fn(&LogEntry) -> Option<i128>) -> bool {
    let times: Vec<i128> = list.iter().filter_map(instant).collect();
    let later = times.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let earlier = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    earlier > later
}

/// The field in which the text is.
struct Text {
    path: String,
    /// Whether the text is encoded in base64.
    encoded: bool,
}

impl Text {
    fn find<'e>(entries: impl Iterator<Item = &'e LogEntry>) -> Option<Self> {
        let mut counts: BTreeMap<(&str, bool), usize> = BTreeMap::new();
        for (path, value) in entries.flat_map(|entry| &entry.leaves) {
            let (count, encoded) = marks_in(value);
            *counts.entry((path, encoded)).or_default() += count;
        }
        let best = counts.into_iter().filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count);
        best.map(|((path, encoded), _)| Self { path: path.to_owned(), encoded })
    }

    fn of<'e>(&self, entry: &'e LogEntry) -> Cow<'e, str> {
        let text = entry.leaves.get(&self.path).map_or("", String::as_str);
        let inner = self.encoded.then(|| decoded(text)).flatten();
        inner.map_or(Cow::Borrowed(text), Cow::Owned)
    }
}

/// The field of the time: a field that most entries have, preferably one with the name of a time, and with the most different values.
fn time_field<'e>(entries: impl Iterator<Item = &'e LogEntry> + Clone, text: &str) -> Option<String> {
    let mut times: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for (path, value) in entries.clone().flat_map(|entry| &entry.leaves).filter(|(path, _)| *path != text) {
        if is_time(path, value) {
            let (count, values) = times.entry(path).or_default();
            *count += 1;
            values.insert(value);
        }
    }
    // A field with one value for all entries is not their time.
    let several = entries.clone().nth(1).is_some();
    times.retain(|_, (_, values)| !several || values.len() > 1);
    let named = |path: &str| ["time", "date", "ts"].iter().any(|word| name(path).contains(word));
    let best = times.into_iter().max_by_key(|(path, (count, values))| (*count, named(path), values.len(), *path));
    best.map(|(path, _)| path.to_owned())
}

/// The last part of a path in lower case.
fn name(path: &str) -> String {
    path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase()
}

/// Whether a value is a time.
fn is_time(path: &str, value: &str) -> bool {
    let value = value.trim();
    if stamp::whole(value).is_some() {
        return true;
    }
    let digits = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = prefix::value(value).filter(|_| digits && !value.is_empty());
    let epoch = number.is_some_and(|value| value > 1_000_000_000_000_000_000);
    let name = name(path);
    epoch
        || (number.is_some()
            && (name.contains("time") || ["t", "ts", "elapsed", "offset", "seconds"].contains(&&*name)))
}

fn instant(value: &str) -> Option<i128> {
    stamp::whole(value.trim()).map(|stamp| stamp.at).or_else(|| prefix::value(value.trim()))
}

/// The entries as lines. An entry without a line break at its end is a line. If other entries end with line breaks, the line continues in
/// the next entry.
fn written(entries: &[LogEntry], text: &Text, time: Option<&str>) -> String {
    let parts = continues(entries, text);
    let mut out = String::new();
    // The time and the text of the incomplete line of each stream.
    let mut open: BTreeMap<String, (String, String)> = BTreeMap::new();
    for entry in entries {
        let before = match time {
            Some(path) => {
                let time = entry.leaves.get(path).map(|time| format!("{} ", time.trim())).unwrap_or_default();
                // A time before the document may be finer than the one in it.
                if is_timed(&entry.before) { format!("{} {time}", entry.before.trim_end()) } else { time }
            }
            None => entry.before.clone(),
        };
        let said = text.of(entry);
        if !parts {
            said.lines().for_each(|line| push(&mut out, &before, line));
            continue;
        }
        let stream = entry.leaves.get(".stream").cloned().unwrap_or_default();
        for part in said.split_inclusive('\n') {
            let (before, mut line) = open.remove(&stream).unwrap_or_else(|| (before.clone(), String::new()));
            line += part;
            if part.ends_with('\n') {
                push(&mut out, &before, line.trim_end_matches(['\n', '\r']));
            } else {
                open.insert(stream.clone(), (before, line));
            }
        }
    }
    open.into_values().for_each(|(before, line)| push(&mut out, &before, &line));
    out
}

/// Whether a text has a time in it.
fn is_timed(text: &str) -> bool {
    let is_epoch = |word: &str| is_time("", word.trim_matches(['[', ']', ':', '(', ')']));
    let mut starts =
        text.char_indices().filter(|(at, c)| c.is_alphanumeric() && !text[..*at].ends_with(char::is_alphanumeric));
    starts.any(|(at, _)| stamp::read(&text[at..]).is_some()) || text.split_whitespace().any(is_epoch)
}

/// Whether lines may continue in the next entry: some entries end with a line break, and the entries after the others rarely start with a
/// builder's text.
fn continues(entries: &[LogEntry], text: &Text) -> bool {
    let texts: Vec<Cow<'_, str>> = entries.iter().map(|entry| text.of(entry)).collect();
    let ended = texts.iter().filter(|text| text.ends_with('\n')).count();
    let begins = |text: &str| matches!(marks::find(text), Some((0, _)));
    let open = texts.windows(2).filter(|pair| !pair[0].ends_with('\n'));
    let (mut count, mut begun) = (0, 0);
    for pair in open {
        count += 1;
        begun += usize::from(begins(&pair[1]));
    }
    ended > 0 && (ended * 20 >= entries.len() || begun * 4 < count)
}

fn push(out: &mut String, before: &str, line: &str) {
    for part in [before, line, "\n"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_and_its_time_are_found() {
        for (json, expected) in [
            (
                "{\"log\":\"#1 [internal] x\\n\",\"stream\":\"stderr\",\"time\":\"2026-03-01T10:00:00Z\"}\n{\"log\":\"#1 DONE 1.0s\\n\",\"stream\":\"stderr\",\"time\":\"2026-03-01T10:00:01Z\"}",
                "2026-03-01T10:00:00Z #1 [internal] x\n2026-03-01T10:00:01Z #1 DONE 1.0s\n",
            ),
            (
                "[{\"pos\":0,\"out\":\"#1 [internal] x\",\"time\":0},{\"pos\":1,\"out\":\"done\",\"time\":3}]",
                "0 #1 [internal] x\n3 done\n",
            ),
            (
                "{\"events\":[{\"timestamp\":1772359200123,\"message\":\"#1 [internal] x\"},{\"timestamp\":1772359201123,\"message\":\"y\"}]}",
                "1772359200123 #1 [internal] x\n1772359201123 y\n",
            ),
            ("{\"stdout_lines\":[\"#1 [internal] x\",\"#1 DONE 0.1s\"]}", "#1 [internal] x\n#1 DONE 0.1s\n"),
            (
                "{\"data\":{\"result\":[{\"values\":[[\"1772359202000000000\",\"#1 DONE 1s\"],[\"1772359200000000000\",\"#1 [internal] x\"]]},{\"values\":[[\"1772359201000000000\",\"z\"]]}]}}",
                "1772359200000000000 #1 [internal] x\n1772359201000000000 z\n1772359202000000000 #1 DONE 1s\n",
            ),
            (
                "{\"results\":[[{\"field\":\"@timestamp\",\"value\":\"2026-03-01 10:00:00\"},{\"field\":\"@message\",\"value\":\"#1 [internal] x\"}],[{\"field\":\"@timestamp\",\"value\":\"2026-03-01 10:00:01\"},{\"field\":\"@message\",\"value\":\"y\"}]]}",
                "2026-03-01 10:00:00 #1 [internal] x\n2026-03-01 10:00:01 y\n",
            ),
            ("{\"lines\":[{\"content\":[{\"text\":\"#1 [int\"},{\"text\":\"ernal] x\"}]}]}", "#1 [internal] x\n"),
            ("[{\"data\":\"ICMxIFtpbnRlcm5hbF0geA==\"}]", " #1 [internal] x\n"),
            (
                "{\"out\":\"#1 [int\"}\n{\"out\":\"ernal] x\\n\"}\n{\"out\":\"#1 DONE 0.1s\\n\"}",
                "#1 [internal] x\n#1 DONE 0.1s\n",
            ),
            (
                "10:00:00.5 ci {\"time\":\"2026-03-01T10:00:00Z\",\"message\":\"#1 [internal] x\"}\n10:00:01.5 ci {\"time\":\"2026-03-01T10:00:01Z\",\"message\":\"#1 DONE 1.0s\"}",
                "10:00:00.5 ci 2026-03-01T10:00:00Z #1 [internal] x\n10:00:01.5 ci 2026-03-01T10:00:01Z #1 DONE 1.0s\n",
            ),
            (
                "data: {\"p\":\"#1 [internal] x\"}\n\ndata: {\"p\":\"#1 DONE 0.1s\"}\n",
                "data: #1 [internal] x\ndata: #1 DONE 0.1s\n",
            ),
        ] {
            assert_eq!(lines(json).as_deref(), Some(expected), "{json}");
        }
        assert_eq!(lines("{\"vertexes\":[{\"name\":\"[1/1] RUN x\"}]}"), None);
        assert_eq!(lines("#1 [internal] x\n{\"a\":1}\n"), None);
        assert_eq!(lines("{\"a\":\"b\"}"), None);
    }
}
