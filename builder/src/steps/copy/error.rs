//! Why nothing was copied.

use crate::sources::SourceError;
use buildscope_dockerfile::BadId;
use buildscope_storage::StorageError;
use std::path::PathBuf;

/// A failure of COPY, ADD or WORKDIR.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A source without wildcards that is not there.
    #[error("`{source_path}` not found in {place}{}", hint(suggestion.as_deref()))]
    NotFound {
        /// The source as written.
        source_path: String,
        /// Where it was looked for.
        place: String,
        /// What there is that looks like it.
        suggestion: Option<String>,
    },
    /// A source that is there, but excluded.
    #[error("`{source_path}` is excluded from {place} by its ignore file")]
    Ignored {
        /// The source as written.
        source_path: String,
        /// Where it was looked for.
        place: String,
    },
    /// A malformed pattern.
    #[error("`{0}` is not a valid pattern")]
    BadPattern(String),
    /// A malformed `--chmod`.
    #[error(
        "`--chmod={0}` is not a valid mode: write an octal one like 0644 or 4755, or a symbolic one like u=rwX,go=rX"
    )]
    BadMode(String),
    /// A user or group that the image does not know.
    #[error(
        "the image has no {kind} `{name}` in {file}, which `--chown={text}` asks for; a numeric id needs no such line"
    )]
    UnknownOwner {
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The file that was searched.
        file: &'static str,
        /// The whole flag.
        text: String,
    },
    /// `--chown`, or the line of the image's passwd or group file that it means, has an id that no file can have.
    #[error("cannot give files to `{text}`{}: {source}", place(*.file))]
    BadId {
        /// The owner as written.
        text: String,
        /// The image's file that has the id, if it is not in the flag itself.
        file: Option<&'static str>,
        /// What is wrong with it.
        source: BadId,
    },
    /// Nothing of both.
    #[error("`--chown={0}` names no user")]
    BadOwner(String),
    /// Several sources need a directory to go to.
    #[error("several sources need a destination that is a directory: end `{0}` with a slash")]
    NeedsDirectory(String),
    /// A directory where the image has something else.
    #[error("cannot copy a directory over `/{}`: the image has {found} there", path.display())]
    NotADirectory {
        /// The path in the image.
        path: PathBuf,
        /// What is there: with its article.
        found: &'static str,
    },
    /// A file where the image has a directory.
    #[error("cannot copy a file over `/{}`: the image has a directory there", .0.display())]
    IsADirectory(PathBuf),
    /// A path that leads nowhere.
    #[error("cannot resolve `{}`: {reason}", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A name that means "removed" in a layer.
    #[error("`{}` cannot be in an image: in a layer, names that begin with `.wh.` say that a file was removed", .0.display())]
    WhiteoutName(PathBuf),
    /// A damaged or hostile archive.
    #[error("cannot unpack `{archive}`: {reason}")]
    Archive {
        /// The archive.
        archive: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Content that is not what `--checksum` says.
    #[error("`{source_path}` has checksum {found}, not {expected}")]
    Checksum {
        /// The source as written.
        source_path: String,
        /// What it should have been.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A URL that ends without the name of a file.
    #[error("`{0}` names no file: write the file's name at the end of the destination")]
    Nameless(String),
    /// Something that is copied cannot be read.
    #[error("cannot read what is copied: {source}")]
    Read {
        /// Why not.
        source: std::io::Error,
    },
    /// The context failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn place(file: Option<&str>) -> String {
    file.map(|file| format!(" (its line in {file} of the image)")).unwrap_or_default()
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
