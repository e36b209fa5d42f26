//! Credentials for registries, from docker's configuration file and its credential helpers.

use super::super::ImageError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The key of docker.io's credentials. It is older than the names of registries.
const DEFAULT_KEY: &str = "https://index.docker.io/v1/";

/// The credentials in docker's `config.json`. Helpers are only run when a login is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credentials {
    auths: BTreeMap<String, AuthEntry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct AuthEntry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// A login for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// A user name and a password.
    Password(String, String),
    /// A refresh token for the token service (OAuth2).
    Identity(String),
    /// A bearer token for the registry itself.
    Registry(String),
}

impl Credentials {
    /// Reads `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. A missing file counts as empty.
    pub fn of_docker() -> Result<Self, ImageError> {
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".docker")));
        match folder {
            Some(folder) => Self::read(&folder.join("config.json")),
            None => Ok(Self::default()),
        }
    }

    /// Reads a file in docker's format. A missing file counts as empty.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| ImageError::Json {
                origin: path.display().to_string(),
                what: "the credentials file".into(),
                error,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ImageError::file("read", path)(error)),
        }
    }

    /// The login for a registry. As in docker, the order is: the helper of the registry, the helper for all registries
    /// (`credsStore`), the file.
    pub(crate) fn login(&self, registry: &str) -> Result<Option<Login>, ImageError> {
        let keys = keys(registry);
        let helper = keys.iter().find_map(|key| self.cred_helpers.get(key)).or(self.creds_store.as_ref());
        if let Some(helper) = helper {
            for key in &keys {
                if let Some(login) = ask(helper, key)? {
                    return Ok(Some(login));
                }
            }
        }
        Ok(keys.iter().find_map(|key| self.auths.get(key)).and_then(AuthEntry::login))
    }
}

/// The keys under which docker may keep the login for a registry.
fn keys(registry: &str) -> Vec<String> {
    match registry {
        "docker.io" => vec![DEFAULT_KEY.into(), "index.docker.io".into(), registry.into()],
        _ => [
            format!("https://{registry}/v1/"),
            format!("https://{registry}/v2/"),
            format!("https://{registry}"),
            format!("http://{registry}"),
        ]
        .into_iter()
        .chain([registry.to_owned()])
        .rev()
        .collect(),
    }
}

impl AuthEntry {
    fn login(&self) -> Option<Login> {
        if !self.registrytoken.is_empty() {
            return Some(Login::Registry(self.registrytoken.clone()));
        }
        if !self.identitytoken.is_empty() {
            return Some(Login::Identity(self.identitytoken.clone()));
        }
        if !self.username.is_empty() {
            return Some(Login::Password(self.username.clone(), self.password.clone()));
        }
        let decoded = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
        // Docker pads the decoded pair with zero bytes.
        let (name, password) = decoded.trim_end_matches('\0').split_once(':')?;
        Some(Login::Password(name.to_owned(), password.to_owned()))
    }
}

/// Asks a credential helper (docker's helper protocol): it reads the server's name and writes JSON. It also writes the
/// message "not found" to the standard output.
fn ask(helper: &str, server: &str) -> Result<Option<Login>, ImageError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let program = format!("docker-credential-{helper}");
    let failed = |reason: String| ImageError::malformed(&program, reason);
    if helper.contains('/') {
        return Err(failed("the name of a credential helper must not be a path".into()));
    }
    let child =
        Command::new(&program).arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If a helper ends early, its output says why.
        let _ = stdin.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let not_found = text.contains("credentials not found");
        return if not_found { Ok(None) } else { Err(failed(text.trim().to_owned())) };
    }
    let answer: Answer = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::Identity(answer.secret),
        _ => Login::Password(answer.username, answer.secret),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(json: &str, registry: &str) -> Option<Login> {
        serde_json::from_str::<Credentials>(json).unwrap().login(registry).unwrap()
    }

    #[test]
    fn logins_are_read_from_the_file() {
        // The first value is the base64 of `user:pass:word`. Only the first colon separates.
        let json = r#"{"auths": {"h.example:5000": {"auth": "dXNlcjpwYXNzOndvcmQ="}, "https://index.docker.io/v1/": {"auth": "YTpi"},
            "https://t.example/v1/": {"identitytoken": "T"}, "empty.example": {}}}"#;
        let password = |name: &str, password: &str| Some(Login::Password(name.into(), password.into()));
        assert!(login(json, "h.example:5000") == password("user", "pass:word"));
        assert!(login(json, "docker.io") == password("a", "b"));
        assert!(login(json, "t.example") == Some(Login::Identity("T".into())));
        assert!(login(json, "empty.example").is_none() && login(json, "other.example").is_none());
        assert!(login("{}", "h.example").is_none());
    }

    #[test]
    fn the_error_names_a_missing_helper() {
        let credentials: Credentials = serde_json::from_str(r#"{"credsStore": "missing"}"#).unwrap();
        let error = credentials.login("h.example").err().unwrap().to_string();
        assert!(error.contains("docker-credential-missing"), "{error}");
    }
}
