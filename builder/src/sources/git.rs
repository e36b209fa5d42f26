//! Trees of git repositories, checked out by `git` itself.
//!
//! git runs apart from this machine's configuration, because that would get into the image: filters and line ends change
//! files, hooks and templates are copied (and run), the user's name is in reflogs. Proxies, the SSH agent and SSH keys
//! apply. Credential helpers of the user's configuration apply if `BUILDSCOPE_GIT_CREDENTIALS` is 1.

mod command;
mod space;
mod submodules;

use self::command::Git;
use self::space::Space;
use super::SourceError;
use buildscope_oci::go_bool;
use buildscope_record::{Phase, Probe};
use std::fs;
use std::path::{Path, PathBuf};

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
        let user = Git::of_user();
        let git = |arguments: &[&str]| user.run(&checkout.dir, arguments).map_err(fail);
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
        let mut space = Space::default();
        space.add(&user, &checkout.dir, &commits).map_err(fail)?;
        git(&["checkout", "--quiet", commits[0]])?;
        if !self.without_submodules {
            submodules::check_out(&user, &checkout.dir, &mut space).map_err(fail)?;
        }
        // The index that a checkout leaves holds times and inode numbers. A new one holds only what the commit has.
        git(&["read-tree", "HEAD"])?;
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

    #[test]
    fn a_tree_is_checked_out_by_branch_tag_and_commit() {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        fs::create_dir_all(origin.join("sub")).unwrap();
        let run = |arguments: &[&str]| Git::default().run(&origin, arguments).unwrap();
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
