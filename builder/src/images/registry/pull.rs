//! Pulls images: the documents at once, the layers when they are needed.

use super::super::ImageError;
use super::super::document::Document;
use super::super::resolved::{Blobs, ResolvedImage};
use super::super::stored::Images;
use super::client::{Access, ApiRequest, Registries, Repository};
use super::progress::{Direction, ProgressSink, Transfer, TransferProgress};
use crate::http::{Retries, RetryPolicy, TransferPace};
use buildscope_oci::{Descriptor, media};
use buildscope_oci::{Platform, Reference};
use buildscope_record::BlobDigest;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::BodyReader;
use ureq::http::{Method, StatusCode};

/// The largest manifest or index, in bytes: the limit of the distribution project's registry.
const LARGEST_MANIFEST: u64 = 4 << 20;
/// The number of times that a download is resumed without progress in between. The first time, it is resumed immediately.
const RETRIES: RetryPolicy =
    RetryPolicy { retries: 5, first_pause: Duration::ZERO, increment: Duration::from_millis(100) };
/// The media types of manifests and indexes that we accept.
pub(super) const ACCEPT: [&str; 4] =
    [media::OCI_INDEX, media::DOCKER_LIST, media::OCI_MANIFEST, media::DOCKER_MANIFEST];

impl Registries {
    /// Pulls the documents of an image. They are kept in `images` and not fetched again, so that an image with a digest
    /// in its name is only requested once.
    pub fn pull(
        &self,
        reference: &Reference,
        platform: &Platform,
        images: &Images,
    ) -> Result<ResolvedImage, ImageError> {
        let mut errors = Vec::new();
        for host in self.hosts(&reference.registry) {
            match self.pull_from(&host, reference, platform, images) {
                Ok(image) => return Ok(image),
                Err(ImageError::Registry { registry, reason }) => errors.push((registry, reason)),
                Err(error) => return Err(error),
            }
        }
        // The registry itself was tried last, after its mirrors.
        let messages = errors.iter().map(|(host, reason)| {
            if *host == reference.registry { reason.clone() } else { format!("mirror {host}: {reason}") }
        });
        let reason = messages.collect::<Vec<_>>().join("; ");
        Err(ImageError::Registry { registry: reference.registry.clone(), reason })
    }

    fn pull_from(
        &self,
        host: &str,
        reference: &Reference,
        platform: &Platform,
        images: &Images,
    ) -> Result<ResolvedImage, ImageError> {
        let (blobs, root) = self.root_from(host, reference, images)?;
        let image = ResolvedImage::load(Arc::clone(&blobs) as Arc<dyn Blobs>, &root, platform)?;
        let fetched = blobs.documents.values().map(Vec::as_slice);
        for bytes in fetched.chain([&*image.manifest_bytes, &*image.config_bytes]) {
            images.keep_document(bytes)?;
        }
        Ok(image)
    }

    /// The descriptor of a reference, which need not be an image, and the source of its blobs.
    pub(crate) fn root(
        &self,
        reference: &Reference,
        images: &Images,
    ) -> Result<(Arc<dyn Blobs>, Descriptor), ImageError> {
        let (blobs, root) = self.root_from(&reference.registry, reference, images)?;
        Ok((blobs, root))
    }

    fn root_from(
        &self,
        host: &str,
        reference: &Reference,
        images: &Images,
    ) -> Result<(Arc<Remote>, Descriptor), ImageError> {
        let origin = reference.to_string();
        let known = reference.digest.and_then(|digest| Some((digest, images.document(&digest.into())?)));
        let repository = self.repository(host, &reference.repository)?;
        let mut documents = HashMap::new();
        let root = match known {
            Some((digest, bytes)) => Descriptor::new("", digest, bytes.len() as u64),
            None => {
                let Document { descriptor, bytes } = manifest(&repository, reference)?;
                documents.insert(descriptor.digest, bytes);
                descriptor
            }
        };
        let progress = self.progress.clone();
        Ok((Arc::new(Remote { repository, origin: origin.into(), documents, images: images.clone(), progress }), root))
    }
}

/// Fetches the manifest or index that a reference names, and verifies it.
fn manifest(repository: &Repository, reference: &Reference) -> Result<Document, ImageError> {
    let name = reference.digest.map_or_else(|| reference.tag_or_latest().to_owned(), |digest| digest.to_string());
    let accept = ACCEPT.join(", ");
    let url = repository.url(&format!("manifests/{name}"));
    let mut response =
        repository.request(&ApiRequest::new(Access::Pull, Method::GET, &url).headers(&[("Accept", &accept)]))?;
    if response.status() == StatusCode::NOT_FOUND {
        return Err(repository.response_error(&format!("image `{reference}` not found"), &mut response));
    }
    if response.status() != StatusCode::OK {
        return Err(repository.response_error(&format!("cannot pull `{reference}`"), &mut response));
    }
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (kind, content_digest) = (header("content-type"), header("docker-content-digest"));
    let mut bytes = Vec::new();
    let read = response.body_mut().as_reader().take(LARGEST_MANIFEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| ImageError::Read { origin: reference.to_string(), error })?;
    if bytes.len() as u64 > LARGEST_MANIFEST {
        return Err(ImageError::malformed(reference, format!("its manifest has more than {LARGEST_MANIFEST} bytes")));
    }
    let found = BlobDigest::of(&bytes);
    let content_digest = content_digest.and_then(|digest| digest.parse().ok());
    let wanted = reference.digest.map(BlobDigest::from).or(content_digest);
    match wanted {
        Some(wanted) if wanted != found => Err(ImageError::BlobDigest { origin: reference.to_string(), wanted, found }),
        _ => {
            let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
            Ok(Document { descriptor: Descriptor::new(kind, found, bytes.len() as u64), bytes })
        }
    }
}

/// A repository as a source of blobs.
struct Remote {
    repository: Repository,
    origin: Arc<str>,
    documents: HashMap<BlobDigest, Vec<u8>>,
    images: Images,
    progress: ProgressSink,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.origin).finish()
    }
}

impl Blobs for Remote {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let here = self.documents.get(&blob.digest).cloned().or_else(|| self.images.document(&blob.digest));
        if let Some(bytes) = here {
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        // Manifests below an index have another path than blobs.
        let kind = blob.media_type.as_str();
        let is_document = kind.is_empty() || ACCEPT.contains(&kind);
        let folder = if is_document { "manifests" } else { "blobs" };
        let url = self.repository.url(&format!("{folder}/{}", blob.digest));
        let mut download = BlobDownload {
            repository: self.repository.clone(),
            url,
            accept: is_document.then(|| ACCEPT.join(", ")),
            digest: blob.digest,
            size: blob.size,
            at: 0,
            body: None,
            retries: Retries::new(RETRIES),
            pace: TransferPace::new(),
            // Documents are small, so no progress is reported for them.
            progress: (!is_document && blob.size > 0).then(|| {
                TransferProgress::start(
                    &self.progress,
                    Transfer {
                        image: Arc::clone(&self.origin),
                        direction: Direction::Pull,
                        blob: blob.digest,
                        current: 0,
                        total: blob.size,
                    },
                )
            }),
        };
        download.connect()?;
        Ok(Box::new(download))
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// A download of a blob. A broken connection is resumed.
struct BlobDownload {
    repository: Repository,
    url: String,
    accept: Option<String>,
    digest: BlobDigest,
    size: u64,
    at: u64,
    body: Option<BodyReader<'static>>,
    retries: Retries,
    pace: TransferPace,
    progress: Option<TransferProgress>,
}

impl BlobDownload {
    fn connect(&mut self) -> Result<(), ImageError> {
        let range = format!("bytes={}-", self.at);
        let mut headers = Vec::new();
        headers.extend(self.accept.as_deref().map(|accept| ("Accept", accept)));
        if self.at > 0 {
            headers.push(("Range", &range));
        }
        let request = ApiRequest::new(Access::Pull, Method::GET, &self.url).headers(&headers).paced();
        let mut response = self.repository.request(&request)?;
        let skip = match response.status() {
            StatusCode::PARTIAL_CONTENT if self.at > 0 => 0,
            // The server does not support ranges: skip the bytes that we already have.
            StatusCode::OK => self.at,
            StatusCode::NOT_FOUND => {
                return Err(ImageError::BlobMissing { origin: format!("{:?}", self.repository), wanted: self.digest });
            }
            _ => {
                let what = format!("cannot pull blob {} of {}", self.digest, self.repository.name);
                return Err(self.repository.response_error(&what, &mut response));
            }
        };
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let skipped = io::copy(&mut (&mut body).take(skip), &mut io::sink());
        skipped.map_err(|error| ImageError::Read { origin: self.url.clone(), error })?;
        self.body = Some(body);
        Ok(())
    }
}

impl Read for BlobDownload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let reason = match self.body.as_mut().map(|body| body.read(buffer)) {
                Some(Ok(0)) if self.at < self.size && !buffer.is_empty() => io::ErrorKind::UnexpectedEof.into(),
                Some(Ok(read)) => {
                    self.at += read as u64;
                    if let Some(progress) = &mut self.progress {
                        progress.at(self.at);
                    }
                    self.retries.progress(self.at);
                    // Resuming does not help against a slow server.
                    self.pace.check(self.at)?;
                    return Ok(read);
                }
                Some(Err(error)) => error,
                None => io::ErrorKind::NotConnected.into(),
            };
            self.body = None;
            if !self.retries.wait(None) {
                let Self { digest, at, size, .. } = self;
                let reason = format!(
                    "blob {digest} ends after {at} of {size} bytes, and resuming the download failed: {reason}"
                );
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
            }
            self.connect().map_err(|error| io::Error::other(error.to_string()))?;
        }
    }
}
