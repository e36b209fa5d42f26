//! Image references: the grammar of the distribution project's `reference` package, with docker's defaults.

use buildscope_record::ManifestDigest;
use std::{fmt, str::FromStr};

/// The registry of a name without a registry.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The namespace of a one-word name in the default registry.
const OFFICIAL: &str = "library";
/// The maximum length of a name in bytes, registry included (`NameTotalLengthMax` in distribution).
const LONGEST_NAME: usize = 255;
/// The maximum length of a tag in bytes.
const LONGEST_TAG: usize = 128;

/// The name of an image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The host of the registry with its port, if it has one.
    pub registry: String,
    /// The repository in the registry, `library/` included.
    pub repository: String,
    /// The tag as written. A reference with neither tag nor digest means the tag `latest`.
    pub tag: Option<String>,
    /// The digest of the manifest or index.
    pub digest: Option<ManifestDigest>,
}

/// The error of a text that is not an image reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid image reference `{text}`: {reason}")]
pub struct ReferenceError {
    /// The text.
    pub text: String,
    /// The part of the text that is wrong, and why.
    pub reason: String,
}

impl Reference {
    /// Returns the tag, or `latest` if the reference has no tag.
    pub fn tag_or_latest(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// Returns name and tag without the digest, without docker's defaults and without `:latest`. Docker and BuildKit
    /// look up named contexts by this name, so `busybox` and `docker.io/library/busybox:latest` name the same context.
    pub fn familiar(&self) -> String {
        let name = match (self.registry.as_str(), self.repository.split_once('/')) {
            (DEFAULT_REGISTRY, Some((OFFICIAL, name))) if !name.contains('/') => name.to_owned(),
            (DEFAULT_REGISTRY, _) => self.repository.clone(),
            _ => format!("{}/{}", self.registry, self.repository),
        };
        match self.tag.as_deref() {
            None | Some("latest") => name,
            Some(tag) => format!("{name}:{tag}"),
        }
    }

    /// Returns registry and repository, separated by a slash.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    /// Writes the full reference: registry, repository, tag (written or implied) and digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.tag, &self.digest) {
            (None, None) => write!(f, ":latest"),
            (tag, digest) => {
                tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
                digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
            }
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let invalid = |reason: String| ReferenceError { text: text.to_owned(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|e| invalid(format!("{e}")))?)),
            None => (text, None),
        };
        // A colon after the last slash starts the tag. A colon before it belongs to a port.
        let name_end = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_end..].split_once(':') {
            Some((last, tag)) => (&rest[..name_end + last.len()], Some(tag)),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(invalid("the name is missing".into()));
        }
        let (registry, repository) = split_registry(name);
        if !registry.is_empty() && !is_host(registry) {
            return Err(invalid(format!("`{registry}` is not a valid host")));
        }
        for part in repository.split('/') {
            is_component(part).map_err(&invalid)?;
        }
        let registry = match registry {
            "" | "index.docker.io" => DEFAULT_REGISTRY,
            other => other,
        };
        let repository = match (registry, repository.contains('/')) {
            (DEFAULT_REGISTRY, false) => format!("{OFFICIAL}/{repository}"),
            _ => repository.to_owned(),
        };
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(invalid(format!("the name is longer than {LONGEST_NAME} bytes")));
        }
        if let Some(tag) = tag {
            let first = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let rest = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !first || !rest || tag.len() > LONGEST_TAG {
                return Err(invalid(format!(
                    "invalid tag `{tag}` (use at most {LONGEST_TAG} letters, digits, `_`, `.` and `-`)"
                )));
            }
        }
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

/// Splits a name into registry and repository. The part before the first slash is a registry only if it cannot be part
/// of a repository (docker's rule).
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => ("", name),
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                return false;
            }
            ("v6", port)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let port_ok = match port.strip_prefix(':') {
        Some(port) => !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    host.split('.').all(label) && port_ok
}

/// Checks that `part` matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(part: &str) -> Result<(), String> {
    if part.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("`{part}` has capital letters; a repository name must be lowercase"));
    }
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
    let mut between = bytes.split(alphanumeric).filter(|run| !run.is_empty());
    let separators = between.all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-'));
    if ends && separators { Ok(()) } else { Err(format!("`{part}` is not a valid part of a repository name")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Reference>().unwrap().to_string()
    }

    #[test]
    fn missing_parts_get_docker_s_defaults() {
        assert_eq!(shown("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(shown("busybox:1.36"), "docker.io/library/busybox:1.36");
        assert_eq!(shown("me/app"), "docker.io/me/app:latest");
        assert_eq!(shown("index.docker.io/busybox"), "docker.io/library/busybox:latest");
        assert_eq!(shown("localhost/app"), "localhost/app:latest");
        assert_eq!(shown("localhost:5000/a/b:t"), "localhost:5000/a/b:t");
        assert_eq!(shown("[::1]:5000/app"), "[::1]:5000/app:latest");
        // The first word has no dot, colon or capital, so it belongs to a repository of the default registry.
        assert_eq!(shown("host/app"), "docker.io/host/app:latest");
    }

    #[test]
    fn a_digest_replaces_the_default_tag() {
        let digest = ManifestDigest::of("x");
        assert_eq!(shown(&format!("busybox@{digest}")), format!("docker.io/library/busybox@{digest}"));
        assert_eq!(shown(&format!("h.example:1/a:t@{digest}")), format!("h.example:1/a:t@{digest}"));
    }

    #[test]
    fn familiar_names_leave_out_defaults() {
        let familiar = |text: &str| text.parse::<Reference>().unwrap().familiar();
        assert_eq!(familiar("docker.io/library/busybox:latest"), "busybox");
        assert_eq!(familiar("docker.io/me/app:1"), "me/app:1");
        assert_eq!(familiar("h.example/busybox"), "h.example/busybox");
    }

    #[test]
    fn names_outside_the_grammar_are_rejected() {
        for text in [
            "",
            ":tag",
            "Busybox",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:",
            "a:-t",
            "a b",
            "a@sha256:00",
            "h_x.y/a",
            "h.example:/a",
            "a:t:u",
            "../x",
            "a/../b",
            ".",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        assert!(format!("a:{}", "t".repeat(129)).parse::<Reference>().is_err());
        assert!(format!("{}/b", "a".repeat(250)).parse::<Reference>().is_err());
        assert_eq!(shown("e/a--b__c.d"), "docker.io/e/a--b__c.d:latest");
    }
}
