//! Addresses for people: without the passwords in them.

/// The address with its password replaced by `xxxxx`, as Go writes it.
pub fn redacted(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let (user, host) = host.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:xxxxx@{host}{path}"))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_replaced_and_nothing_else() {
        assert_eq!(redacted("https://me:secret@host/a.git#x"), "https://me:xxxxx@host/a.git#x");
        assert_eq!(redacted("https://host/a@b:c"), "https://host/a@b:c");
        assert_eq!(redacted("git@host:a/b"), "git@host:a/b");
    }
}
