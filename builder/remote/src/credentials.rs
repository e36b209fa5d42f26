//! The headers of each call: the bearer token, and those that the user gives.

use super::{RemoteError, RemoteOptions};
use std::path::PathBuf;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Adds headers to each call.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    fixed: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
    token_file: Option<PathBuf>,
}

impl Headers {
    pub(crate) fn of(options: &RemoteOptions) -> Result<Self, RemoteError> {
        let mut fixed = Vec::new();
        for (name, value) in &options.headers {
            let key = AsciiMetadataKey::from_bytes(name.as_bytes());
            let key = key.map_err(|_| RemoteError::Invalid { what: "the name of a header", reason: name.clone() })?;
            let value = AsciiMetadataValue::try_from(value.as_str());
            let value = value.map_err(|error| RemoteError::Invalid {
                what: "the value of a header",
                reason: format!("{name}: {error}"),
            })?;
            fixed.push((key, value));
        }
        if let Some(token) = &options.token {
            let value = bearer(token)
                .map_err(|reason| RemoteError::Invalid { what: "the token", reason: reason.to_owned() })?;
            fixed.push((AsciiMetadataKey::from_static("authorization"), value));
        }
        let token_file = options.token_file.clone();
        if let Some(path) = &token_file {
            std::fs::read_to_string(path).map_err(RemoteError::file(path))?;
        }
        Ok(Self { fixed, token_file })
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = request.metadata_mut();
        for (key, value) in &self.fixed {
            headers.append(key.clone(), value.clone());
        }
        if let Some(path) = &self.token_file {
            let token = std::fs::read_to_string(path)
                .map_err(|error| Status::unauthenticated(format!("cannot read {}: {error}", path.display())))?;
            headers.insert("authorization", bearer(&token).map_err(Status::unauthenticated)?);
        }
        Ok(request)
    }
}

fn bearer(token: &str) -> Result<AsciiMetadataValue, &'static str> {
    let token = token.trim();
    if token.is_empty() {
        return Err("it is empty");
    }
    let mut value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| "it has characters that a header cannot have")?;
    value.set_sensitive(true);
    Ok(value)
}
