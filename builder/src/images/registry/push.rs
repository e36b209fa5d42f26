//! Pushes images: blobs that the repository has are not sent, blobs of other repositories are mounted, and the rest is
//! sent in chunks.

use super::super::ImageError;
use super::super::document::Document;
use super::super::parallel::in_parallel;
use super::blob_upload::{BlobUpload, CHUNK, ReadAt, UploadStart};
use super::client::{Access, ApiRequest, Registries, Repository};
use super::open_uploads::OpenUploads;
use super::progress::{Direction, Transfer, TransferProgress};
use crate::http::{Retries, RetryPolicy, asked_pause};
use buildscope_oci::Descriptor;
use buildscope_oci::Reference;
use buildscope_record::{BlobDigest, ManifestDigest, Phase, Probe, Quantity};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use ureq::Body;
use ureq::http::{Method, Response, StatusCode};

/// The number of times that an upload is resumed or started again without progress in between.
const RETRIES: RetryPolicy =
    RetryPolicy { retries: 4, first_pause: Duration::from_millis(200), increment: Duration::from_millis(200) };
/// The number of blobs that are sent in parallel.
const STREAMS: usize = 4;

impl Registries {
    /// Sends blobs, unless they were sent before in `open`, then manifests. A manifest must come after those that it refers to. The last
    /// one gets the tag of the reference. If the reference has a digest, there is no tag.
    pub(crate) fn push(
        &self,
        reference: &Reference,
        blobs: &[BlobUpload],
        manifests: &[Document],
        open: &OpenUploads,
        probe: &Probe,
    ) -> Result<(), ImageError> {
        let span = probe.phase(Phase::Push);
        span.detail(&reference.to_string());
        let repository = self.repository(&reference.registry, &reference.repository)?;
        let Some((top, _)) = manifests.split_last() else { return Ok(()) };
        let tag = reference.digest.map_or_else(|| reference.tag_or_latest().to_owned(), |digest| digest.to_string());
        if repository.manifest_digest(&tag)? == Some(top.descriptor.digest.to_manifest()) {
            // The tag already refers to this image, so the registry has everything that the image refers to.
            return Ok(());
        }
        let sent = AtomicU64::new(0);
        let name: Arc<str> = reference.to_string().into();
        in_parallel(blobs, STREAMS, |upload| {
            let Descriptor { digest, size, .. } = upload.descriptor;
            let mut progress = TransferProgress::start(
                &self.progress,
                Transfer {
                    image: Arc::clone(&name),
                    direction: Direction::Push,
                    blob: digest,
                    current: 0,
                    total: size,
                },
            );
            if open.finish(&repository, &digest) {
                progress.at(size);
            } else {
                sent.fetch_add(repository.push_blob(upload, &mut progress)?, Ordering::Relaxed);
            }
            Ok::<_, ImageError>(())
        })?;
        span.quantity(Quantity::BytesRead, sent.into_inner());
        for (number, manifest) in manifests.iter().enumerate() {
            let last = number + 1 == manifests.len();
            let name = if last { tag.clone() } else { manifest.descriptor.digest.to_string() };
            repository.put_manifest(&name, manifest)?;
        }
        Ok(())
    }
}

impl Repository {
    /// The digest that a tag refers to, if the registry reports it.
    fn manifest_digest(&self, tag: &str) -> Result<Option<ManifestDigest>, ImageError> {
        let accept = super::pull::ACCEPT.join(", ");
        let url = self.url(&format!("manifests/{tag}"));
        let headers = [("Accept", accept.as_str())];
        let response = self.request(&ApiRequest::new(Access::Push, Method::HEAD, &url).headers(&headers))?;
        let digest =
            response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(digest.filter(|_| response.status() == StatusCode::OK))
    }

    /// Makes sure that the repository has the blob. Returns the number of bytes that were sent.
    fn push_blob(&self, upload: &BlobUpload, progress: &mut TransferProgress) -> Result<u64, ImageError> {
        let (mut retries, mut started) = (Retries::new(RETRIES), false);
        loop {
            let location = match self.begin_upload(upload)? {
                UploadStart::Present if started => return Ok(upload.descriptor.size),
                UploadStart::Present => return Ok(0),
                UploadStart::At(location) => location,
            };
            started = true;
            let sent = upload
                .content
                .reader(|read| self.upload(location.clone(), &upload.descriptor, progress, &mut retries, read))?;
            if sent {
                return Ok(upload.descriptor.size);
            }
        }
    }

    /// Starts an upload, unless the repository has the blob or can take it from another repository.
    pub(super) fn begin_upload(&self, upload: &BlobUpload) -> Result<UploadStart, ImageError> {
        let digest = &upload.descriptor.digest;
        let existing = self.url(&format!("blobs/{digest}"));
        let head = self.request(&ApiRequest::new(Access::Push, Method::HEAD, &existing))?;
        if head.status() == StatusCode::OK {
            return Ok(UploadStart::Present);
        }
        let mount = upload.from.as_ref().map(|from| format!("?mount={digest}&from={from}")).unwrap_or_default();
        let url = self.url(&format!("blobs/uploads/{mount}"));
        let mut response = self.request(&ApiRequest::new(Access::Push, Method::POST, &url))?;
        match response.status() {
            // The blob was mounted.
            StatusCode::CREATED => Ok(UploadStart::Present),
            StatusCode::ACCEPTED => Ok(UploadStart::At(self.location(&response, "an upload")?)),
            _ => Err(self.response_error(&format!("cannot start an upload into {}", self.name), &mut response)),
        }
    }

    /// Sends a blob in chunks. After a failure, the upload is resumed at the offset that the registry reports. Returns
    /// whether the blob is complete. If not, this upload cannot be resumed, but a new one may succeed: distribution's
    /// registry drops an upload after a partial chunk.
    fn upload(
        &self,
        mut location: String,
        &Descriptor { ref digest, size, .. }: &Descriptor,
        progress: &mut TransferProgress,
        retries: &mut Retries,
        read: &ReadAt<'_>,
    ) -> Result<bool, ImageError> {
        let what = || format!("cannot push blob {digest} into {}", self.name);
        let failed = |error| ImageError::Read { origin: digest.to_string(), error };
        let mut at = 0;
        let mut buffer = vec![0; CHUNK.min(size) as usize];
        while at < size {
            let chunk = &mut buffer[..CHUNK.min(size - at) as usize];
            read(chunk, at).map_err(failed)?;
            let (reason, pause) = match self.send_chunk(&location, at, chunk) {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    location = self.location(&response, "a chunk")?;
                    at += chunk.len() as u64;
                    progress.at(at);
                    retries.progress(at);
                    continue;
                }
                Ok(mut response) if is_final(response.status()) => {
                    return Err(self.response_error(&what(), &mut response));
                }
                Ok(mut response) => (self.response_error(&what(), &mut response), asked_pause(&response)),
                Err(reason) => (reason, None),
            };
            if !retries.wait(pause) {
                return Err(reason);
            }
            let status = match self.request(&ApiRequest::new(Access::Push, Method::GET, &location)) {
                Ok(status) if status.status() == StatusCode::NO_CONTENT => status,
                _ => return Ok(false),
            };
            at = received(status.headers().get("range").and_then(|value| value.to_str().ok()));
            retries.progress(at);
            location = self.location(&status, "an upload")?;
        }
        let mut response = self.finish_upload(&location, digest)?;
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(true),
            status if is_final(status) || !retries.wait(asked_pause(&response)) => {
                Err(self.response_error(&what(), &mut response))
            }
            _ => Ok(false),
        }
    }

    /// Sends the next bytes of a blob. This is not retried automatically: a part of the chunk may have arrived.
    pub(super) fn send_chunk(&self, location: &str, at: u64, chunk: &[u8]) -> Result<Response<Body>, ImageError> {
        let range = format!("{at}-{}", at + chunk.len() as u64 - 1);
        let headers = [("Content-Type", "application/octet-stream"), ("Content-Range", &range)];
        self.request_once(&ApiRequest::new(Access::Push, Method::PATCH, location).headers(&headers).body(chunk))
    }

    /// Makes a blob of an upload whose bytes were all sent.
    pub(super) fn finish_upload(&self, location: &str, digest: &BlobDigest) -> Result<Response<Body>, ImageError> {
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={digest}");
        self.request(&ApiRequest::new(Access::Push, Method::PUT, &url))
    }

    fn put_manifest(&self, name: &str, manifest: &Document) -> Result<(), ImageError> {
        let url = self.url(&format!("manifests/{name}"));
        let headers = [("Content-Type", manifest.descriptor.media_type.as_str())];
        let request = ApiRequest::new(Access::Push, Method::PUT, &url).headers(&headers).body(&manifest.bytes);
        let mut response = self.request(&request)?;
        match response.status() {
            StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
            _ => {
                let what = format!("cannot push the manifest `{name}` of {}", self.name);
                Err(self.response_error(&what, &mut response))
            }
        }
    }

    pub(super) fn location(&self, response: &Response<Body>, what: &str) -> Result<String, ImageError> {
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let failed = || ImageError::Registry {
            registry: self.registry().to_owned(),
            reason: format!("its response to {what} has no Location"),
        };
        Ok(self.locate(location.ok_or_else(failed)?))
    }
}

/// Whether a retry would get the same response. Of the client errors, an unknown upload, a wrong range, a timeout and a
/// rate limit may be transient.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 404 | 408 | 416 | 429 | 499)
}

/// The number of bytes that the registry has of an upload, from `Range: 0-N`. The value `0-0` means none or one byte, so
/// it counts as none.
fn received(range: Option<&str>) -> u64 {
    let last = range.and_then(|range| range.trim_start_matches("bytes=").split_once('-')?.1.parse::<u64>().ok());
    last.filter(|last| *last > 0).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_an_upload_is_parsed() {
        assert_eq!(received(Some("0-1023")), 1024);
        assert_eq!(received(Some("bytes=0-9")), 10);
        assert_eq!((received(Some("0-0")), received(None)), (0, 0));
    }
}
