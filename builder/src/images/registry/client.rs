//! Requests to registries: scheme, credentials, retries.

use super::super::ImageError;
use super::auth::{Credentials, Login};
use super::challenge::Challenge;
use super::progress::ProgressSink;
use crate::http::{self, Backoff, Trust, asked_pause, retry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::{Agent, Body, ResponseExt};

/// The attempts of a request before its failure is reported, with pauses of 0.1, 0.2, 0.4 and 0.8 s.
const ATTEMPTS: Backoff = Backoff { attempts: 5, first_pause: Duration::from_millis(100) };
/// The longest error message that is read from a response, in bytes.
const LONGEST_ERROR: u64 = 16 << 10;

/// The configuration of registries.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// Hosts without TLS.
    pub plain_http: BTreeSet<String>,
    /// Hosts whose certificates are not verified. If TLS fails, plain HTTP is tried.
    pub insecure: BTreeSet<String>,
    /// The mirrors of each registry, which are tried before it: `docker.io` to `mirror.example:5000`.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Files with certificate authorities (PEM) in addition to the system's and those in docker's `certs.d`.
    pub authorities: Vec<PathBuf>,
}

/// A client for registries. Schemes, tokens and open connections are kept until the last clone is dropped.
#[derive(Clone)]
pub struct Registries {
    inner: Arc<Inner>,
    pub(super) progress: ProgressSink,
}

struct Inner {
    options: RegistryOptions,
    credentials: Credentials,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Registries {
    /// Creates a client. No request is sent yet.
    pub fn new(options: RegistryOptions, credentials: Credentials) -> Self {
        Self {
            inner: Arc::new(Inner { options, credentials, hosts: Mutex::default() }),
            progress: ProgressSink::default(),
        }
    }

    /// Reports the progress of transfers to `progress`.
    pub fn watched(self, progress: ProgressSink) -> Self {
        Self { progress, ..self }
    }

    /// The hosts to try for images of a registry, in order.
    pub(crate) fn hosts(&self, registry: &str) -> Vec<String> {
        let mirrors = self.inner.options.mirrors.get(registry).into_iter().flatten().cloned();
        mirrors.chain([registry.to_owned()]).collect()
    }

    /// A repository on a host.
    pub(crate) fn repository(&self, host: &str, repository: &str) -> Result<Repository, ImageError> {
        Ok(Repository { host: self.host(host)?, name: repository.to_owned() })
    }

    fn host(&self, name: &str) -> Result<Arc<Host>, ImageError> {
        if let Some(host) = self.inner.hosts.lock().get(name) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::find(name, &self.inner.options, &self.inner.credentials)?);
        Ok(Arc::clone(self.inner.hosts.lock().entry(name.to_owned()).or_insert(host)))
    }
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

/// A host, and the connection parameters that were found for it.
struct Host {
    name: String,
    /// The start of all URLs: `https://host:port`.
    base: String,
    agent: Agent,
    login: Option<Login>,
    /// The header `Authorization` by scope. The value of the empty scope is used for all scopes.
    authorizations: Mutex<HashMap<String, String>>,
}

/// The protocol of a registry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The scheme as it is written in an address.
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Host {
    /// Connects to a host and determines whether it uses TLS.
    fn find(name: &str, options: &RegistryOptions, credentials: &Credentials) -> Result<Self, ImageError> {
        let insecure = options.insecure.contains(name);
        let trust = Trust { authorities: options.authorities.clone(), unverified: insecure };
        let agent = http::agent(name, &trust).map_err(|(path, error)| ImageError::file("read", path)(error))?;
        let address = if name == "docker.io" { format!("registry-1.{name}") } else { name.to_owned() };
        let host = |scheme: Scheme| Self {
            name: name.to_owned(),
            base: format!("{}://{address}", scheme.name()),
            agent: agent.clone(),
            login: None,
            authorizations: Mutex::default(),
        };
        let schemes: &[Scheme] = match (options.plain_http.contains(name), insecure || is_loopback(name)) {
            (true, _) => &[Scheme::Http],
            // As in docker, a registry on this machine may use plain HTTP without being marked as insecure.
            (false, true) => &[Scheme::Https, Scheme::Http],
            (false, false) => &[Scheme::Https],
        };
        let mut reason = None;
        for &scheme in schemes {
            let host = host(scheme);
            // If there is a second scheme to try, one failed attempt is enough. Otherwise two, so that an unreachable
            // host is reported soon.
            let attempts = if schemes.len() > 1 { 1 } else { 2 };
            match retry(Backoff { attempts, ..ATTEMPTS }, || {
                host.send(&ApiRequest::new(Access::Pull, Method::GET, &format!("{}/v2/", host.base)), &[])
            }) {
                // A server that expects TLS responds to a plain request with 400. It is not a plain registry.
                Ok(response) if scheme == Scheme::Http && !matches!(response.status().as_u16(), 200 | 401) => {}
                Ok(_) => return Ok(Self { login: credentials.login(name)?, ..host }),
                Err(error) => reason = reason.or(Some(error)),
            }
        }
        let reason = reason.map_or_else(|| "not a registry".to_owned(), |error| error.to_string());
        Err(ImageError::Registry { registry: name.to_owned(), reason })
    }

    /// Sends a request with these headers, which include those of the request.
    fn send(&self, request: &ApiRequest<'_>, headers: &[(&str, &str)]) -> Result<Response<Body>, ureq::Error> {
        let mut message = Request::builder().method(&request.method).uri(request.url);
        for (name, value) in headers {
            message = message.header(*name, *value);
        }
        match (&request.method, request.limit) {
            (&Method::GET | &Method::HEAD | &Method::DELETE, TimeLimit::Whole) => self.agent.run(message.body(())?),
            (&Method::GET | &Method::HEAD, TimeLimit::Paced) => {
                self.agent.run(self.agent.configure_request(message.body(())?).timeout_global(None).build())
            }
            _ => self.agent.run(message.body(request.body)?),
        }
    }

    /// Answers a challenge, and remembers the authorization for the scope.
    fn authorize(&self, challenge: &Challenge, scope: &str) -> Result<(), ImageError> {
        let failed = |reason: String| ImageError::Registry { registry: self.name.clone(), reason };
        let basic = |name: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        let value = match (challenge, &self.login) {
            (_, Some(Login::Registry(token))) => format!("Bearer {token}"),
            (Challenge::Basic, Some(Login::Password(name, password))) => basic(name, password),
            (Challenge::Basic, _) => {
                return Err(failed(format!("login required: run `docker login {}`", self.name)));
            }
            (Challenge::Bearer { realm, service, scope: suggested }, login) => {
                let scope = if scope.is_empty() { suggested.as_deref().unwrap_or_default() } else { scope };
                let header = match login {
                    Some(Login::Password(name, password)) => Some(basic(name, password)),
                    _ => None,
                };
                let refresh = match login {
                    Some(Login::Identity(token)) => Some(token.as_str()),
                    _ => None,
                };
                let token = self.token(realm, service.as_deref(), scope, header.as_deref(), refresh).map_err(failed)?;
                format!("Bearer {token}")
            }
        };
        // A password is valid for all scopes, a token only for its own.
        let scope = if matches!(challenge, Challenge::Basic) { "" } else { scope };
        self.authorizations.lock().insert(scope.to_owned(), value);
        Ok(())
    }

    /// Requests a token from the token service (distribution, "Token Authentication Specification" and its OAuth2 form).
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        basic: Option<&str>,
        refresh: Option<&str>,
    ) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        if !realm.starts_with("https://") && self.base.starts_with("https://") {
            return Err(format!("its token service has no TLS ({realm})"));
        }
        let mut fields = vec![("scope", scope)];
        fields.extend(service.map(|service| ("service", service)));
        let sent = retry(ATTEMPTS, || match refresh {
            Some(token) => {
                let more = [("grant_type", "refresh_token"), ("client_id", "buildscope"), ("refresh_token", token)];
                self.agent.post(realm).send_form(fields.iter().copied().chain(more))
            }
            None => {
                let request = self.agent.get(realm).query_pairs(fields.iter().copied());
                match basic {
                    Some(basic) => request.header("Authorization", basic).call(),
                    None => request.call(),
                }
            }
        });
        let mut response = sent.map_err(|error| format!("its token service failed: {error}"))?;
        if response.status() != StatusCode::OK {
            return Err(format!("its token service refused the request: {}", explain(&mut response)));
        }
        let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let answer: Answer =
            serde_json::from_str(&text).map_err(|error| format!("invalid response of its token service: {error}"))?;
        answer.token.or(answer.access_token).ok_or_else(|| "the response of its token service has no token".to_owned())
    }
}

/// A repository on a host.
#[derive(Clone)]
pub(crate) struct Repository {
    host: Arc<Host>,
    pub(crate) name: String,
}

/// The access to a repository that a request needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Read access.
    Pull,
    /// Read and write access.
    Push,
}

/// The time limit of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TimeLimit {
    /// The agent's, which covers the body of the response.
    Whole,
    /// The body has no limit: its reader checks its pace.
    Paced,
}

/// A request to a repository.
pub(crate) struct ApiRequest<'a> {
    access: Access,
    method: Method,
    url: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    limit: TimeLimit,
}

impl<'a> ApiRequest<'a> {
    /// A request without headers and body.
    pub(crate) fn new(access: Access, method: Method, url: &'a str) -> Self {
        Self { access, method, url, headers: &[], body: &[], limit: TimeLimit::Whole }
    }

    pub(crate) fn headers(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }

    pub(crate) fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    /// The reader of the response checks the pace of its body.
    pub(crate) fn paced(self) -> Self {
        Self { limit: TimeLimit::Paced, ..self }
    }
}

impl Repository {
    /// The name of the host, as in references.
    pub(crate) fn registry(&self) -> &str {
        &self.host.name
    }

    /// The URL of a path below this repository.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.host.base, self.name)
    }

    /// Resolves the header `Location`, which may be relative to the host.
    pub(crate) fn locate(&self, location: &str) -> String {
        if location.starts_with('/') { format!("{}{location}", self.host.base) } else { location.to_owned() }
    }

    /// Sends a request, with credentials if the registry asks for them. Transient failures are retried: broken
    /// connections, 429 and 5xx.
    pub(crate) fn request(&self, request: &ApiRequest<'_>) -> Result<Response<Body>, ImageError> {
        self.send(ATTEMPTS, request)
    }

    /// Like [`request`](Self::request), but never retried: for requests that are not idempotent.
    pub(crate) fn request_once(&self, request: &ApiRequest<'_>) -> Result<Response<Body>, ImageError> {
        self.send(Backoff { attempts: 1, ..ATTEMPTS }, request)
    }

    fn send(&self, backoff: Backoff, request: &ApiRequest<'_>) -> Result<Response<Body>, ImageError> {
        let ApiRequest { access, url, headers, .. } = request;
        let scope = match access {
            Access::Pull => format!("repository:{}:pull", self.name),
            Access::Push => format!("repository:{}:pull,push", self.name),
        };
        let failed = |reason: String| ImageError::Registry { registry: self.host.name.clone(), reason };
        for last in [false, true] {
            let authorization = {
                let known = self.host.authorizations.lock();
                // The `Location` of an upload may be on another host, which must not get our credentials.
                let ours = same_origin(url, &self.host.base);
                known.get(&scope).or_else(|| known.get("")).filter(|_| ours).cloned()
            };
            let mut all = headers.to_vec();
            all.extend(authorization.as_deref().map(|value| ("Authorization", value)));
            let response = retry(backoff, || self.host.send(request, &all));
            let response = response.map_err(|error| failed(format!("{} {url}: {error}", request.method)))?;
            // Another host, to which a redirect or a `Location` has led, must not name the service that gets our password.
            let asked = same_origin(&response.get_uri().to_string(), &self.host.base);
            if response.status() != StatusCode::UNAUTHORIZED || last || !asked {
                return Ok(response);
            }
            let challenges = response.headers().get_all("www-authenticate");
            let challenge = challenges.iter().find_map(|value| Challenge::first_supported(value.to_str().ok()?));
            let challenge = challenge.ok_or_else(|| failed("unsupported authentication scheme".into()))?;
            self.host.authorize(&challenge, &scope)?;
        }
        // Not reached: the second round returns.
        Err(failed("it refused the login".into()))
    }

    /// Turns an unexpected response into an error with a hint.
    pub(crate) fn response_error(&self, what: &str, response: &mut Response<Body>) -> ImageError {
        let advice = match response.status().as_u16() {
            401 | 403 => format!(" (is a login missing? `docker login {}`)", self.host.name),
            413 => " (a proxy in front of the registry may limit the size of requests)".to_owned(),
            429 => match asked_pause(response) {
                Some(pause) => format!(" (rate limited; retry in {} s)", pause.as_secs()),
                None => " (too many requests: try again later)".to_owned(),
            },
            500.. => {
                " (an error of the registry: try again later; blobs that it already has are not sent again)".to_owned()
            }
            _ => String::new(),
        };
        let reason = format!("{what}: {}{advice}", explain(response));
        ImageError::Registry { registry: self.host.name.clone(), reason }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host.name, self.name)
    }
}

/// Formats the status with the registry's error message (distribution specification, "Error Codes").
fn explain(response: &mut Response<Body>) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Fault>,
    }
    #[derive(Deserialize)]
    struct Fault {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let mut text = String::new();
    // If the message cannot be read, the status is reported alone.
    let _ = response.body_mut().as_reader().take(LONGEST_ERROR).read_to_string(&mut text);
    let first = serde_json::from_str::<Errors>(&text).ok().and_then(|errors| errors.errors.into_iter().next());
    match first {
        Some(Fault { code, message }) => format!("{} ({code}: {message})", response.status()),
        None => response.status().to_string(),
    }
}

/// Whether two addresses have the same scheme, host and port.
fn same_origin(one: &str, other: &str) -> bool {
    let origin = |address: &str| {
        let address: Uri = address.parse().ok()?;
        let scheme = address.scheme_str()?.to_ascii_lowercase();
        let port = address.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some((scheme, address.host()?.to_ascii_lowercase(), port))
    };
    origin(one).is_some_and(|one| Some(one) == origin(other))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_whose_name_starts_with_another_is_not_the_same() {
        let base = "https://r.example";
        for same in ["https://r.example/v2/", "https://R.example:443/v2/?a=b", "HTTPS://r.example"] {
            assert!(same_origin(same, base), "{same}");
        }
        for other in [
            "https://r.example.evil.example/v2/",
            "https://r.example:8443/v2/",
            "https://r.example@evil.example/v2/",
            "https://r.example:443@evil.example/v2/",
            "http://r.example/v2/",
            "/v2/",
            "",
        ] {
            assert!(!same_origin(other, base), "{other}");
        }
        assert!(!same_origin("http://localhost:60011/v2/", "http://localhost:6001"));
    }
}
