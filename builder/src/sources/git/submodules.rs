//! Submodules. `git submodule update --recursive` would check out the files of each without a limit, so this asks git to
//! fetch only, and looks at the size of each commit before its files are written.

use super::super::text::LARGEST_TEXT;
use super::command::{Git, finish};
use super::space::Space;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// The most submodules of a repository, with theirs. Each takes a directory, a connection and some processes of git.
const MOST: usize = 1000;

/// Checks out the submodules of a repository that is checked out in `dir`, and theirs.
///
/// # Errors
/// If there are too many, if their files are too large, or if git fails.
pub(super) fn check_out(git: &Git, dir: &Path, space: &mut Space) -> Result<(), String> {
    let root = dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))?;
    let (mut repositories, mut left) = (vec![root.clone()], MOST);
    while let Some(repository) = repositories.pop() {
        for (path, commit) in fetch(git, &repository, &mut left)? {
            let module = repository.join(path);
            // Those that their repository excludes (`update = none`) are not fetched.
            if !module.join(".git").exists() {
                continue;
            }
            let name = module.strip_prefix(&root).unwrap_or(&module).display();
            let fail = |reason| format!("submodule `{name}`: {reason}");
            // git must not work in a repository of this machine.
            if leads_through_link(&module) {
                return Err(fail("its path leads through a symbolic link".to_owned()));
            }
            space.add(git, &module, &[&commit]).map_err(fail)?;
            git.run(&module, &["checkout", "--quiet", "--force", &commit]).map_err(fail)?;
            git.run(&module, &["read-tree", "HEAD"]).map_err(fail)?;
            repositories.push(module);
        }
    }
    Ok(())
}

/// Whether a path leads through a symbolic link, or to nothing. Its beginning must not.
fn leads_through_link(path: &Path) -> bool {
    path.canonicalize().map_or(true, |real| real != path)
}

/// Fetches the submodules of one repository without checking them out. Returns their paths and commits.
fn fetch(git: &Git, repository: &Path, left: &mut usize) -> Result<Vec<(OsString, String)>, String> {
    let Ok(list) = repository.join(".gitmodules").symlink_metadata() else { return Ok(Vec::new()) };
    if list.len() > LARGEST_TEXT {
        return Err(format!("a `.gitmodules` is larger than {} MiB", LARGEST_TEXT >> 20));
    }
    let mut submodules = Vec::new();
    git.entries(repository, "HEAD", |entry| {
        let Some(commit) = entry.submodule else { return Ok(()) };
        let over = || io::Error::other(format!("it has more than {MOST} submodules"));
        *left = left.checked_sub(1).ok_or_else(over)?;
        submodules.push((entry.path.to_owned(), commit.to_owned()));
        Ok(())
    })?;
    git.run(repository, &["submodule", "--quiet", "init"])?;
    let names = names(git, repository);
    let update = |arguments: &[&str]| {
        let mut command = git.command(repository, &["submodule", "--quiet", "update"]);
        command.args(arguments).env("GIT_CONFIG_COUNT", names.len().to_string());
        for (number, name) in names.iter().enumerate() {
            // git runs this command in place of a checkout.
            command.env(format!("GIT_CONFIG_KEY_{number}"), format!("submodule.{name}.update"));
            command.env(format!("GIT_CONFIG_VALUE_{number}"), "!true");
        }
        finish(&mut command)
    };
    // Some servers do not serve a part of the history.
    update(&["--depth=1"]).or_else(|_| update(&[]))?;
    Ok(submodules)
}

/// The names of the initialized submodules, except for those that are excluded.
fn names(git: &Git, repository: &Path) -> Vec<String> {
    let all = |pattern| {
        // git fails if nothing matches.
        let found = git.run(repository, &["config", "--local", "--null", "--get-regexp", pattern]).unwrap_or_default();
        let entries = found.split('\0').filter_map(|entry| entry.split_once('\n'));
        let names = entries.filter_map(|(key, value)| {
            let name = key.strip_prefix("submodule.")?.rsplit_once('.')?.0;
            Some((name.to_owned(), value.to_owned()))
        });
        names.collect::<Vec<_>>()
    };
    let excluded = all(r"^submodule\..*\.update$");
    let excluded = |name: &str| excluded.iter().any(|(other, update)| other == name && update == "none");
    all(r"^submodule\..*\.url$").into_iter().map(|(name, _)| name).filter(|name| !excluded(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::space::tests::growing_trees;
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// Submodules may not have the protocol `file` by default.
    fn git() -> Git {
        Git::with("protocol.file.allow=always")
    }

    fn run(dir: &Path, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        git().run(dir, &[&identity, arguments].concat()).unwrap().trim().to_owned()
    }

    /// Creates a repository with the file `name`.
    fn repository(root: &Path, name: &str) -> PathBuf {
        let dir = root.join(name);
        fs::create_dir_all(&dir).unwrap();
        run(&dir, &["init", "--quiet", "--initial-branch=main"]);
        fs::write(dir.join(name), name).unwrap();
        run(&dir, &["add", "."]);
        run(&dir, &["commit", "--quiet", "-m", "1"]);
        dir
    }

    fn head(dir: &Path) -> String {
        run(dir, &["rev-parse", "HEAD"])
    }

    /// A submodule of a repository: its name, its path and more settings.
    struct Link<'a>(&'a str, &'a str, &'a str);

    /// Commits submodules that are the newest commit of `module`.
    fn add(dir: &Path, module: &Path, links: &[Link<'_>]) {
        let (url, id) = (module.display(), head(module));
        let mut list = fs::read_to_string(dir.join(".gitmodules")).unwrap_or_default();
        let mut entries = String::new();
        for Link(name, path, more) in links {
            list += &format!("[submodule \"{name}\"]\n\tpath = {path}\n\turl = {url}\n{more}");
            entries += &format!("160000 {id} 0\t{path}\n");
        }
        fs::write(dir.join(".gitmodules"), list).unwrap();
        run(dir, &["add", ".gitmodules"]);
        let mut index = git().command(dir, &["update-index", "--index-info"]);
        let file = dir.join(".git/entries");
        fs::write(&file, entries).unwrap();
        finish(index.stdin(fs::File::open(file).unwrap())).unwrap();
        run(dir, &["commit", "--quiet", "-m", "2"]);
    }

    /// Checks out a clone of a repository with its submodules.
    fn checked_out(root: &Path, origin: &Path) -> Result<PathBuf, String> {
        let clone = root.join("clone");
        run(root, &["clone", "--quiet", origin.to_str().unwrap(), "clone"]);
        check_out(&git(), &clone, &mut Space::default()).map(|()| clone)
    }

    #[test]
    fn all_levels_are_checked_out_except_for_excluded_submodules() {
        let root = tempfile::tempdir().unwrap();
        let [inner, middle, outer] = ["inner", "middle", "outer"].map(|name| repository(root.path(), name));
        add(&middle, &inner, &[Link("a=b.c d.url", "in", "")]);
        add(&outer, &middle, &[Link("m", "some where/ü", "")]);
        add(&outer, &inner, &[Link("x", "left-out", "\tupdate = none\n")]);
        // The recorded commits count, not the newest.
        fs::write(inner.join("inner"), "later").unwrap();
        run(&inner, &["commit", "--quiet", "-am", "3"]);
        let clone = checked_out(root.path(), &outer).unwrap();
        let read = |path: &str| fs::read_to_string(clone.join(path)).unwrap();
        assert_eq!((read("some where/ü/middle"), read("some where/ü/in/inner")), ("middle".into(), "inner".into()));
        assert!(!clone.join("left-out/inner").exists());
        assert_eq!(head(&clone.join("some where/ü")), head(&middle));
        let kept = fs::read_to_string(clone.join(".git/config")).unwrap();
        assert!(kept.contains("submodule \"m\"") && !kept.contains("true\n\tupdate") && !kept.contains('!'), "{kept}");
    }

    #[test]
    fn files_of_submodules_are_limited_before_they_are_written() {
        let root = tempfile::tempdir().unwrap();
        let [bomb, middle, outer] = ["bomb", "middle", "outer"].map(|name| repository(root.path(), name));
        let tree = growing_trees(&bomb, 3).pop().unwrap();
        let large = run(&bomb, &["commit-tree", "-m", "2", &tree]);
        run(&bomb, &["update-ref", "refs/heads/main", &large]);
        add(&middle, &bomb, &[Link("b", "b", "")]);
        add(&outer, &middle, &[Link("m", "m", "")]);
        let error = checked_out(root.path(), &outer).unwrap_err();
        assert!(error.starts_with("submodule `m/b`: ") && error.contains("decompression bomb"), "{error}");
        let written = fs::read_dir(root.path().join("clone/m/b")).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(written.collect::<Vec<_>>(), [".git"]);
    }

    #[test]
    fn a_path_through_a_link_is_recognised() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/s")).unwrap();
        std::os::unix::fs::symlink(root.join("a"), root.join("link")).unwrap();
        assert!(!leads_through_link(&root.join("a/s")));
        for path in ["link/s", "link", "missing"] {
            assert!(leads_through_link(&root.join(path)), "{path}");
        }
    }

    #[test]
    fn the_number_of_submodules_is_limited() {
        let root = tempfile::tempdir().unwrap();
        let [module, outer] = ["module", "outer"].map(|name| repository(root.path(), name));
        let names: Vec<String> = (0..=MOST).map(|number| format!("m{number}")).collect();
        add(&outer, &module, &names.iter().map(|name| Link(name, name, "")).collect::<Vec<_>>());
        assert_eq!(checked_out(root.path(), &outer).unwrap_err(), "it has more than 1000 submodules");
        assert!(!root.path().join("clone/.git/modules").exists());
    }
}
