//! Image paths as bytes: their parts, their order, and their conversion.
//!
//! *Takes* and *gives* paths without a leading slash, in which the empty path is the root ([`ImagePath`](crate::ImagePath)). *Must
//! never know* layers or trees.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The number of symbolic links that a path may lead through: Linux's limit (path_resolution(7)).
pub const MAX_LINKS: usize = 40;

/// The path of these bytes.
pub(crate) fn to_path(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

/// The components of a path, without `.` and empty ones.
pub(crate) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// The parent of a path. The parent of the root is the root.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&byte| byte == b'/').unwrap_or(0)]
}

/// The last component of a path.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    &path[path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1)..]
}

/// Whether `path` is below the directory `dir`.
pub(crate) fn is_below(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The path of `name` in the directory `parent`.
pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

/// Tree order: the contents of a directory follow it directly, because `/` sorts before all other bytes of a name.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let differ = a.iter().zip(b).position(|(a, b)| a != b);
    match differ {
        Some(at) => {
            let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
            rank(a[at]).cmp(&rank(b[at]))
        }
        None => a.len().cmp(&b.len()),
    }
}
