//! Patterns of paths, as tools name files that may have several names.

/// Whether a path matches a pattern with `*` in its last part.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let (other, file) = path.rsplit_once('/').unwrap_or(("", path));
    if folder != other {
        return false;
    }
    let mut pieces = name.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = file.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    for (at, piece) in pieces.iter().enumerate() {
        if at + 1 == pieces.len() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(found) => rest = &rest[found + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}
