//! The lines of kaniko.

use buildscope_commands::Keyword;

/// Whether the text is a line of kaniko: a message that only kaniko has, behind `INFO[0004] ` or alone.
pub(crate) fn is_line(text: &str) -> bool {
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
    // A FROM starts a stage, for which kaniko has another message.
    let keywords = || Keyword::ALL.iter().filter(|keyword| **keyword != Keyword::From);
    text.split_once(' ')
        .is_some_and(|(word, rest)| !rest.is_empty() && keywords().any(|keyword| keyword.name() == word))
}

/// Parses `INFO[0004] message` as (text in the brackets, message).
pub(crate) fn level(text: &str) -> Option<(&str, &str)> {
    let (level, rest) = text.split_once('[')?;
    // logrus writes the first four letters of a level, or all.
    let levels = ["INFO", "WARN", "ERR", "FAT", "DEBU", "TRAC"];
    let known = level.len() <= 7 && levels.iter().any(|start| level.starts_with(start));
    let (time, message) = rest.split_once(']')?;
    (known && time.starts_with(|c: char| c.is_ascii_digit())).then_some((time, message.trim()))
}
