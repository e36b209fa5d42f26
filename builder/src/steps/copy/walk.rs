//! Paths: cleans them, and follows symbolic links in trees that are not mounted.

use super::CopyError;
use buildscope_storage::MAX_LINKS;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The longest path in bytes, of a member of an archive and of a new directory: PATH_MAX without the terminating zero, as for other builders.
pub(super) const MAX_PATH: usize = 4095;

/// The kind of the entry at a path: what following links depends on.
pub(super) enum Stop {
    Nothing,
    Directory,
    Link(PathBuf),
    Other,
}

/// Cleans an absolute path: removes the leading slash and `.`, and resolves `..` lexically, at most up to the root.
/// BuildKit does the same with Go's `path.Join("/", ...)` before it looks at any link.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// Resolves all symbolic links in `path`, relative to the root of a tree. Links cannot lead out of the tree. Components that do not exist are kept.
pub(super) fn follow(
    path: &Path,
    mut look: impl FnMut(&Path) -> Result<Stop, CopyError>,
) -> Result<PathBuf, CopyError> {
    let bad = |reason| CopyError::BadPath { path: Path::new("/").join(path), reason };
    let mut done = PathBuf::new();
    let mut todo: Vec<OsString> = Vec::new();
    let push = |todo: &mut Vec<OsString>, path: &Path| {
        let names = path.components().rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            _ => None,
        });
        todo.extend(names.map(OsStr::to_owned));
    };
    push(&mut todo, path);
    let mut links = 0;
    let mut missing = false;
    while let Some(name) = todo.pop() {
        if name == ".." {
            done.pop();
            missing = false;
            continue;
        }
        done.push(&name);
        if missing {
            // Nothing exists below a path that does not exist. Looking is expensive in a deep tree.
            continue;
        }
        match look(&done)? {
            Stop::Nothing => missing = true,
            Stop::Directory => {}
            Stop::Link(to) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(bad("too many levels of symbolic links"));
                }
                if to.is_absolute() {
                    done.clear();
                } else {
                    done.pop();
                }
                push(&mut todo, &to);
            }
            Stop::Other if todo.is_empty() => {}
            Stop::Other => return Err(bad("a part of it is not a directory")),
        }
    }
    Ok(done)
}

/// A destination as it is written.
#[derive(Debug, PartialEq)]
pub(super) struct WrittenPath {
    /// The cleaned path from the root.
    pub(super) path: PathBuf,
    /// Whether it is written as a directory.
    pub(super) directory: bool,
}

impl WrittenPath {
    /// Reads a destination that is absolute or relative to `workdir`.
    pub(super) fn parse(written: &str, workdir: &str) -> Self {
        let directory = matches!(written, "" | ".") || written.ends_with('/') || written.ends_with("/.");
        Self { path: clean(&Path::new("/").join(workdir).join(written)), directory }
    }
}

/// The name that a source's file gets in a destination that is a directory.
pub(super) fn base_name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(OsStr::new(""))
}

/// The bytes of a path.
pub(super) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(path: &Path) -> Result<Stop, CopyError> {
        Ok(match path.to_str().unwrap() {
            "real" | "real/sub" => Stop::Directory,
            "abs" => Stop::Link("/real".into()),
            "real/up" => Stop::Link("../real/sub".into()),
            "dangling" => Stop::Link("/missing".into()),
            "out" => Stop::Link("../../../real".into()),
            "loop" => Stop::Link("loop".into()),
            "file" => Stop::Other,
            _ => Stop::Nothing,
        })
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let to = |path: &str| follow(Path::new(path), look).unwrap().to_str().unwrap().to_owned();
        assert_eq!(to("abs/x/y"), "real/x/y");
        assert_eq!(to("abs/up/z"), "real/sub/z");
        assert_eq!(to("dangling/d"), "missing/d");
        assert_eq!(to("out/x"), "real/x");
        assert_eq!(to("new/file"), "new/file");
        assert!(follow(Path::new("loop/x"), look).is_err());
        assert!(follow(Path::new("file/x"), look).is_err());
    }

    #[test]
    fn destinations_are_cleaned_lexically() {
        let of = WrittenPath::parse;
        let file = |path: &str| WrittenPath { path: path.into(), directory: false };
        let directory = |path: &str| WrittenPath { path: path.into(), directory: true };
        assert_eq!(of("/symlink/..", "/"), file(""));
        assert_eq!(of("../../../a/./b/", "/w/x"), directory("a/b"));
        assert_eq!(of(".", "/w"), directory("w"));
        assert_eq!(of("", "/w"), directory("w"));
        assert_eq!(of("x/.", "/w"), directory("w/x"));
        assert_eq!(of("/a", "/w"), file("a"));
    }
}
