//! `bench DIRECTORY`: a build context of the user as a workload.

use crate::Failure;
use crate::check::read_ignore;
use crate::input::cannot_read;
use buildscope_dockerfile::Ignore;
use buildscope_workloads::Workload;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Larger files are not edited: source files are smaller.
const LARGEST_EDITED: u64 = 1 << 20;

/// Files that the builder reads itself, with or without an instruction that copies them.
const OF_BUILDER: [&str; 2] = ["Dockerfile", ".dockerignore"];

/// A workload, and the file that its edits change.
pub(super) struct OwnWorkload {
    pub(super) workload: Workload,
    pub(super) edited: Option<PathBuf>,
}

/// Makes a workload of a directory. Without `edited`, the text file that was changed last is edited. `store` is not part of it: the copy
/// is made there.
pub(super) fn workload(directory: &Path, edited: Option<&Path>, store: &Path) -> Result<OwnWorkload, Failure> {
    if !directory.join("Dockerfile").exists() {
        return Err(Failure::usage(miette!("{} has no Dockerfile", directory.display())));
    }
    let ignore = read_ignore(directory, Some(&directory.join("Dockerfile")))?;
    let store = below(directory, store).into_diagnostic().map_err(Failure::Usage)?;
    let left_out = store.into_iter().collect();
    let mut found = ContextWalk { ignore: ignore.as_ref(), left_out, newest: None };
    found
        .walk(directory, Path::new(""))
        .into_diagnostic()
        .wrap_err_with(|| cannot_read(directory))
        .map_err(Failure::Usage)?;
    let edited = match edited {
        Some(file) if !directory.join(file).is_file() => {
            return Err(Failure::usage(miette!("--edit {}: {} has no such file", file.display(), directory.display())));
        }
        Some(file) => Some(file.to_owned()),
        None => found.newest.map(|(_, path)| path),
    };
    Ok(OwnWorkload { workload: Workload::of_directory(directory, found.left_out, edited.clone()), edited })
}

/// The path of the store in the directory, if it is there. The store is made first: it must be known before the context is copied into it.
fn below(directory: &Path, store: &Path) -> std::io::Result<Option<PathBuf>> {
    fs::create_dir_all(store)?;
    let (directory, store) = (directory.canonicalize()?, store.canonicalize()?);
    Ok(store.strip_prefix(directory).ok().map(Path::to_owned))
}

/// The files that a walk through a directory finds.
struct ContextWalk<'a> {
    ignore: Option<&'a Ignore>,
    left_out: BTreeSet<PathBuf>,
    newest: Option<(SystemTime, PathBuf)>,
}

impl ContextWalk<'_> {
    fn walk(&mut self, directory: &Path, below: &Path) -> std::io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let bytes = path.as_os_str().as_encoded_bytes();
            let (kind, own) = (entry.file_type()?, OF_BUILDER.iter().any(|name| path == Path::new(name)));
            let excluded = !own && self.ignore.is_some_and(|ignore| ignore.excludes(bytes));
            let inside = self.ignore.is_some_and(|ignore| ignore.may_include_below(bytes));
            if self.left_out.contains(&path) {
                continue;
            }
            if excluded && !(kind.is_dir() && inside) {
                self.left_out.insert(path);
            } else if kind.is_dir() {
                self.walk(&entry.path(), &path)?;
            } else if kind.is_file() && !own && !path.starts_with(".git") {
                self.consider(&entry, path)?;
            }
        }
        Ok(())
    }

    fn consider(&mut self, entry: &fs::DirEntry, path: PathBuf) -> std::io::Result<()> {
        let metadata = entry.metadata()?;
        let modified = metadata.modified()?;
        let newer = self.newest.as_ref().is_none_or(|(newest, _)| modified > *newest);
        if newer && metadata.len() <= LARGEST_EDITED && fs::read_to_string(entry.path()).is_ok() {
            self.newest = Some((modified, path));
        }
        Ok(())
    }
}
