//! Parses `WWW-Authenticate` (RFC 9110, section 11.6.1).

/// A challenge of a registry: the kind of authorization that it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user name and a password.
    Basic,
    /// A token from a token service.
    Bearer {
        /// The URL of the token service.
        realm: String,
        /// The name of the registry, as the token service knows it.
        service: Option<String>,
        /// The scope that the registry suggests.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Returns the first challenge in a header that we support. `None` if the header is malformed.
    pub(crate) fn first_supported(header: &str) -> Option<Self> {
        http_auth::parse_challenges(header).ok()?.iter().find_map(Self::of)
    }

    fn of(challenge: &http_auth::ChallengeRef<'_>) -> Option<Self> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            let (realm, service, scope) = (parameter("realm")?, parameter("service"), parameter("scope"));
            return Some(Self::Bearer { realm, service, scope });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_registries_are_parsed() {
        // The example of distribution's token specification, "Requesting a Token".
        let header =
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("registry.example".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(Challenge::first_supported(header), Some(bearer));
        assert_eq!(Challenge::first_supported("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::first_supported("basic"), Some(Challenge::Basic));
        assert_eq!(Challenge::first_supported("Bearer service=x"), None);
        assert_eq!(Challenge::first_supported("Negotiate"), None);
        assert_eq!(Challenge::first_supported("Negotiate, basic realm=\"x\""), Some(Challenge::Basic));
    }
}
