//! Errors of COPY, ADD and WORKDIR.

use crate::sources::SourceError;
use buildscope_dockerfile::BadId;
use buildscope_storage::StorageError;
use std::path::PathBuf;

/// A failure of COPY, ADD or WORKDIR.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A source without wildcards does not exist, or the directory in which a pattern searches.
    #[error("`{source_path}` not found in {origin}{}", hint(suggestion.as_deref()))]
    NotFound {
        /// The source as written.
        source_path: String,
        /// The name of the origin that was searched.
        origin: String,
        /// An existing path with a similar name.
        suggestion: Option<String>,
    },
    /// A source exists, but is excluded.
    #[error("`{source_path}` is excluded from {origin} by its ignore file")]
    Ignored {
        /// The source as written.
        source_path: String,
        /// The name of the origin that was searched.
        origin: String,
    },
    /// A symbolic link on the way to a source leads out of the context.
    #[error(
        "`{source_path}` not found in {origin}: the link `{}` leads out of it, to `{}`. Copy the file into the context, or \
         give its directory as another one: `--build-context NAME=DIRECTORY` and `COPY --from=NAME`",
        link.display(), to.display()
    )]
    LeadsOut {
        /// The source as written.
        source_path: String,
        /// The name of the origin that was searched.
        origin: String,
        /// The path of the link in the origin.
        link: PathBuf,
        /// The target of the link.
        to: PathBuf,
    },
    /// A source is a socket.
    #[error("`{source_path}` of {origin} is a socket, which an image cannot contain")]
    Socket {
        /// The source as written.
        source_path: String,
        /// The name of the origin that was searched.
        origin: String,
    },
    /// A pattern is malformed.
    #[error("`{0}` is not a valid pattern")]
    BadPattern(String),
    /// The value of `--chmod` is malformed.
    #[error(
        "`--chmod={0}` is not a valid mode: write an octal one like 0644 or 4755, or a symbolic one like u=rwX,go=rX"
    )]
    BadMode(String),
    /// A user or group has no line in the image's passwd or group file.
    #[error(
        "the image has no {kind} `{name}` in {file}, which `--chown={text}` asks for; a numeric id needs no such line"
    )]
    UnknownOwner {
        /// `user` or `group`.
        kind: &'static str,
        /// The name of the user or group.
        name: String,
        /// The file that was searched.
        file: &'static str,
        /// The whole value of the flag.
        text: String,
    },
    /// `--chown`, or its line in the image's passwd or group file, has an id that a file cannot have.
    #[error("cannot give files to `{text}`{}: {error}", line_of(*.file))]
    BadId {
        /// The owner as written.
        text: String,
        /// The file of the image with the id. `None` if the id is in the flag itself.
        file: Option<&'static str>,
        /// The problem of the id.
        error: BadId,
    },
    /// Several sources with a destination that is not a directory.
    #[error("several sources need a destination that is a directory: end `{0}` with a slash")]
    NeedsDirectory(String),
    /// A directory would replace something else in the image.
    #[error("cannot copy a directory over `/{}`: the image has {found} there", path.display())]
    NotADirectory {
        /// The path in the image.
        path: PathBuf,
        /// The kind of the existing file, with its article: `a file`.
        found: &'static str,
    },
    /// A file would replace a directory of the image.
    #[error("cannot copy a file over `/{}`: the image has a directory there", .0.display())]
    IsADirectory(PathBuf),
    /// A path cannot be resolved.
    #[error("cannot resolve `{}`: {reason}", path.display())]
    BadPath {
        /// The path as written.
        path: PathBuf,
        /// The cause, as text for the user.
        reason: &'static str,
    },
    /// A file name that would be a whiteout in a layer.
    #[error("`{}` cannot be in an image: names that start with `.wh.` mark removed files in a layer (whiteouts)", .0.display())]
    WhiteoutName(PathBuf),
    /// An archive is damaged or hostile.
    #[error("cannot unpack `{archive}`: {reason}")]
    Archive {
        /// The source as written.
        archive: String,
        /// The cause, as text for the user.
        reason: String,
    },
    /// The content does not have the digest in `--checksum`.
    #[error("`{source_path}` has checksum {found}, not {expected}")]
    Checksum {
        /// The source as written.
        source_path: String,
        /// The digest in `--checksum`.
        expected: String,
        /// The digest of the content.
        found: String,
    },
    /// A URL without a file name at its end.
    #[error("`{0}` has no file name: write one at the end of the destination")]
    Nameless(String),
    /// A file that is copied cannot be read.
    #[error("cannot read a file that is copied: {error}")]
    Read {
        /// The error of reading it.
        error: std::io::Error,
    },
    /// A context or a remote source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The place of an id that comes from a file of the image, for the end of a message.
pub(in crate::steps) fn line_of(file: Option<&str>) -> String {
    file.map(|file| format!(" (its line in {file} of the image)")).unwrap_or_default()
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
