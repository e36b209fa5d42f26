//! The lines of BuildKit's `--progress=plain`.

use super::super::duration::duration;
use super::super::names::{follows_the_steps, uses_result};

/// Parses `#12 text`.
pub(crate) fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
    Some((number.parse().ok()?, rest.trim()))
}

/// Whether the text is `#12 ` and something that only BuildKit writes after it.
pub(crate) fn is_line(text: &str) -> bool {
    numbered(text).is_some_and(|(_, rest)| is_name(rest) || is_status(rest))
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
        ) || (words.last().is_some_and(ratio) && is_instruction(rest.trim_start()))
            || (words.len() == 1 && follows_the_steps(rest.trim()));
    }
    const NAMES: [&str; 11] = [
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
        "preparing build cache",
    ];
    NAMES.iter().any(|name| text.starts_with(name)) || uses_result(text)
}

/// Whether the text begins with an instruction, whose name BuildKit writes in capitals. `#12 [1/2] of the plan` is in a commit message.
fn is_instruction(text: &str) -> bool {
    let word = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Whether the text is a message of BuildKit about a vertex that has a name already.
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
