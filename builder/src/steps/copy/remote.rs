//! ADD of remote sources: files from the web and trees of git repositories.

use super::CopyError;
use super::group::{Detail, FileGroup};
use super::origin::OriginEntry;
use super::walk::WrittenPath;
use crate::plan;
use crate::sources::{Checkout, Context, GitAddress, IgnoreVerdict, download, file_name};
use buildscope_record::{BlobDigest, Probe};
use buildscope_storage::{Content, EntryKind, Store, Timestamp};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

/// Selects the file at a URL. It has mode 600 (Dockerfile reference, "ADD") and the server's modification time. It is
/// only unpacked with `--unpack`.
pub(super) fn file(op: &plan::Copy, url: &str, store: &Store, probe: &Probe) -> Result<FileGroup, CopyError> {
    let name = match file_name(url) {
        Some(name) => name,
        None => {
            let WrittenPath { path, directory } = WrittenPath::parse(&op.destination, &op.workdir);
            if directory {
                return Err(CopyError::Nameless(url.to_owned()));
            }
            // The file gets the name of the destination, also if that turns out to be a directory.
            path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        }
    };
    let checksum = op.checksum.as_deref().and_then(|text| text.parse::<BlobDigest>().ok());
    let download = download(url, checksum, store, probe)?;
    let content = Content::Blob { blob: download.blob, offset: 0, length: download.size, sparse: None };
    let found = OriginEntry::file("", 0o600, download.modified(), content, download.size);
    let detail = Detail { digest: Some(download.blob.digest()), ..Detail::default() };
    Ok(FileGroup { unpack: op.unpack.unwrap_or(false), ..FileGroup::file(url.to_owned(), name.into(), found, detail) })
}

/// Checks out a repository. The checkout must be kept until its files are copied.
///
/// # Errors
/// If git fails, or the commit is not the one in `--checksum`.
pub(super) fn check_out(op: &plan::Copy, url: &str, store: &Store, probe: &Probe) -> Result<Checkout, CopyError> {
    let checkout = GitAddress::parse(url)?.check_out(store.scratch_path("git"), probe)?;
    if let Some(expected) = op.checksum.as_deref()
        && !checkout.commit.starts_with(expected)
    {
        let (source_path, expected, found) = (url.to_owned(), expected.to_owned(), checkout.commit.clone());
        return Err(CopyError::Checksum { source_path, expected, found });
    }
    Ok(checkout)
}

/// Opens the tree of a checkout. `.git` is excluded unless the instruction keeps it.
pub(super) fn context(op: &plan::Copy, checkout: &Checkout) -> Result<Context, CopyError> {
    let keep = checkout.keep.unwrap_or(op.keep_git_dir);
    let filter = move |path: &Path| IgnoreVerdict {
        excluded: !keep && path.file_name() == Some(OsStr::new(".git")),
        reincluded_below: false,
    };
    Ok(Context::open(&checkout.tree, Some(filter), None)?)
}

/// Gives the files of a checkout the metadata that git knows: they belong to root and have the time of the commit.
pub(super) fn normalize(groups: &mut [FileGroup], url: &str, checkout: &Checkout) {
    for group in groups {
        group.items.update_all(|entry, detail| {
            // Times and umask of the checkout are arbitrary. Of a file's mode, git only stores whether it is executable.
            detail.host = None;
            entry.mtime = Timestamp { seconds: checkout.time, nanos: 0 };
            entry.mode = match entry.kind {
                EntryKind::Directory => 0o755,
                EntryKind::Symlink { .. } => 0o777,
                _ if entry.mode & 0o100 != 0 => 0o755,
                _ => 0o644,
            };
            entry.xattrs = BTreeMap::new();
        });
        url.clone_into(&mut group.source);
    }
}
