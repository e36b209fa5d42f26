//! The options of a connection.

use super::Address;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The time limit of a call, and of a transfer without progress.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server and the options of the connection.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// The address of the server.
    pub address: Address,
    /// A bearer token.
    pub token: Option<String>,
    /// A file with a bearer token. It is read again for each call, because a token expires.
    pub token_file: Option<PathBuf>,
    /// Headers of each call, as pairs (name, value).
    pub headers: Vec<(String, String)>,
    /// A file with certificate authorities (PEM) that are trusted instead of the public ones.
    pub authority: Option<PathBuf>,
    /// A file with the client's certificate and a file with its key (PEM), for mutual TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The time limit of a call, and of a transfer without progress.
    pub timeout: Duration,
}

impl RemoteOptions {
    /// A server without credentials.
    pub fn of(address: Address) -> Self {
        Self {
            address,
            token: None,
            token_file: None,
            headers: Vec::new(),
            authority: None,
            identity: None,
            timeout: TIMEOUT,
        }
    }

    /// A time limit in seconds; `None` if the number is not one.
    pub fn time_limit(seconds: f64) -> Option<Duration> {
        Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero())
    }

    /// The name of a header and its value, from `NAME=VALUE` or `NAME: VALUE`.
    ///
    /// # Errors
    /// Fails with the reason if a header cannot have this name or value.
    pub fn header(text: &str) -> Result<(String, String), String> {
        let split = text.split_once('=').or_else(|| text.split_once(':'));
        let (name, value) = split.ok_or("a header is NAME=VALUE")?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(letter) {
            return Err(format!("invalid name of a header: `{name}`"));
        }
        if name.ends_with("-bin") {
            return Err(format!("`{name}`: headers with binary values are not supported"));
        }
        if !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Err(format!("the value of the header `{name}` has characters that a header cannot have"));
        }
        Ok((name, value))
    }
}

impl fmt::Debug for RemoteOptions {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteOptions({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let of = RemoteOptions::header;
        assert_eq!(of("X-Api-Key=a=b").unwrap(), ("x-api-key".into(), "a=b".into()));
        assert_eq!(of("x-team: build").unwrap(), ("x-team".into(), "build".into()));
        for text in ["x", "=v", "a b=c", "x=\u{1}", "trace-bin=AAAA"] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_debug_form_has_no_credentials() {
        let mut options = RemoteOptions::of("grpc://h:1".parse().unwrap());
        options.token = Some("hidden".into());
        options.headers = vec![("x-key".into(), "hidden".into())];
        assert!(!format!("{options:?}").contains("hidden"));
    }
}
