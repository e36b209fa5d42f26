//! Paths as text, without a file system.

/// The shortest equivalent path: without `.`, double slashes, and names that `..` takes back.
pub(crate) fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// `path` below `base`, unless it is absolute.
pub(crate) fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') || base.is_empty() { clean(path) } else { clean(&format!("{base}/{path}")) }
}

/// The directory of a file; empty for the working directory.
pub(crate) fn directory(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(directory, _)| if directory.is_empty() { "/" } else { directory })
}

/// Whether a context is fetched instead of read from a directory.
pub(crate) fn is_remote(path: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@", "github.com/"].iter().any(|scheme| path.starts_with(scheme))
        || (path.contains('@')
            && path.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/')))
}

#[cfg(test)]
mod tests {
    use super::clean;

    /// Go's documentation of path.Clean.
    #[test]
    fn paths_are_cleaned_like_go_does() {
        for (path, expected) in [
            ("a/c", "a/c"),
            ("a//c", "a/c"),
            ("a/c/.", "a/c"),
            ("a/c/b/..", "a/c"),
            ("/../a/c", "/a/c"),
            ("/../a/b/../././/c", "/a/c"),
            ("", "."),
            ("../..", "../.."),
            ("a/../..", ".."),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}
