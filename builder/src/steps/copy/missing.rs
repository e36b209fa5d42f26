//! The reason why a source of a COPY is missing.

use super::CopyError;
use super::origin::CopyOrigin;
use super::walk::{Stop, base_name, clean, follow};
use crate::sources::{ContextNode, NodeKind};
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

/// The error of a source that is not in its origin. `path` is the path of the source there.
pub(super) fn missing(origin: &CopyOrigin<'_>, source: &str, path: &Path) -> CopyError {
    let (source_path, name) = (source.to_owned(), origin.name());
    if let Some(error) = leads_out(origin, source, path) {
        return error;
    }
    if let CopyOrigin::Context(context) = origin
        && matches!(origin.look(path), Ok(None))
        && let Ok(on_host) = context.path().join(path).symlink_metadata()
    {
        return if on_host.file_type().is_socket() {
            CopyError::Socket { source_path, origin: name }
        } else {
            CopyError::Ignored { source_path, origin: name }
        };
    }
    CopyError::NotFound { source_path, origin: name, suggestion: suggestion(origin, path) }
}

/// The error of a source whose links cannot be resolved, such as a circle.
pub(super) fn unresolved(origin: &CopyOrigin<'_>, source: &str, path: &Path, error: CopyError) -> CopyError {
    leads_out(origin, source, path).unwrap_or(error)
}

/// The error for the first link on the way to a path of a context that leads out of the context on this machine. An absolute link
/// whose target is in the context means that target, unless the path exists outside.
fn leads_out(origin: &CopyOrigin<'_>, source: &str, path: &Path) -> Option<CopyError> {
    let CopyOrigin::Context(context) = origin else { return None };
    let root = context.path().canonicalize();
    let found_outside = |root| Ok(!context.path().join(path).canonicalize()?.starts_with::<PathBuf>(root));
    let outside = root.and_then(found_outside).unwrap_or(false);
    let mut found = None;
    // The result is not needed: a path that cannot be resolved may have such a link, too.
    let _ = follow(path, |at| {
        let node = context.node(at)?;
        Ok(match node.map(ContextNode::kind) {
            None => Stop::Nothing,
            Some(NodeKind::Directory) => Stop::Directory,
            Some(NodeKind::Symlink(to)) => {
                let depth = at.components().count() - 1;
                let up = to.components().filter(|part| *part == Component::ParentDir).count();
                let absolute = || {
                    let target = clean(to);
                    outside || target == at || context.node(&target).is_ok_and(|node| node.is_none())
                };
                if found.is_none() && (up > depth || to.is_absolute() && absolute()) {
                    found = Some((at.to_owned(), to.to_path_buf()));
                }
                Stop::Link(to.to_path_buf())
            }
            Some(_) => Stop::Other,
        })
    });
    let (link, to) = found?;
    Some(CopyError::LeadsOut { source_path: source.to_owned(), origin: origin.name(), link, to })
}

/// The path up to its first missing component, with that one replaced by the most similar existing name.
fn suggestion(origin: &CopyOrigin<'_>, path: &Path) -> Option<String> {
    let mut base = PathBuf::new();
    for name in path {
        let next = base.join(name);
        if origin.look(&next).ok()?.is_some() {
            base = next;
            continue;
        }
        let name = name.to_string_lossy();
        let names = origin.names(&base).ok()?;
        let likeness = |candidate: &PathBuf| {
            strsim::jaro_winkler(&name.to_lowercase(), &base_name(candidate).to_string_lossy().to_lowercase())
        };
        let best =
            names.into_iter().map(|candidate| (likeness(&candidate), candidate)).max_by(|a, b| a.0.total_cmp(&b.0))?;
        // 0.84 accepts one wrong or missing letter in a short name, and rejects unrelated names.
        return (best.0 > 0.84).then(|| best.1.display().to_string());
    }
    None
}
