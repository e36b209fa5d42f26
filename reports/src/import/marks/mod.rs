//! Lines that only one builder writes, with their parsers. They show which builder wrote a log, and where its own text starts in a line.

pub(crate) mod buildah;
pub(crate) mod classic;
pub(crate) mod kaniko;
pub(crate) mod plain;

use super::duration::duration;

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

/// The largest offset in a line at which the builder's text may start, in bytes.
const FARTHEST: usize = 400;

/// Whether a builder begins a build with this line.
pub(crate) fn starts_build(text: &str) -> bool {
    let text = text.trim_start();
    plain::numbered(text).is_some_and(|(number, rest)| number <= 1 && plain::is_name(rest))
        || text.starts_with("#0 building with ")
        || classic::step(text).is_some_and(|(number, ..)| number == 1)
        || buildah::step(text).is_some_and(|(stage, number, ..)| stage == 1 && number == 1)
}

/// Whether a builder writes this line after one of its steps, without a number.
pub(crate) fn follows_a_step(text: &str) -> bool {
    const STARTS: [&str; 6] =
        ["---> ", "--> ", "Removing intermediate container", "Successfully built", "COMMIT", "Running in"];
    let text = text.trim_start();
    STARTS.iter().any(|start| text.starts_with(start))
}

/// Whether a CI service says with this line that it ends a job before the job's commands end.
pub(crate) fn ends_job(text: &str) -> bool {
    const STARTS: [&str; 12] = [
        "The operation was canceled",
        "Error: The operation was canceled",
        "The Operation will be canceled",
        "The job was canceled",
        "ERROR: Job failed",
        "WARNING: step_script could not run to completion because the timeout was exceeded",
        "Sending interrupt signal to process",
        "Aborted by ",
        "Cancelling nested steps due to timeout",
        "# Received cancellation signal",
        "Too long with no output (exceeded ",
        "The job exceeded the maximum time limit for jobs",
    ];
    let text = text.trim_start().trim_start_matches("##[error]");
    STARTS.iter().any(|start| text.starts_with(start))
}

/// The offset in the line at which a builder's text starts, and the form of its log.
pub(crate) fn find(line: &str) -> Option<(usize, Mark)> {
    let mut before = ' ';
    for (at, c) in line.char_indices().take_while(|&(at, _)| at < FARTHEST) {
        let outside = !before.is_alphanumeric() && before != '#' && before != '>';
        // Packer writes a longer arrow, before any line.
        if outside
            && !(before == '=' && c == '=')
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
        '#' => (plain::is_line(text), Mark::Plain),
        'S' if text.starts_with("STEP") => (buildah::step(text).is_some(), Mark::Buildah),
        'S' => (classic::step(text).is_some(), Mark::Classic),
        '[' if text.starts_with("[+] Building ") => (true, Mark::Terminal),
        '[' => (buildah::step(text).is_some(), Mark::Buildah),
        '=' => return terminal(text),
        'I' | 'W' | 'E' | 'F' | 'D' | 'R' | 'B' | 'U' | 'T' => (kaniko::is_line(text), Mark::Kaniko),
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

/// The mark of BuildKit's display for terminals: ` => [2/3] RUN make   1.3s`. `None` if another program wrote the arrow before a builder's line.
fn terminal(text: &str) -> Option<Mark> {
    let rest = text.strip_prefix("=> ")?.trim_start();
    // kaniko writes this word as a level.
    let rest = rest.strip_prefix("ERROR ").unwrap_or(rest);
    let last = rest.split_whitespace().last().unwrap_or_default();
    let other = rest.chars().next().filter(|first| *first != '=').and_then(|first| at_start(first, rest));
    (last.contains('.') && duration(last).is_some() && other.is_none()).then_some(Mark::Terminal)
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
            ("==> docker.web: #4 DONE 4.0s", Some((16, Mark::Plain))),
            ("==> #4 DONE 4.0s", Some((4, Mark::Plain))),
            ("==> Step 2/3 : RUN sleep 1.5s", Some((4, Mark::Classic))),
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
