//! Downloads of named addresses.

use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Needs, Tool, Usage, Work};

/// The options of curl that have a value.
const CURL: &[&str] = &[
    "-o",
    "-H",
    "-A",
    "-u",
    "-e",
    "-b",
    "-m",
    "-X",
    "-x",
    "--output",
    "--header",
    "--retry",
    "--retry-delay",
    "--connect-timeout",
    "--max-time",
    "--user-agent",
    "--user",
    "--output-dir",
    "--proto",
];
/// The options of the other programs that have a value.
const OTHERS: &[&str] = &[
    "-o",
    "-O",
    "-P",
    "-b",
    "-c",
    "-C",
    "-d",
    "-j",
    "-s",
    "-t",
    "-x",
    "--output-document",
    "--directory-prefix",
    "--header",
    "--tries",
    "--timeout",
    "--user-agent",
    "--user",
    "--branch",
    "--depth",
    "--jobs",
    "--output-dir",
];
/// The options by which curl reads a file.
const READS: &[&str] =
    &["-K", "--config", "-T", "--upload-file", "--cacert", "-E", "--cert", "-d", "--data", "--netrc-file"];

/// curl, wget, aria2, `git clone`, `svn export`.
pub(super) fn download(command: &Invocation) -> Option<Usage> {
    let curl = command.program() == "curl";
    let arguments = Arguments::of(command.arguments(), if curl { CURL } else { OTHERS });
    let fetching = match command.program() {
        "git" => matches!(arguments.action(), "clone" | "fetch"),
        "svn" => matches!(arguments.action(), "checkout" | "co" | "export"),
        _ => true,
    };
    if !fetching || arguments.plain.is_empty() {
        return None;
    }
    let named = |text: &str| text.starts_with('@') || text.starts_with("file:") || text.contains("$(");
    let local = curl && arguments.has(READS)
        || arguments.has(&["-i", "--input-file"]) && !curl
        || command.arguments().iter().any(|word| named(&word.text));
    let needs = if local { Needs::Sources(None) } else { Needs::Nothing };
    Some(Usage::new(Tool::Download, Work::Install, needs, command))
}
