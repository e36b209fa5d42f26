//! Lines that only one builder writes. They show which builder's log it is, and where in a line the builder's own text begins.

use super::super::duration::duration;
use super::super::{buildah, classic};

/// The builder's form of log that a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mark {
    RawJson,
    Plain,
    Classic,
    Buildah,
    Kaniko,
    Terminal,
}

/// How far into a line the builder's text may begin.
const FARTHEST: usize = 400;

/// The place in the line at which a builder's text begins, and whose it is.
pub(crate) fn find(line: &str) -> Option<(usize, Mark)> {
    let mut before = ' ';
    for (at, c) in line.char_indices().take_while(|&(at, _)| at < FARTHEST) {
        if (!before.is_alphanumeric() && before != '#' && before != '>')
            && let Some(mark) = at_start(c, &line[at..])
        {
            return Some((at, mark));
        }
        before = c;
    }
    None
}

fn at_start(first: char, text: &str) -> Option<Mark> {
    let (found, mark) = match first {
        '{' | '"' => (rawjson(text), Mark::RawJson),
        '#' => (plain(text), Mark::Plain),
        'S' if text.starts_with("STEP") => (buildah::step(text).is_some(), Mark::Buildah),
        'S' => (classic::step(text).is_some(), Mark::Classic),
        '[' if text.starts_with("[+] Building ") => (true, Mark::Terminal),
        '[' => (buildah::step(text).is_some(), Mark::Buildah),
        '=' => (terminal(text), Mark::Terminal),
        'I' | 'W' | 'E' | 'F' | 'D' | 'R' | 'B' | 'U' | 'T' => (kaniko(text), Mark::Kaniko),
        _ => (false, Mark::Plain),
    };
    found.then_some(mark)
}

fn rawjson(text: &str) -> bool {
    let key = text.strip_prefix('{').map_or(text, str::trim_start);
    // Within a quoted text, quotes are escaped or doubled.
    let quotes = ["\\\"", "\"\"", "\""];
    let Some((quote, name)) = quotes.iter().find_map(|quote| Some((quote, key.strip_prefix(quote)?))) else {
        return false;
    };
    let opens =
        |rest: &str| rest.trim_start().strip_prefix(':').is_some_and(|rest| rest.trim_start().starts_with(['[', 'n']));
    ["vertexes", "statuses", "logs", "warnings"]
        .iter()
        .any(|known| name.strip_prefix(known).and_then(|rest| rest.strip_prefix(quote)).is_some_and(opens))
}

/// Whether the text is `#12 ` and something that only BuildKit writes after it.
fn plain(text: &str) -> bool {
    super::super::plain::numbered(text).is_some_and(|(_, rest)| is_name(rest) || is_status(rest))
}

/// Whether the text is surely the name of a vertex.
pub(crate) fn is_name(text: &str) -> bool {
    if let Some((inside, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let words: Vec<&str> = inside.split_whitespace().collect();
        let ratio = |word: &&str| {
            word.split_once('/').is_some_and(|(at, of)| at.parse::<u32>().is_ok() && of.parse::<u32>().is_ok())
        };
        return matches!(
            words[..],
            ["internal" | "auth"] | ["context", _] | [_, "internal" | "auth"] | [_, "context", _]
        ) || words.last().is_some_and(ratio)
            || (words.len() == 1 && super::super::names::is_export(rest.trim()));
    }
    const NAMES: [&str; 12] = [
        "exporting to ",
        "exporting cache",
        "importing cache",
        "resolve image config for ",
        "docker-image://",
        "oci-layout://",
        "local://",
        "git://",
        "https://",
        "http://",
        "resolving provenance",
        "preparing build cache",
    ];
    NAMES.iter().any(|name| text.starts_with(name))
}

/// Whether the text is what BuildKit says about a vertex that has a name already.
pub(crate) fn is_status(text: &str) -> bool {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    match first {
        "DONE" => duration(rest).is_some(),
        "CACHED" | "CANCELED" | "..." => rest.is_empty(),
        "ERROR" | "ERROR:" | "digest:" | "name:" | "started:" | "completed:" | "duration:" => !rest.is_empty(),
        "cached:" => rest == "true" || rest == "false",
        "transferring" | "resolve" | "extracting" | "exporting" | "writing" | "naming" | "pushing" | "sending"
        | "unpacking" => {
            rest.ends_with(" done") || rest.split_whitespace().last().is_some_and(|word| duration(word).is_some())
        }
        _ if first.starts_with("sha256:") => first.len() > 40,
        _ => offset(text).is_some(),
    }
}

/// The seconds since the start of a vertex before a line of its output, as nanoseconds, and the output: `0.123 text`.
pub(crate) fn offset(text: &str) -> Option<(i128, &str)> {
    let (time, output) = text.split_once(' ').unwrap_or((text, ""));
    let (seconds, fraction) = time.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit());
    let value = duration(&format!("{time}s")).filter(|_| digits(seconds) && digits(fraction));
    value.map(|value| (value, output))
}

/// Whether the text is a line of BuildKit's display for terminals: ` => [2/3] RUN make   1.3s`.
fn terminal(text: &str) -> bool {
    let last = text.split_whitespace().last().unwrap_or_default();
    text.starts_with("=> ") && last.contains('.') && duration(last).is_some()
}

/// Whether the text is a line of kaniko: a message that only kaniko has, behind `INFO[0004] ` or alone.
fn kaniko(text: &str) -> bool {
    const MESSAGES: [&str; 16] = [
        "Retrieving image manifest ",
        "Resolved base name ",
        "Built cross stage deps: ",
        "Executing 0 build triggers",
        "Building stage '",
        "Unpacking rootfs as cmd ",
        "Taking snapshot of ",
        "Initializing snapshotter ...",
        "Running: [",
        "No cached layer found for cmd ",
        "Checking for cached layer ",
        "Using caching version of cmd: ",
        "Skipping unpacking as no commands require it",
        "Found cached layer, extracting to filesystem",
        "Deleting filesystem...",
        "Retrieving image ",
    ];
    let (level, message) = level(text).unwrap_or(("", text));
    MESSAGES.iter().any(|start| message.starts_with(start)) || (!level.is_empty() && instruction(message))
}

/// Whether the text is an instruction as kaniko announces it.
pub(crate) fn instruction(text: &str) -> bool {
    const KEYWORDS: [&str; 17] = [
        "RUN",
        "COPY",
        "ADD",
        "ENV",
        "ARG",
        "WORKDIR",
        "USER",
        "EXPOSE",
        "LABEL",
        "CMD",
        "ENTRYPOINT",
        "VOLUME",
        "SHELL",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ONBUILD",
        "MAINTAINER",
    ];
    text.split_once(' ').is_some_and(|(keyword, rest)| KEYWORDS.contains(&keyword) && !rest.is_empty())
}

/// Parses `INFO[0004] message`: what is in the brackets, and the message.
pub(crate) fn level(text: &str) -> Option<(&str, &str)> {
    let (level, rest) = text.split_once('[')?;
    // logrus writes the first four letters of a level, or all.
    let levels = ["INFO", "WARN", "ERR", "FAT", "DEBU", "TRAC"];
    let known = level.len() <= 7 && levels.iter().any(|start| level.starts_with(start));
    let (time, message) = rest.split_once(']')?;
    (known && time.starts_with(|c: char| c.is_ascii_digit())).then_some((time, message.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_builders_are_marked() {
        for (line, at) in [
            ("web-1  | #1 [internal] load .dockerignore", Some((9, Mark::Plain))),
            ("12:00:01 Step 3/21 : COPY a .", Some((9, Mark::Classic))),
            ("[2/5] STEP 3/4: COPY b .", Some((0, Mark::Buildah))),
            ("> INFO[0004] RUN make", Some((2, Mark::Kaniko))),
            (" => [2/3] RUN make      1.3s", Some((1, Mark::Terminal))),
            ("out {\"vertexes\":[{}]}", Some((4, Mark::RawJson))),
            ("HEAD is now at 1a2b3c #1234 fix the login page", None),
            ("#12 [bugfix] correct it", None),
            ("Step #0 - \"build\": pulling", None),
            ("{\"a\":1}", None),
        ] {
            assert_eq!(find(line), at, "{line}");
        }
    }
}
