//! `type=s3`: a cache in a bucket of Amazon S3, or of another server that speaks its protocol.
//!
//! Names are BuildKit's: layers are at `PREFIX blobs/ DIGEST`, and the list of records at `PREFIX manifests/ NAME`.

use super::super::registry::BlobContent;
use super::super::{Blobs, ImageError};
use crate::http::{self, Backoff, Trust, retry};
use buildscope_oci::Descriptor;
use buildscope_record::BlobDigest;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::fmt;
use std::io::Read;
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, SendBody};
use url::Url;

/// The attempts of a request before its failure is reported, with pauses of 0.2, 0.4 and 0.8 s.
const ATTEMPTS: Backoff = Backoff { attempts: 4, first_pause: Duration::from_millis(200) };
/// The time for which a signed address is valid. A request is sent immediately.
const VALID: Duration = Duration::from_secs(3600);
/// The largest object that one request can write (Amazon S3, "PutObject").
const LARGEST_OBJECT: u64 = 5 << 30;
/// The largest list of records that is read, in bytes.
const LARGEST_MANIFEST: u64 = 64 << 20;
/// The longest error message that is read from a response, in bytes.
const LONGEST_ERROR: u64 = 16 << 10;

/// The options of `type=s3`, with BuildKit's names.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Cache {
    /// `bucket=`, or `$AWS_BUCKET`.
    pub bucket: String,
    /// `region=`, or `$AWS_REGION`.
    pub region: String,
    /// `endpoint_url=`: a server other than Amazon's.
    pub endpoint: Option<String>,
    /// `use_path_style=`: whether the bucket is a part of the path and not of the host.
    pub path_style: bool,
    /// `prefix=`: the start of all names.
    pub prefix: String,
    /// `blobs_prefix=`: the start of the names of layers, after `prefix`.
    pub blobs_prefix: String,
    /// `manifests_prefix=`: the start of the names of lists, after `prefix`.
    pub manifests_prefix: String,
    /// `name=`: the names of the lists. An import reads all of them.
    pub names: Vec<String>,
    /// `access_key_id=`, or `$AWS_ACCESS_KEY_ID`.
    pub key: String,
    /// `secret_access_key=`, or `$AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
    /// `session_token=`, or `$AWS_SESSION_TOKEN`.
    pub token: Option<String>,
}

impl fmt::Debug for S3Cache {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Cache({}/{}{:?})", self.bucket, self.prefix, self.names)
    }
}

impl S3Cache {
    /// The names of the options.
    pub(super) const KEYS: [&'static str; 18] = [
        "bucket",
        "region",
        "endpoint_url",
        "use_path_style",
        "prefix",
        "blobs_prefix",
        "manifests_prefix",
        "name",
        "access_key_id",
        "secret_access_key",
        "session_token",
        // They tune BuildKit's client and have no effect here.
        "touch_refresh",
        "upload_parallelism",
        "disable_accept_encoding",
        "retry_mode",
        "retry_max_attempts",
        "max_parallelism",
        "part_size",
    ];

    /// Takes options by name; those that are missing come from the environment.
    pub(super) fn of<'a>(option: impl Fn(&str) -> Option<&'a str>) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let given = |name: &str, or: &str| option(name).map(str::to_owned).or_else(|| variable(or));
        let needed = |name: &str, or: &str| given(name, or).ok_or_else(|| format!("type=s3 needs {name}= or ${or}"));
        let text = |name: &str, default: &str| option(name).unwrap_or(default).to_owned();
        let path_style = match option("use_path_style") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => return Err(format!("invalid use_path_style `{other}`: use true or false")),
        };
        let cache = Self {
            bucket: needed("bucket", "AWS_BUCKET")?,
            region: needed("region", "AWS_REGION")?,
            endpoint: option("endpoint_url").map(str::to_owned),
            path_style,
            prefix: text("prefix", ""),
            blobs_prefix: text("blobs_prefix", "blobs/"),
            manifests_prefix: text("manifests_prefix", "manifests/"),
            names: text("name", "buildkit").split(';').map(str::to_owned).collect(),
            key: needed("access_key_id", "AWS_ACCESS_KEY_ID")?,
            secret: needed("secret_access_key", "AWS_SECRET_ACCESS_KEY")?,
            token: given("session_token", "AWS_SESSION_TOKEN"),
        };
        cache.address().map(|_| cache)
    }

    fn address(&self) -> Result<Bucket, String> {
        let amazon = || format!("https://s3.{}.amazonaws.com", self.region);
        let endpoint = self.endpoint.clone().unwrap_or_else(amazon);
        let invalid = |error: &dyn fmt::Display| format!("invalid endpoint_url `{endpoint}`: {error}");
        let url: Url = endpoint.parse().map_err(|error| invalid(&error))?;
        let style = if self.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        Bucket::new(url, style, self.bucket.clone(), self.region.clone()).map_err(|error| invalid(&error))
    }

    /// Opens the bucket. No request is sent yet.
    pub(super) fn open(&self) -> Result<Objects, ImageError> {
        let origin = format!("s3://{}/{}", self.bucket, self.prefix);
        let bucket = self.address().map_err(|reason| ImageError::malformed(&origin, reason))?;
        let host = bucket.base_url().host_str().unwrap_or_default().to_owned();
        let agent =
            http::agent(&host, &Trust::default()).map_err(|(path, error)| ImageError::file("read", path)(error))?;
        let credentials = match &self.token {
            Some(token) => Credentials::new_with_token(self.key.clone(), self.secret.clone(), token.clone()),
            None => Credentials::new(self.key.clone(), self.secret.clone()),
        };
        Ok(Objects { cache: self.clone(), bucket, credentials, agent, origin })
    }
}

/// The objects of a cache in a bucket.
pub(super) struct Objects {
    cache: S3Cache,
    bucket: Bucket,
    credentials: Credentials,
    agent: Agent,
    origin: String,
}

impl Objects {
    /// The list of records with this name.
    pub(super) fn manifest(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let key = self.manifest_key(name);
        let response = self.get(&key)?;
        let mut bytes = Vec::new();
        let mut body = response.into_body().into_reader().take(LARGEST_MANIFEST);
        body.read_to_end(&mut bytes).map_err(|error| ImageError::Read { origin: self.named(&key), error })?;
        Ok(bytes)
    }

    /// Writes the list of records under all names.
    pub(super) fn write_manifests(&self, bytes: &[u8]) -> Result<(), ImageError> {
        self.cache.names.iter().try_for_each(|name| {
            let content = BlobContent::Bytes(bytes.to_vec());
            self.put(&self.manifest_key(name), &content, bytes.len() as u64)
        })
    }

    /// Writes a layer, unless the bucket has it.
    pub(super) fn write_blob(&self, descriptor: &Descriptor, content: &BlobContent) -> Result<(), ImageError> {
        let key = self.blob_key(&descriptor.digest);
        if descriptor.size > LARGEST_OBJECT {
            return Err(self.error(&key, "a layer of more than 5 GiB cannot be written with one request"));
        }
        let url = self.bucket.head_object(Some(&self.credentials), &key).sign(VALID);
        let head = self.sent(&key, || self.agent.head(url.as_str()).call())?;
        match head.status() {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => self.put(&key, content, descriptor.size),
            status => Err(self.response_error(&key, status, head)),
        }
    }

    fn get(&self, key: &str) -> Result<Response<Body>, ImageError> {
        let url = self.bucket.get_object(Some(&self.credentials), key).sign(VALID);
        let get = || self.agent.get(url.as_str()).config().timeout_global(None).build().call();
        let response = self.sent(key, get)?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status => Err(self.response_error(key, status, response)),
        }
    }

    fn put(&self, key: &str, content: &BlobContent, size: u64) -> Result<(), ImageError> {
        let url = self.bucket.put_object(Some(&self.credentials), key).sign(VALID);
        // A failed attempt may have read a part of the file.
        let files = content.file()?;
        let put = || {
            let mut file = files.try_clone().map_err(ureq::Error::Io)?;
            std::io::Seek::rewind(&mut file).map_err(ureq::Error::Io)?;
            let mut body = file.take(size);
            let request = self.agent.put(url.as_str()).header("content-length", size.to_string());
            let request = request.config().timeout_global(None).build();
            request.send(SendBody::from_reader(&mut body))
        };
        let response = self.sent(key, put)?;
        match response.status() {
            StatusCode::OK => Ok(()),
            status => Err(self.response_error(key, status, response)),
        }
    }

    fn sent(
        &self,
        key: &str,
        send: impl FnMut() -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, ImageError> {
        retry(ATTEMPTS, send).map_err(|error| self.error(key, error))
    }

    fn response_error(&self, key: &str, status: StatusCode, response: Response<Body>) -> ImageError {
        let mut text = String::new();
        // Without the message, the status says enough.
        let _ = response.into_body().into_reader().take(LONGEST_ERROR).read_to_string(&mut text);
        let code = text.split_once("<Code>").and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0));
        let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
        self.error(key, format!("the server responded with {status}{code}"))
    }

    fn error(&self, key: &str, reason: impl ToString) -> ImageError {
        ImageError::malformed(self.named(key), reason.to_string())
    }

    fn named(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.cache.bucket)
    }

    fn blob_key(&self, digest: &BlobDigest) -> String {
        format!("{}{}{digest}", self.cache.prefix, self.cache.blobs_prefix)
    }

    fn manifest_key(&self, name: &str) -> String {
        format!("{}{}{name}", self.cache.prefix, self.cache.manifests_prefix)
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.cache).finish()
    }
}

impl Blobs for Objects {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        Ok(Box::new(self.get(&self.blob_key(&blob.digest))?.into_body().into_reader()))
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    fn is_remote(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(options: &[(&str, &'static str)]) -> Result<S3Cache, String> {
        let options: Vec<_> = options.to_vec();
        S3Cache::of(|name| options.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    }

    const GIVEN: [(&str, &str); 4] =
        [("bucket", "b"), ("region", "eu-west-1"), ("access_key_id", "key"), ("secret_access_key", "hidden")];

    #[test]
    fn names_match_buildkit() {
        let objects = cache(&GIVEN).unwrap().open().unwrap();
        let digest = BlobDigest::of(b"");
        assert_eq!(objects.blob_key(&digest), format!("blobs/{digest}"));
        assert_eq!(objects.manifest_key("buildkit"), "manifests/buildkit");
        assert_eq!(objects.bucket.base_url().as_str(), "https://b.s3.eu-west-1.amazonaws.com/");
        let other = [("prefix", "team/"), ("endpoint_url", "http://127.0.0.1:9"), ("use_path_style", "true")];
        let objects = cache(&[&GIVEN[..], &other].concat()).unwrap().open().unwrap();
        assert_eq!(objects.manifest_key("x"), "team/manifests/x");
        assert_eq!(objects.bucket.base_url().as_str(), "http://127.0.0.1:9/b/");
    }

    #[test]
    fn secrets_are_not_shown() {
        let cache = cache(&GIVEN).unwrap();
        assert!(!format!("{cache:?} {:?}", cache.open().unwrap()).contains("hidden"));
    }

    #[test]
    fn wrong_options_are_errors() {
        for (wrong, named) in [(("endpoint_url", "nowhere"), "endpoint_url"), (("use_path_style", "maybe"), "maybe")] {
            let error = cache(&[&GIVEN[..], &[wrong]].concat()).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
