//! Errors of a server and of the connection to it.

use super::{Address, TlsError};
use buildscope_record::BlobDigest;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tonic::{Code, Status};

/// A failed call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemoteError {
    /// A file with credentials or certificates, or a file to upload, cannot be read or used.
    #[error("cannot use {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: String,
    },
    /// A certificate, a key or a header cannot be used.
    #[error("{what}: {reason}")]
    Invalid {
        /// The thing that is invalid.
        what: &'static str,
        /// The cause.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("no connection to {address}: {reason}")]
    Unreachable {
        /// The server.
        address: Address,
        /// The cause.
        reason: String,
    },
    /// The server cannot be reached, and TLS is the reason.
    #[error("no connection to {address}: {reason}")]
    Tls {
        /// The server.
        address: Address,
        /// The reason.
        reason: TlsError,
    },
    /// The server answered with an error.
    #[error("{address}: {what}: {}{}", code_name(*code), text_of(message))]
    Refused {
        /// The server.
        address: Address,
        /// The call.
        what: &'static str,
        /// The status of the answer.
        code: Code,
        /// The server's message.
        message: String,
    },
    /// The server has stopped an action: it was cancelled there, or its time limit has passed.
    #[error("{address}: the server stopped the action: {}{}", code_name(*code), text_of(message))]
    Stopped {
        /// The server.
        address: Address,
        /// The status of the action.
        code: Code,
        /// The server's message.
        message: String,
    },
    /// The server did not answer in time, or a transfer stood still.
    #[error("{address}: {what}: no data for {} s", after.as_secs_f64())]
    Stalled {
        /// The server.
        address: Address,
        /// The call.
        what: &'static str,
        /// The time limit.
        after: Duration,
    },
    /// The server sends so slowly that a transfer would have no end.
    #[error("{address}: the server is too slow: {received} bytes in {} s", after.as_secs())]
    TooSlow {
        /// The server.
        address: Address,
        /// The number of received bytes.
        received: u64,
        /// The time that they took.
        after: Duration,
    },
    /// The server does not have blobs that it needs or should have.
    #[error("{address}: the server does not have {}", blobs_of(blobs))]
    Missing {
        /// The server.
        address: Address,
        /// The blobs, if the server named them.
        blobs: Vec<BlobDigest>,
    },
    /// The content of a blob does not have its digest.
    #[error("{address}: blob {wanted} is corrupt: its content has digest {found}")]
    Corrupt {
        /// The server.
        address: Address,
        /// The digest that was asked for.
        wanted: BlobDigest,
        /// The digest of the content.
        found: BlobDigest,
    },
    /// The server lacks something that is needed.
    #[error("{address}: {reason}")]
    Unsupported {
        /// The server.
        address: Address,
        /// The missing feature.
        reason: String,
    },
}

impl RemoteError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        |error| Self::File { path: path.into(), reason: error.to_string() }
    }

    pub(crate) fn of(address: &Address, what: &'static str, status: &Status) -> Self {
        let (address, message) = (address.clone(), sentence(status));
        // The status of an answer has no source: the connection itself failed.
        match std::error::Error::source(status) {
            Some(_) => Self::Unreachable { address, reason: message },
            None => Self::Refused { address, what, code: status.code(), message },
        }
    }

    /// Whether the same call may succeed if it is sent again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Stalled { .. } | Self::Stopped { .. } => true,
            Self::Refused { code, .. } => matches!(
                code,
                Code::Unavailable
                    | Code::ResourceExhausted
                    | Code::Aborted
                    | Code::DeadlineExceeded
                    | Code::Internal
                    | Code::Unknown
                    | Code::Cancelled
            ),
            _ => false,
        }
    }

    /// Whether the server does not answer.
    pub(crate) fn is_gone(&self) -> bool {
        let unavailable = matches!(self, Self::Refused { code: Code::Unavailable, .. });
        unavailable
            || matches!(self, Self::Unreachable { .. } | Self::Tls { .. } | Self::Stalled { .. } | Self::TooSlow { .. })
    }

    /// Whether the server rejected the credentials.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Refused { code: Code::Unauthenticated, .. })
    }

    /// Whether the reason may be that the server lacks blobs of an action. REAPI asks servers to name them, and not all do.
    pub fn may_lack_blobs(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Refused { code: Code::FailedPrecondition, .. })
    }

    /// Whether the server does not have what was asked for.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Refused { code: Code::NotFound, .. })
    }
}

/// The message of a status with the causes below it.
fn sentence(status: &Status) -> String {
    let mut causes: Vec<String> = vec![status.message().to_owned()];
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let text = error.to_string();
        if !causes.iter().any(|cause| cause.contains(&text)) {
            causes.push(text);
        }
        source = error.source();
    }
    causes.retain(|cause| !cause.is_empty());
    buildscope_record::redacted(&causes.join(": ")).into_owned()
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => {
            "the credentials are missing, wrong or expired (--remote-token-file or --remote-header; `token_file=` of a cache)"
        }
        Code::PermissionDenied => "the credentials do not permit this",
        Code::NotFound => "not found",
        Code::Unimplemented => "the server does not offer this",
        Code::ResourceExhausted => "the server is out of resources",
        Code::Unavailable => "the server is unavailable",
        Code::DeadlineExceeded => "the deadline has passed",
        Code::Cancelled => "it was cancelled",
        Code::InvalidArgument => "the server rejects the request",
        Code::FailedPrecondition => "a precondition is not met",
        _ => "the server failed",
    }
}

fn text_of(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn blobs_of(blobs: &[BlobDigest]) -> String {
    match blobs {
        [] => "a blob of the action".into(),
        [one] => format!("blob {one}"),
        [first, rest @ ..] => format!("blob {first} and {} others", rest.len()),
    }
}
