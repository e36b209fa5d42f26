//! The files of a context that a bind mount needs.

use super::CopyError;
use super::missing::missing;
use super::origin::CopyOrigin;
use super::walk::clean;
use buildscope_storage::{EntryKind, MAX_LINKS};
use std::path::{Path, PathBuf};

/// The paths that a mount of `source` needs: the source and, if it is a symbolic link, the links after it and what they lead to.
pub(crate) fn with_target(origin: &CopyOrigin<'_>, source: &str) -> Result<Vec<PathBuf>, CopyError> {
    let path = clean(Path::new(source));
    let mut paths = vec![path.clone()];
    let mut at = path.clone();
    for _ in 0..=MAX_LINKS {
        let Some(found) = origin.look(&at)? else {
            // A source that does not exist is reported when it is selected.
            return if at == path { Ok(paths) } else { Err(missing(origin, source, &path)) };
        };
        let EntryKind::Symlink { target } = found.entry.kind else { return Ok(paths) };
        let next = if target.is_absolute() { target } else { at.parent().unwrap_or(Path::new("")).join(target) };
        at = without_last(origin, &next)?;
        paths.push(at.clone());
    }
    Err(CopyError::BadPath { path: Path::new("/").join(&path), reason: "too many levels of symbolic links" })
}

/// Resolves the symbolic links in all components of a path but the last one.
fn without_last(origin: &CopyOrigin<'_>, path: &Path) -> Result<PathBuf, CopyError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(origin.follow(parent)?.join(name)),
        // It ends with `..` or is the root.
        _ => origin.follow(path),
    }
}
