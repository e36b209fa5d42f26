//! TLS: the certificates and keys of the options, and the reasons of failed connections.

use super::address::Transport;
use super::{Address, RemoteError, RemoteOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, fs, io};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore, SignatureScheme, crypto,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The time limit for finding the reason of a failed connection.
const PROBE: Duration = Duration::from_secs(10);

/// A reason in TLS for a failed connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate of the server is signed by an authority that is not trusted.
    #[error(
        "no trusted authority has signed the server's certificate; --remote-ca (`ca=` of a cache) names the file of its authority"
    )]
    UnknownAuthority,
    /// The certificate of the server is for other names.
    #[error("the server's certificate is for {0}; the address in --remote must have that name")]
    OtherName(String),
    /// The certificate of the server has expired.
    #[error("the server's certificate has expired; the server of --remote needs a new one")]
    Expired,
    /// The certificate of the server is invalid for another reason.
    #[error("the certificate of the server in --remote is invalid: {0}")]
    Invalid(String),
    /// The server asks for a certificate of the client, and the options have none.
    #[error(
        "the server asks for a certificate of the client; --remote-cert and --remote-key (`cert=` and `key=` of a cache) name its files"
    )]
    NoIdentity,
    /// The server rejects the certificate of the client.
    #[error("the server rejects the certificate in --remote-cert (`cert=` of a cache): {0}")]
    RejectedIdentity(String),
    /// The server speaks no TLS.
    #[error("the server does not speak TLS; use grpc:// instead of grpcs:// in --remote")]
    PlainServer,
    /// The server speaks only TLS.
    #[error("the server speaks TLS; use grpcs:// instead of grpc:// in --remote")]
    EncryptedServer,
    /// The handshake failed for another reason.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
}

/// The content of the files of the options.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    authority: Option<Vec<u8>>,
    /// The certificate and the key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl TlsFiles {
    /// Reads the files, and checks them.
    pub(crate) fn read(options: &RemoteOptions) -> Result<Self, RemoteError> {
        let read = |path: &Path| fs::read(path).map_err(RemoteError::file(path));
        let authority = options.authority.as_deref().map(read).transpose()?;
        let identity = match &options.identity {
            Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
            None => None,
        };
        let files = Self { authority, identity };
        files.config().map_err(|(what, reason)| {
            let certificate = options.identity.as_ref().map(|(certificate, _)| certificate);
            let key = options.identity.as_ref().map(|(_, key)| key);
            let path = match what {
                TlsFile::Authority => options.authority.as_ref(),
                TlsFile::Certificate => certificate,
                TlsFile::Key => key,
            };
            RemoteError::File { path: path.cloned().unwrap_or_default(), reason }
        })?;
        Ok(files)
    }

    /// The options of connections to `host`.
    pub(crate) fn tonic(&self, host: &str) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new().domain_name(host);
        config = match &self.authority {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_webpki_roots(),
        };
        match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }

    fn config(&self) -> Result<ClientConfig, (TlsFile, String)> {
        let mut roots = RootCertStore::empty();
        match &self.authority {
            Some(pem) => {
                for certificate in certificates(pem).map_err(|reason| (TlsFile::Authority, reason))? {
                    roots.add(certificate).map_err(|error| (TlsFile::Authority, error.to_string()))?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions of TLS")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(|reason| (TlsFile::Certificate, reason))?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| (TlsFile::Key, "it has no key in PEM form without a password".to_owned()))?;
                let built = builder.with_client_auth_cert(chain, key);
                built.map_err(|error| (TlsFile::Key, format!("it does not fit the certificate: {error}")))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// Finds the reason of a failed connection: connects once more, and examines the handshake. A server with TLS 1.3 rejects the client's
    /// certificate after the handshake, and calls then fail without a reason. Returns `None` if TLS is not the reason.
    pub(crate) async fn failure_reason(&self, address: &Address) -> Option<TlsError> {
        let (authority, encrypted) = match &address.transport {
            Transport::Plain(authority) => (authority, false),
            Transport::Tls(authority) => (authority, true),
            Transport::Socket(_) => return None,
        };
        let seen = tokio::time::timeout(PROBE, self.handshake(authority, address.host()?)).await;
        match (seen.ok()?, encrypted) {
            (Err(reason), true) => reason,
            (Ok(()), true) | (Err(None | Some(TlsError::PlainServer | TlsError::Handshake(_))), false) => None,
            (Ok(()) | Err(Some(_)), false) => Some(TlsError::EncryptedServer),
        }
    }

    /// The first part of a connection. An error without a reason in TLS is one of the network.
    async fn handshake(&self, authority: &str, host: &str) -> Result<(), Option<TlsError>> {
        let mut config = self.config().map_err(|_| None)?;
        let asked = Arc::new(Asked::default());
        if self.identity.is_none() {
            config.client_auth_cert_resolver = Arc::clone(&asked) as _;
        }
        let failed = |error: &io::Error| match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
            Some(error) => Some(TlsError::of(error, self.identity.is_some())),
            None => asked.reason(),
        };
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(host.to_owned()).map_err(|_| None)?;
        let stream = TcpStream::connect(authority).await.map_err(|_| None)?;
        let mut stream = connector.connect(name, stream).await.map_err(|error| failed(&error))?;
        // The first bytes are those of HTTP/2, or an alert.
        match stream.read(&mut [0]).await {
            Ok(0) => asked.reason().map_or(Ok(()), |reason| Err(Some(reason))),
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Notes whether the server asks for a certificate of the client, and gives it none. Some servers then end the connection without an
/// alert.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl Asked {
    /// Why the server has ended the connection, if it asked.
    fn reason(&self) -> Option<TlsError> {
        self.0.load(Ordering::Relaxed).then_some(TlsError::NoIdentity)
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl fmt::Debug for TlsFiles {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFiles")
    }
}

/// A file of the options.
#[derive(Clone, Copy)]
enum TlsFile {
    Authority,
    Certificate,
    Key,
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| format!("it is not valid PEM: {error}"))?;
    if all.is_empty() { Err("it has no certificate in PEM form".into()) } else { Ok(all) }
}

impl TlsError {
    fn of(error: &rustls::Error, with_identity: bool) -> Self {
        match error {
            rustls::Error::InvalidCertificate(reason) => match reason {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidForNameContext { presented, .. } => Self::OtherName(names(presented)),
                CertificateError::NotValidForName => Self::OtherName("another name".into()),
                other => Self::Invalid(other.to_string()),
            },
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert, with_identity),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::PlainServer,
            other => Self::Handshake(other.to_string()),
        }
    }

    /// The meaning of an alert (RFC 8446, section 6.2). Before TLS 1.3 there was no alert for a missing certificate.
    fn of_alert(alert: AlertDescription, with_identity: bool) -> Self {
        let reason = match alert {
            AlertDescription::CertificateRequired => return Self::NoIdentity,
            AlertDescription::BadCertificate | AlertDescription::HandshakeFailure if !with_identity => {
                return Self::NoIdentity;
            }
            AlertDescription::CertificateExpired => "it has expired",
            AlertDescription::CertificateRevoked => "it was revoked",
            AlertDescription::UnknownCA => "the server does not trust its authority",
            AlertDescription::AccessDenied => "it has no access",
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError => "it is invalid for the server",
            other => return Self::Handshake(format!("the server sent the alert {other:?}")),
        };
        if with_identity { Self::RejectedIdentity(reason.into()) } else { Self::Handshake(format!("{alert:?}")) }
    }
}

/// Names of a certificate as text. rustls gives them as `DnsName("NAME")`.
fn names(presented: &[String]) -> String {
    let name = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    match presented {
        [] => "no name".into(),
        presented => presented.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_about_a_certificate_is_about_that_of_the_client() {
        let of = |alert, with_identity| TlsError::of(&rustls::Error::AlertReceived(alert), with_identity);
        assert_eq!(of(AlertDescription::CertificateRequired, false), TlsError::NoIdentity);
        assert_eq!(of(AlertDescription::BadCertificate, false), TlsError::NoIdentity);
        assert_eq!(of(AlertDescription::CertificateExpired, true), TlsError::RejectedIdentity("it has expired".into()));
        assert!(matches!(of(AlertDescription::ProtocolVersion, true), TlsError::Handshake(_)));
    }

    #[test]
    fn a_file_that_is_not_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        fs::write(&path, "no certificate\n").unwrap();
        let mut options = RemoteOptions::of("grpcs://h:1".parse().unwrap());
        options.authority = Some(path.clone());
        let message = TlsFiles::read(&options).unwrap_err().to_string();
        assert!(message.contains(path.to_str().unwrap()) && message.contains("no certificate"), "{message}");
    }
}
