//! The files of a build context, for the rules that need to know them.

use buildscope_commands::rules::Facts;
use buildscope_dockerfile::Ignore;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A context with more files is not listed: the rules do without.
const MOST: usize = 100_000;
/// Larger files are not read: a list of dependencies is smaller.
const LARGEST: u64 = 4 << 20;

/// The files of a directory without those that its ignore file leaves out. They are listed when a rule asks for them.
#[derive(Debug)]
pub(crate) struct ContextFiles<'a> {
    root: &'a Path,
    ignore: Option<&'a Ignore>,
    names: OnceCell<Option<BTreeSet<String>>>,
}

impl<'a> ContextFiles<'a> {
    /// The files of the directory at `root`.
    pub(crate) fn of(root: &'a Path, ignore: Option<&'a Ignore>) -> Self {
        Self { root, ignore, names: OnceCell::new() }
    }

    fn names(&self) -> Option<&BTreeSet<String>> {
        let listed = || {
            let mut names = BTreeSet::new();
            list(self.root, "", self.ignore, &mut names)?;
            // A directory with nothing but Dockerfiles is not what they are built from.
            let other =
                |name: &String| !name.to_lowercase().contains("dockerfile") && !name.starts_with(".dockerignore");
            names.iter().any(other).then_some(names)
        };
        self.names.get_or_init(listed).as_ref()
    }
}

/// Adds the files below a directory. `None` if one cannot be read, or if there are too many.
fn list(folder: &Path, prefix: &str, ignore: Option<&Ignore>, names: &mut BTreeSet<String>) -> Option<()> {
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = format!("{prefix}{}", entry.file_name().to_str()?);
        let excluded = ignore.is_some_and(|ignore| ignore.excludes(&name));
        // A link is a file here: following it could lead out of the context.
        if entry.file_type().ok()?.is_dir() {
            if !excluded || ignore.is_some_and(|ignore| ignore.may_include_below(&name)) {
                list(&entry.path(), &format!("{name}/"), ignore, names)?;
            }
        } else if !excluded {
            names.insert(name);
        }
        if names.len() > MOST {
            return None;
        }
    }
    Some(())
}

impl Facts for ContextFiles<'_> {
    fn files(&self, _: usize) -> Option<&BTreeSet<String>> {
        self.names()
    }

    fn output(&self, _: usize) -> Option<&[String]> {
        None
    }

    fn text(&self, path: &str) -> Option<String> {
        let path = self.names()?.get(path).map(|path| self.root.join(path))?;
        let small = fs::symlink_metadata(&path).ok().filter(|entry| entry.is_file() && entry.len() <= LARGEST);
        small.and_then(|_| fs::read_to_string(path).ok())
    }

    fn is_complete(&self) -> bool {
        true
    }
}
