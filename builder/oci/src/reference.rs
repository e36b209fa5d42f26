//! Image references: the grammar of the distribution project's `reference` package, docker's defaults.

use buildscope_record::ManifestDigest;
use std::{fmt, str::FromStr};

/// The registry of a name that gives none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The namespace of a one-word name there.
const OFFICIAL: &str = "library";
/// The longest name, registry included, in bytes (distribution's `NameTotalLengthMax`).
const LONGEST_NAME: usize = 255;
/// The longest tag in bytes.
const LONGEST_TAG: usize = 128;

/// The name of an image somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Host and port, or `docker.io`.
    pub registry: String,
    /// The repository there, `library/` included.
    pub repository: String,
    /// The tag as written; none means `latest` where there is no digest either.
    pub tag: Option<String>,
    /// The manifest's or index's digest.
    pub digest: Option<ManifestDigest>,
}

/// Text that is no image reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no image reference: {fault}")]
pub struct ReferenceError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub fault: String,
}

impl Reference {
    /// The tag that is meant: `latest` where neither tag nor digest is written.
    pub fn tag_or_latest(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// Name and tag without digest and without docker's defaults, `:latest` left out: by this, docker and
    /// BuildKit look up named contexts, so `busybox` and `docker.io/library/busybox:latest` are one.
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

    /// Registry and repository.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    /// In full: registry, repository, tag (written or meant) and digest.
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
        let fault = |fault: String| ReferenceError { text: text.to_owned(), fault };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|e| fault(format!("{e}")))?)),
            None => (text, None),
        };
        // A colon after the last slash begins the tag; one before it belongs to a port.
        let name_end = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_end..].split_once(':') {
            Some((last, tag)) => (&rest[..name_end + last.len()], Some(tag)),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(fault("the name is missing".into()));
        }
        let (registry, repository) = split_registry(name);
        if !registry.is_empty() && !is_host(registry) {
            return Err(fault(format!("`{registry}` is no host")));
        }
        for part in repository.split('/') {
            is_component(part).map_err(&fault)?;
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
            return Err(fault(format!("the name is longer than {LONGEST_NAME} bytes")));
        }
        if let Some(tag) = tag {
            let first = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let rest = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !first || !rest || tag.len() > LONGEST_TAG {
                return Err(fault(format!(
                    "`{tag}` is no tag (letters, digits, `_`, `.`, `-`, at most {LONGEST_TAG})"
                )));
            }
        }
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

/// The part before the first slash is a registry only where it cannot be a repository: docker's rule.
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

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> Result<(), String> {
    if part.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("`{part}` has capital letters, which a repository must not"));
    }
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
    let mut between = bytes.split(alphanumeric).filter(|run| !run.is_empty());
    let separators = between.all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-'));
    match ends && separators {
        true => Ok(()),
        false => Err(format!("`{part}` is no part of a repository's name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Reference>().unwrap().to_string()
    }

    #[test]
    fn docker_fills_in_what_is_left_out() {
        assert_eq!(shown("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(shown("busybox:1.36"), "docker.io/library/busybox:1.36");
        assert_eq!(shown("me/app"), "docker.io/me/app:latest");
        assert_eq!(shown("index.docker.io/busybox"), "docker.io/library/busybox:latest");
        assert_eq!(shown("localhost/app"), "localhost/app:latest");
        assert_eq!(shown("localhost:5000/a/b:t"), "localhost:5000/a/b:t");
        assert_eq!(shown("[::1]:5000/app"), "[::1]:5000/app:latest");
        // The first word has no dot, colon or capital: it is a repository of the default registry.
        assert_eq!(shown("host/app"), "docker.io/host/app:latest");
    }

    #[test]
    fn a_digest_takes_the_place_of_latest() {
        let digest = ManifestDigest::of("x");
        assert_eq!(shown(&format!("busybox@{digest}")), format!("docker.io/library/busybox@{digest}"));
        assert_eq!(shown(&format!("h.example:1/a:t@{digest}")), format!("h.example:1/a:t@{digest}"));
    }

    #[test]
    fn familiar_names_are_those_of_named_contexts() {
        let familiar = |text: &str| text.parse::<Reference>().unwrap().familiar();
        assert_eq!(familiar("docker.io/library/busybox:latest"), "busybox");
        assert_eq!(familiar("docker.io/me/app:1"), "me/app:1");
        assert_eq!(familiar("h.example/busybox"), "h.example/busybox");
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
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
