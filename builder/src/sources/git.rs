//! Trees of git repositories, checked out by `git` itself.
//!
//! git runs apart from this machine's configuration, because that would get into the image: filters and line ends change
//! files, hooks and templates are copied (and run), the user's name is in reflogs. Proxies, the SSH agent and SSH keys
//! apply. Credential helpers of the user's configuration apply if [`CREDENTIALS`] asks for them.

use super::SourceError;
use crate::http::proxies;
use buildscope_oci::go_bool;
use buildscope_record::{Phase, Probe};
use buildscope_sandbox::{helper, output_of_helper, read_helper};
use buildscope_storage::{Allowance, MAX_NAMES};
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

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

/// A repository, a reference and a directory: `https://host/a.git#branch:dir`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitAddress {
    /// The address of the repository, as `git fetch` takes it.
    pub remote: String,
    /// A branch, tag or commit. `None` is the remote's HEAD.
    pub reference: Option<String>,
    /// A directory of the tree. `None` is the whole tree.
    pub directory: Option<String>,
    /// The start of the id that the commit must have.
    pub commit: Option<String>,
    /// Whether `.git` is kept. `None` is the default of the instruction or of the context.
    pub keep: Option<bool>,
    /// Whether submodules are left out.
    pub without_submodules: bool,
}

/// A checked-out tree in a temporary directory, which is removed when this is dropped.
#[derive(Debug)]
pub struct Checkout {
    dir: PathBuf,
    /// The directory of the tree that the address names.
    pub tree: PathBuf,
    /// The commit id in hexadecimal.
    pub commit: String,
    /// The committer's date, in seconds since 1970.
    pub time: i64,
    /// Whether the address asks to keep `.git`, or not to; `None` is the default of the instruction.
    pub keep: Option<bool>,
}

impl GitAddress {
    /// Parses an address in either of its forms: `#reference:directory`, or `?ref=...&subdir=...`.
    ///
    /// # Errors
    /// A query that is unknown, or that asks for something that buildscope does not do.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let (text, fragment) = text.split_once('#').map_or((text, None), |(text, fragment)| (text, Some(fragment)));
        let (remote, query) = text.split_once('?').map_or((text, None), |(remote, query)| (remote, Some(query)));
        let mut address = Self { remote: remote.to_owned(), ..Self::default() };
        for pair in query.iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            address.query(pair).map_err(|reason| SourceError::fetch(remote, reason))?;
        }
        if let Some(fragment) = fragment {
            let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
            address.reference = Some(reference.to_owned()).filter(|text| !text.is_empty()).or(address.reference);
            address.directory = Some(directory.to_owned()).filter(|text| !text.is_empty()).or(address.directory);
        }
        address.reference = address.reference.or_else(|| address.commit.clone());
        Ok(address)
    }

    /// Splits an address of the form `repository#reference:directory` into that of the whole repository and the directory.
    /// `None` if it names no directory in this way.
    pub(crate) fn whole_of(text: &str) -> Option<(String, String)> {
        let (repository, fragment) = text.split_once('#')?;
        let (reference, directory) = fragment.split_once(':').filter(|(_, directory)| !directory.is_empty())?;
        let whole = if reference.is_empty() { repository.to_owned() } else { format!("{repository}#{reference}") };
        Some((whole, directory.to_owned()))
    }

    /// Takes one part of a query, `name=value`, with the names of BuildKit.
    fn query(&mut self, pair: &str) -> Result<(), String> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let flag = || go_bool(value).ok_or_else(|| format!("invalid {name} `{value}`: use true or false"));
        match name {
            "ref" | "branch" | "tag" => self.reference = Some(value.to_owned()),
            "commit" | "checksum" => self.commit = Some(value.to_owned()),
            "subdir" => self.directory = Some(value.to_owned()),
            "keep-git-dir" => self.keep = Some(flag()?),
            "submodules" => self.without_submodules = !flag()?,
            // A commit is always fetched by its id if the server allows it.
            "fetch-by-commit" => drop(flag()?),
            "mtime" if value == "commit" => {}
            "mtime" if value == "checkout" => {
                return Err(
                    "mtime=checkout is not supported: files have the time of the commit, so that one commit gives \
                            one image; leave it out"
                        .to_owned(),
                );
            }
            "mtime" => return Err(format!("invalid mtime `{value}`: use commit")),
            _ => return Err(format!("unknown query `{name}`")),
        }
        Ok(())
    }

    /// Checks the tree out, with its submodules, into `dir`, which must not exist.
    ///
    /// # Errors
    /// If `git` is not installed, if the reference or the directory does not exist, if the reference is another commit than the
    /// address asks for, or if git fails.
    pub fn check_out(&self, dir: PathBuf, probe: &Probe) -> Result<Checkout, SourceError> {
        let span = probe.phase(Phase::Fetch);
        span.detail(&self.remote);
        let fail = |reason: String| SourceError::fetch(&self.remote, reason);
        let mut checkout = Checkout { tree: dir.clone(), dir, commit: String::new(), time: 0, keep: self.keep };
        fs::create_dir_all(&checkout.dir).map_err(|error| SourceError::io("create", &checkout.dir, error))?;
        let user =
            if std::env::var_os(CREDENTIALS).is_some_and(|value| value == "1") { credentials() } else { Vec::new() };
        let git = |arguments: &[&str]| git(&checkout.dir, &user, arguments).map_err(fail);
        let reference = self.reference.as_deref().unwrap_or("HEAD");
        if reference.starts_with('-') || self.remote.starts_with('-') {
            return Err(fail(format!("`{reference}` is not a valid reference")));
        }
        git(&["init", "--quiet"])?;
        git(&["remote", "add", "origin", &self.remote])?;
        // Some servers do not serve a commit by its id. Then everything is fetched, and the commit is looked up in it.
        // `git checkout` takes a branch of the remote by its short name, too.
        let branch = format!("origin/{reference}");
        let mut commits = vec!["FETCH_HEAD"];
        if git(&["fetch", "--quiet", "--depth=1", "--no-tags", "origin", reference]).is_err() {
            git(&["fetch", "--quiet", "--tags", "origin"])?;
            match &self.reference {
                Some(reference) => commits = vec![reference, &branch],
                None => drop(git(&["fetch", "--quiet", "origin", "HEAD"])?),
            }
        }
        check_size(&checkout.dir, &commits).map_err(fail)?;
        git(&["checkout", "--quiet", commits[0]])?;
        let submodules = !self.without_submodules && checkout.dir.join(".gitmodules").exists();
        if submodules {
            // Some servers do not serve a part of the history.
            let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
            git(&[&update[..], &["--depth=1"]].concat()).or_else(|_| git(&update))?;
        }
        // The index that a checkout leaves holds times and inode numbers. A new one holds only what the commit has.
        git(&["read-tree", "HEAD"])?;
        if submodules {
            git(&["submodule", "--quiet", "foreach", "--recursive", "git read-tree HEAD"])?;
        }
        let commit = git(&["rev-parse", "HEAD"])?;
        let time = git(&["log", "-1", "--format=%ct"])?;
        checkout.commit = commit.trim().to_owned();
        checkout.time = time.trim().parse().unwrap_or_default();
        if let Some(wanted) = self.commit.as_deref().filter(|wanted| !checkout.commit.starts_with(wanted)) {
            return Err(fail(format!("`{reference}` is the commit {}, not {wanted}", checkout.commit)));
        }
        if let Some(directory) = &self.directory {
            let tree = directory_within(&checkout.dir, directory);
            checkout.tree = tree.ok_or_else(|| fail(format!("it has no directory `{directory}`")))?;
        }
        Ok(checkout)
    }
}

/// A directory below another one. Links out of it are not followed.
pub fn directory_within(root: &Path, directory: &str) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let found = root.join(directory.trim_start_matches('/')).canonicalize().ok()?;
    (found.is_dir() && found.starts_with(&root)).then_some(found)
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // The directory is in the store's scratch space, which the next process empties.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Fails if the files of one of these commits would take far more space than what was fetched, as with an archive: a repository of a few kilobytes can
/// name one tree ten times, and this in ten trees. A commit that does not exist is not an error here.
fn check_size(dir: &Path, commits: &[&str]) -> Result<(), String> {
    let counts = git(dir, &[], &["count-objects", "--verbose"])?;
    let kilobytes = counts.lines().filter_map(|line| {
        let (name, count) = line.split_once(": ")?;
        ["size", "size-pack"].contains(&name).then(|| count.parse::<u64>().ok())?
    });
    let fetched = kilobytes.sum::<u64>().saturating_mul(1024);
    // Each entry is `100644 blob ID SIZE<tab>PATH`, and NUL.
    let within = |output: ChildStdout| {
        let (mut allowance, mut names) = (Allowance::of(fetched), MAX_NAMES);
        for entry in BufReader::new(output).split(0) {
            let entry = entry?;
            let mut fields = entry.splitn(2, |byte| *byte == b'\t');
            let (about, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let size =
                about.rsplit(|byte| *byte == b' ').next().and_then(|size| str::from_utf8(size).ok()?.parse().ok());
            // A submodule has no size.
            allowance.take(size.unwrap_or(0))?;
            let left = names.checked_sub(path.len() as u64);
            names =
                left.ok_or_else(|| io::Error::other(format!("its names have more than {} MiB", MAX_NAMES >> 20)))?;
        }
        Ok::<_, io::Error>(())
    };
    commits.iter().try_for_each(|commit| {
        let listed = read_helper(&mut command(dir, &[], &["ls-tree", "-r", "-z", "--long", commit]), within);
        let (within, _) = listed.map_err(|error| format!("cannot run git: {error}"))?;
        within.map_err(|error| error.to_string())
    })
}

/// Runs git with additional settings. Returns its output, or the last line of its error output.
fn git(dir: &Path, settings: &[String], arguments: &[&str]) -> Result<String, String> {
    let output = output_of_helper(&mut command(dir, settings, arguments));
    let output = output.map_err(|error| format!("cannot run git: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(complaint.trim().lines().last().unwrap_or("git failed").to_owned())
}

fn command(dir: &Path, settings: &[String], arguments: &[&str]) -> Command {
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
    if !settings.is_empty() {
        // The helpers have their own configuration, in the home directory.
        command
            .envs(["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"].into_iter().filter_map(inherited));
        command.envs(inherited("DBUS_SESSION_BUS_ADDRESS"));
    }
    for setting in SETTINGS.into_iter().chain(settings.iter().map(|setting| &**setting)) {
        command.args(["-c", setting]);
    }
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).stderr(Stdio::piped());
    command
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_reference_and_a_directory() {
        let parse = |text: &str| {
            let GitAddress { remote, reference, directory, .. } = GitAddress::parse(text).unwrap();
            (remote, reference.unwrap_or_default(), directory.unwrap_or_default())
        };
        let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parse("https://h/a.git"), of("https://h/a.git", "", ""));
        assert_eq!(parse("git@h:a/b.git#v1:sub/dir"), of("git@h:a/b.git", "v1", "sub/dir"));
        assert_eq!(parse("https://h/a.git#:sub"), of("https://h/a.git", "", "sub"));
        assert_eq!(parse("https://h/a.git?tag=v2&subdir=x"), of("https://h/a.git", "v2", "x"));
        assert_eq!(parse("https://h/a.git?checksum=abc"), of("https://h/a.git", "abc", ""));
    }

    #[test]
    fn queries_match_buildkit() {
        let text =
            "https://h/a.git?branch=main&checksum=abc&keep-git-dir&submodules=0&mtime=commit&fetch-by-commit=true";
        let address = GitAddress::parse(text).unwrap();
        assert_eq!((address.reference.as_deref(), address.commit.as_deref()), (Some("main"), Some("abc")));
        assert_eq!((address.keep, address.without_submodules), (Some(true), true));
        for (query, named) in [("mtime=checkout", "time of the commit"), ("mtime=x", "`x`"), ("colour=1", "`colour`")] {
            let error = GitAddress::parse(&format!("https://h/a.git?{query}")).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    /// One text of 2 MiB with ten names in a tree, ten of these in a tree, and so on: 20 MiB, 200 MiB, 2 GiB, 20 GiB.
    #[test]
    fn a_repository_that_grows_without_end_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        fs::create_dir(&origin).unwrap();
        let run = |arguments: &[&str]| git(&origin, &[], arguments).unwrap();
        run(&["init", "--quiet", "--initial-branch=main"]);
        fs::write(origin.join("text"), vec![b'a'; 2 << 20]).unwrap();
        let mut object = run(&["hash-object", "-w", "text"]).trim().to_owned();
        let mut kind = "100644 blob";
        for (level, fits) in [(1, true), (2, true), (3, false), (4, false)] {
            let entries: Vec<String> = (0..10).map(|name| format!("{kind} {object}\t{name}\n")).collect();
            fs::write(origin.join("entries"), entries.concat()).unwrap();
            let mut make = command(&origin, &[], &["mktree"]);
            make.stdin(fs::File::open(origin.join("entries")).unwrap());
            object = String::from_utf8(output_of_helper(&mut make).unwrap().stdout).unwrap().trim().to_owned();
            kind = "040000 tree";
            let checked = check_size(&origin, &[&object]);
            assert_eq!(checked.is_ok(), fits, "{level}: {checked:?}");
        }
        assert!(check_size(&origin, &[&object]).unwrap_err().contains("decompression bomb"));
    }

    #[test]
    fn a_tree_is_checked_out_by_branch_tag_and_commit() {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        fs::create_dir_all(origin.join("sub")).unwrap();
        let run = |arguments: &[&str]| git(&origin, &[], arguments).unwrap();
        run(&["init", "--quiet", "--initial-branch=main"]);
        fs::write(origin.join("sub/f"), "one").unwrap();
        run(&["add", "."]);
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        run(&[&identity[..], &["commit", "--quiet", "-m", "1"]].concat());
        run(&["tag", "v1"]);
        fs::write(origin.join("sub/f"), "two").unwrap();
        run(&[&identity[..], &["commit", "--quiet", "-am", "2"]].concat());
        let first = run(&["rev-parse", "v1"]).trim().to_owned();
        let read = |reference: Option<&str>, directory: Option<&str>| {
            let remote = origin.to_str().unwrap().to_owned();
            let address = GitAddress {
                remote,
                reference: reference.map(Into::into),
                directory: directory.map(Into::into),
                ..GitAddress::default()
            };
            let checkout = address.check_out(dir.path().join("out"), &Probe::disabled())?;
            assert!(checkout.time > 1_600_000_000 && checkout.commit.len() == 40);
            Ok::<_, SourceError>(
                fs::read_to_string(checkout.tree.join(if directory.is_some() { "f" } else { "sub/f" })).unwrap(),
            )
        };
        assert_eq!(read(None, None).unwrap(), "two");
        assert_eq!(read(Some("main"), Some("sub")).unwrap(), "two");
        assert_eq!(read(Some("v1"), Some("/sub")).unwrap(), "one");
        assert_eq!(read(Some(&first), None).unwrap(), "one");
        assert!(read(Some("no-such"), None).is_err());
        let pinned =
            |commit: &str| GitAddress::parse(&format!("{}?ref=v1&checksum={commit}", origin.display())).unwrap();
        assert!(pinned(&first[..12]).check_out(dir.path().join("out"), &Probe::disabled()).is_ok());
        let other = run(&["rev-parse", "main"]);
        assert!(pinned(other.trim()).check_out(dir.path().join("out"), &Probe::disabled()).is_err());
        assert!(read(None, Some("../..")).is_err());
        assert!(read(Some("--upload-pack=x"), None).is_err());
        assert!(!dir.path().join("out").exists());
    }
}
