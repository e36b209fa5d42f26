//! The files of an image that name its users and groups (passwd(5), group(5)).

use buildscope_dockerfile::{BadId, Id};
use buildscope_storage::{StorageError, Tree};
use std::path::Path;

/// The largest file that is read, in bytes. A larger one can only be an attack.
const LIMIT: u64 = 16 << 20;

pub(super) const PASSWD: &str = "/etc/passwd";
pub(super) const GROUP: &str = "/etc/group";

/// The text of one of the files; `None` if the image does not have it.
pub(super) fn read(tree: &Tree, file: &str) -> Result<Option<String>, StorageError> {
    let path = tree.resolve(Path::new(file))?.path;
    Ok(tree.read(&path, LIMIT)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Parses an id. Returns `None` if the text is a name.
pub(super) fn number(text: &str) -> Result<Option<Id>, BadId> {
    match text.parse() {
        Ok(id) => Ok(Some(id)),
        Err(BadId::NotANumber(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
