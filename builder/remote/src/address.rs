//! Addresses of servers: `grpc[s]://HOST:PORT[/INSTANCE]`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of `grpcs://` addresses without one.
const TLS_PORT: u16 = 443;

/// The address of a server, and the name of one of its instances.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    pub(crate) transport: Transport,
    /// The name of the instance. It is empty for a server with one instance.
    pub(crate) instance: String,
}

/// The endpoint of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Transport {
    /// TCP. The text is `HOST:PORT`.
    Plain(String),
    /// TLS over TCP.
    Tls(String),
    /// A socket of this machine.
    Socket(PathBuf),
}

/// An invalid address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid address `{text}`: {reason}; use grpc://HOST:PORT[/INSTANCE], or grpcs:// for TLS")]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl Address {
    /// The same server with another instance.
    #[must_use]
    pub fn with_instance(self, instance: impl Into<String>) -> Self {
        Self { instance: instance.into(), ..self }
    }

    /// The host without the brackets of an IPv6 address; `None` for a socket of this machine.
    pub(crate) fn host(&self) -> Option<&str> {
        let (Transport::Plain(authority) | Transport::Tls(authority)) = &self.transport else { return None };
        let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
        Some(host.trim_start_matches('[').trim_end_matches(']'))
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Parses an address. `http`, `https` and `unix:PATH` are the forms that buildbox's programs use.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let failed = |reason| AddressError { text: buildscope_record::redacted(text).into_owned(), reason };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self { transport: Transport::Socket(path.into()), instance: String::new() });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| failed("it has no scheme"))?;
        let (authority, instance) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(failed("an address cannot have credentials"));
        }
        if rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return Err(failed("it has characters that an address cannot have"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| failed("invalid port"))?;
        if host.is_empty() {
            return Err(failed("it has no host"));
        }
        let transport = match (scheme, port) {
            ("grpc" | "http", Some(port)) => Transport::Plain(format!("{host}:{port}")),
            ("grpc" | "http", None) => return Err(failed("it has no port")),
            ("grpcs" | "https", port) => Transport::Tls(format!("{host}:{}", port.unwrap_or(TLS_PORT))),
            _ => return Err(failed("unknown scheme")),
        };
        Ok(Self { transport, instance: instance.trim_end_matches('/').to_owned() })
    }
}

/// Splits `HOST[:PORT]`. An IPv6 address is in brackets. Returns `None` if the port is invalid.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[host_end..].split_once(':') {
        None => Some((authority, None)),
        Some((name, port)) => {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            Some((&authority[..host_end + name.len()], Some(port)))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Plain(authority) => write!(f, "grpc://{authority}")?,
            Transport::Tls(authority) => write!(f, "grpcs://{authority}")?,
            Transport::Socket(path) => write!(f, "unix:{}", path.display())?,
        }
        if self.instance.is_empty() { Ok(()) } else { write!(f, "/{}", self.instance) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_transport_and_an_instance() {
        let of = |text: &str| text.parse::<Address>().unwrap();
        let plain = |authority: &str, instance: &str| Address {
            transport: Transport::Plain(authority.into()),
            instance: instance.into(),
        };
        assert_eq!(of("grpc://cache.example:8980"), plain("cache.example:8980", ""));
        assert_eq!(of("grpc://10.0.0.1:1/team/main/"), plain("10.0.0.1:1", "team/main"));
        assert_eq!(of("grpc://[::1]:50051"), plain("[::1]:50051", ""));
        assert_eq!(of("http://127.0.0.1:9"), plain("127.0.0.1:9", ""));
        assert_eq!(of("grpcs://h").transport, Transport::Tls("h:443".into()));
        assert_eq!(of("unix:/run/casd.sock").transport, Transport::Socket("/run/casd.sock".into()));
        assert_eq!(of("unix:///run/casd.sock").transport, Transport::Socket("/run/casd.sock".into()));
        for text in ["grpc://10.0.0.1:1/team", "grpcs://h:443", "unix:/run/x"] {
            assert_eq!(of(text).to_string(), text);
        }
    }

    #[test]
    fn an_invalid_address_names_its_fault_and_no_password() {
        for (text, reason) in [
            ("cache.example:80", "no scheme"),
            ("ftp://h:1", "unknown scheme"),
            ("grpc://h", "no port"),
            ("grpc://h:0", "invalid port"),
            ("grpc://h:70000", "invalid port"),
            ("grpc://h:x", "invalid port"),
            ("grpc://:80", "no host"),
            ("grpc://me:hidden@h:1", "credentials"),
            ("grpc://h:1?x=1", "characters"),
        ] {
            let message = text.parse::<Address>().unwrap_err().to_string();
            assert!(message.contains(reason) && !message.contains("hidden"), "{text}: {message}");
        }
    }
}
