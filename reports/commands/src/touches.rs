//! The paths that a command may read or write, for commands that are not in `tools`.

use crate::invocation::Invocation;
use crate::path::join;
use crate::word::Word;

/// Commands that only touch the files that their arguments name.
const PLAIN: &[&str] = &[
    ".",
    "source",
    "[",
    ":",
    "addgroup",
    "adduser",
    "alias",
    "basename",
    "bunzip2",
    "bzip2",
    "cat",
    "cd",
    "chgrp",
    "chmod",
    "chown",
    "chpasswd",
    "chsh",
    "command",
    "cp",
    "cut",
    "date",
    "declare",
    "delgroup",
    "deluser",
    "dirname",
    "dpkg-reconfigure",
    "echo",
    "egrep",
    "env",
    "exit",
    "export",
    "false",
    "fc-cache",
    "find",
    "getent",
    "gpg",
    "gpg2",
    "grep",
    "groupadd",
    "groupmod",
    "gunzip",
    "gzip",
    "head",
    "hostname",
    "id",
    "install",
    "ldconfig",
    "ln",
    "locale-gen",
    "localedef",
    "ls",
    "md5sum",
    "mkdir",
    "mv",
    "passwd",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "set",
    "sha256sum",
    "sha512sum",
    "shopt",
    "sleep",
    "sort",
    "stat",
    "strip",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "type",
    "ulimit",
    "umask",
    "uname",
    "uniq",
    "unset",
    "unxz",
    "unzip",
    "update-alternatives",
    "update-ca-certificates",
    "useradd",
    "usermod",
    "wc",
    "which",
    "whoami",
    "xz",
    "zcat",
    "dpkg-query",
    "add-apt-repository",
    "apt-key",
    "apt-mark",
    "apt-cache",
    "corepack",
    "setcap",
    "trap",
    "return",
    "zstd",
];

/// Commands whose arguments are texts, not files.
const TEXTS: &[&str] = &[
    ":",
    "adduser",
    "addgroup",
    "basename",
    "command",
    "corepack",
    "date",
    "declare",
    "delgroup",
    "deluser",
    "dirname",
    "echo",
    "exit",
    "export",
    "false",
    "getent",
    "groupadd",
    "groupmod",
    "hostname",
    "id",
    "locale-gen",
    "passwd",
    "popd",
    "printf",
    "pwd",
    "return",
    "set",
    "shopt",
    "sleep",
    "test",
    "[",
    "trap",
    "true",
    "type",
    "ulimit",
    "umask",
    "uname",
    "unset",
    "update-ca-certificates",
    "useradd",
    "usermod",
    "which",
    "whoami",
    "tr",
    "cd",
    "pushd",
    "apt-key",
    "apt-mark",
    "apt-cache",
    "chpasswd",
    "ldconfig",
    "fc-cache",
    "dpkg-query",
    "add-apt-repository",
    "env",
    "alias",
    "grep",
    "egrep",
];

/// The paths that a command may touch, seen from `start`; `None` if it may touch any.
pub(crate) fn touches(command: &Invocation, start: &str) -> Option<Vec<String>> {
    let program = command.program();
    if !PLAIN.contains(&program) {
        return None;
    }
    let folder = command.folder.as_ref().map(|folder| join(start, folder))?;
    let mut paths = Vec::new();
    let tests = matches!(program, "test" | "[");
    let words = command.arguments().iter().filter(|word| !word.is_option());
    let texts = TEXTS.contains(&program) && !(tests && command.arguments().iter().any(is_file_test));
    // `grep pattern file`, `cd folder` name files, too: those that look like paths count.
    for word in words {
        if word.text.contains("$(") || word.text.contains('`') {
            return None;
        }
        let named = !texts || matches!(program, "grep" | "egrep") && word.text.contains('/');
        if named {
            paths.push(known_path(&folder, word)?);
        }
    }
    for word in command.reads.iter().chain(&command.writes) {
        paths.push(known_path(&folder, word)?);
    }
    Some(paths)
}

fn is_file_test(word: &Word) -> bool {
    matches!(word.text.as_str(), "-f" | "-e" | "-d" | "-s" | "-r" | "-w" | "-x" | "-L" | "-h")
}

/// The path up to its first expansion; `None` if it begins with one.
fn known_path(folder: &str, word: &Word) -> Option<String> {
    if word.literal {
        return Some(join(folder, &word.text));
    }
    let known = word.text.split(['$', '*', '?', '[', '`']).next().unwrap_or_default();
    // `/var/lib/apt/lists/*` is in /var/lib/apt/lists; `~/.cache` is in the home directory.
    if let Some(rest) = word.text.strip_prefix("~/").or_else(|| word.text.strip_prefix("$HOME/")) {
        return Some(format!("/root/{rest}"));
    }
    let (parent, _) = known.rsplit_once('/')?;
    if known.starts_with('/') { Some(join("/", parent)) } else { Some(join(folder, parent)) }
}

/// Whether one path is the other, or is below it.
pub(crate) fn within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
