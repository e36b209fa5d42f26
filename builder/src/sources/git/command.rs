//! The `git` program, apart from this machine's configuration.

use crate::http::proxies;
use buildscope_sandbox::{helper, output_of_helper, read_helper};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The variable that allows the credential helpers of the user's git configuration: `1`.
const CREDENTIALS: &str = "BUILDSCOPE_GIT_CREDENTIALS";

/// The settings of every git command. The files of the user's configuration and of the system's are not read; these are
/// settings whose defaults name other files of this machine, or make the content depend on the time or the user.
const SETTINGS: [&str; 9] = [
    // A server that sends nothing for a minute is given up. This also ends git's own helpers if git itself is killed.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.logAllRefUpdates=false",
    "gc.auto=0",
    "init.defaultBranch=master",
];

/// The settings that git gets in addition to [`SETTINGS`], each as `name=value`.
#[derive(Debug, Default)]
pub(super) struct Git {
    settings: Vec<String>,
}

/// A file or a submodule of a tree.
pub(super) struct Entry<'a> {
    pub(super) path: &'a OsStr,
    /// The length of a file. A submodule has none.
    pub(super) size: u64,
    /// The commit of a submodule.
    pub(super) submodule: Option<&'a str>,
}

impl Git {
    /// With the user's credential helpers if [`CREDENTIALS`] asks for them.
    pub(super) fn of_user() -> Self {
        let wanted = std::env::var_os(CREDENTIALS).is_some_and(|value| value == "1");
        Self { settings: if wanted { credentials() } else { Vec::new() } }
    }

    #[cfg(test)]
    pub(super) fn with(setting: &str) -> Self {
        Self { settings: vec![setting.to_owned()] }
    }

    /// Runs git. Returns its output, or the last line of its error output.
    pub(super) fn run(&self, dir: &Path, arguments: &[&str]) -> Result<String, String> {
        finish(&mut self.command(dir, arguments))
    }

    /// Reads all entries of a commit below its directories. A commit that does not exist has none.
    pub(super) fn entries(
        &self,
        dir: &Path,
        commit: &str,
        mut each: impl FnMut(Entry<'_>) -> io::Result<()>,
    ) -> Result<(), String> {
        // Each is `100644 blob ID SIZE<tab>PATH`, or `160000 commit ID -<tab>PATH`, and NUL.
        let mut list = self.command(dir, &["ls-tree", "-r", "-z", "--long", "--full-tree", commit]);
        let listed = read_helper(&mut list, |output| {
            BufReader::new(output).split(0).try_for_each(|entry| {
                let entry = entry?;
                let mut parts = entry.splitn(2, |byte| *byte == b'\t');
                let about = str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
                let path = OsStr::from_bytes(parts.next().unwrap_or_default());
                let mut fields = about.split_ascii_whitespace();
                let (_mode, kind, id) = (fields.next(), fields.next(), fields.next());
                let size = fields.next().and_then(|size| size.parse().ok()).unwrap_or(0);
                each(Entry { path, size, submodule: id.filter(|_| kind == Some("commit")) })
            })
        });
        let (read, _) = listed.map_err(|error| format!("cannot run git: {error}"))?;
        read.map_err(|error| error.to_string())
    }

    pub(super) fn command(&self, dir: &Path, arguments: &[&str]) -> Command {
        let mut command = helper("git");
        command
            .envs(proxies())
            .envs(["SSL_CERT_FILE", "SSL_CERT_DIR", "SSH_AUTH_SOCK"].into_iter().filter_map(inherited))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            // No templates, which may be hooks.
            .env("GIT_TEMPLATE_DIR", "")
            .env("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=20")
            // git must not prompt for a password.
            .env("GIT_TERMINAL_PROMPT", "0");
        if !self.settings.is_empty() {
            // The helpers have their own configuration, in the home directory.
            command.envs(
                ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"].into_iter().filter_map(inherited),
            );
            command.envs(inherited("DBUS_SESSION_BUS_ADDRESS"));
        }
        for setting in SETTINGS.into_iter().chain(self.settings.iter().map(|setting| &**setting)) {
            command.args(["-c", setting]);
        }
        command.args(arguments).current_dir(dir).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// Runs git. Returns its output, or the last line of its error output.
pub(super) fn finish(command: &mut Command) -> Result<String, String> {
    let output = output_of_helper(command).map_err(|error| format!("cannot run git: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(complaint.trim().lines().last().unwrap_or("git failed").to_owned())
}

/// A variable of this process, if it is set.
fn inherited(name: &'static str) -> Option<(&'static str, OsString)> {
    std::env::var_os(name).map(|value| (name, value))
}

/// The settings of the user's git configuration about credentials, each as `name=value`.
fn credentials() -> Vec<String> {
    // git's own separators, because a value may have several lines.
    let asked = Command::new("git").args(["config", "--null", "--get-regexp", r"^credential\."]).output();
    let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let entries = text.split('\0').filter(|entry| !entry.is_empty());
    entries.map(|entry| entry.replacen('\n', "=", 1)).collect()
}
