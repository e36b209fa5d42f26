//! Uploads whose bytes were sent before it is certain that their image will exist.
//!
//! A registry shows a blob when its upload is finished. These uploads are finished when the image is pushed, or else cancelled (OCI
//! distribution specification 1.1, "Pushing a blob in chunks"; distribution, "Canceling an Upload"). So a build that fails leaves no
//! blob in the repository.

use super::super::ImageError;
use super::super::pace::Pace;
use super::blob_upload::{BlobUpload, CHUNK, UploadStart};
use super::client::{Access, ApiRequest, Registries, Repository};
use buildscope_oci::Reference;
use buildscope_record::{BlobDigest, Phase, Probe, Quantity};
use parking_lot::Mutex;
use std::time::Instant;
use ureq::http::{Method, StatusCode};

/// The uploads of one build that are not finished.
#[derive(Debug, Default)]
pub(crate) struct OpenUploads(Mutex<Vec<OpenUpload>>);

/// An upload with all bytes of a blob.
#[derive(Debug)]
struct OpenUpload {
    repository: Repository,
    digest: BlobDigest,
    location: String,
}

impl OpenUploads {
    /// Sends a blob that the repository does not have, and leaves the upload open. At most half of the time goes to sending, so that
    /// steps have the rest of the connection.
    ///
    /// # Errors
    /// Any error means that the blob is not sent. It is not retried: the push does that.
    pub(crate) fn send(
        &self,
        registries: &Registries,
        to: &Reference,
        upload: &BlobUpload,
        pace: &Pace,
        probe: &Probe,
    ) -> Result<(), ImageError> {
        let repository = registries.repository(&to.registry, &to.repository)?;
        let digest = upload.descriptor.digest;
        if self.0.lock().iter().any(|open| open.is(&repository, &digest)) {
            return Ok(());
        }
        let span = probe.phase(Phase::Push);
        span.detail(&to.to_string());
        let UploadStart::At(location) = repository.begin_upload(upload)? else { return Ok(()) };
        let mut open = OpenUpload { repository, digest, location };
        let sent = upload.content.reader(|read| {
            let (size, mut at) = (upload.descriptor.size, 0);
            let mut buffer = vec![0; CHUNK.min(size) as usize];
            while at < size {
                let chunk = &mut buffer[..CHUNK.min(size - at) as usize];
                read(chunk, at).map_err(|error| ImageError::Read { origin: digest.to_string(), error })?;
                let begun = Instant::now();
                open.send(at, chunk)?;
                at += chunk.len() as u64;
                span.quantity(Quantity::BytesRead, at);
                pace.rest(begun.elapsed())?;
            }
            Ok(())
        });
        match sent {
            Ok(()) => self.0.lock().push(open),
            Err(_) => open.cancel(),
        }
        sent
    }

    /// Finishes the upload of a blob. Returns whether the repository now has the blob.
    pub(super) fn finish(&self, repository: &Repository, digest: &BlobDigest) -> bool {
        let open = {
            let mut all = self.0.lock();
            all.iter().position(|open| open.is(repository, digest)).map(|at| all.swap_remove(at))
        };
        let Some(open) = open else { return false };
        let finished = open.repository.finish_upload(&open.location, digest);
        // A registry may have dropped an upload that was open for long. Then the blob is sent again.
        finished.is_ok_and(|response| matches!(response.status(), StatusCode::CREATED | StatusCode::NO_CONTENT))
    }

    /// Cancels all uploads that were not finished.
    pub(crate) fn cancel(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        all.iter().for_each(OpenUpload::cancel);
    }
}

impl OpenUpload {
    fn is(&self, repository: &Repository, digest: &BlobDigest) -> bool {
        let same = self.repository.registry() == repository.registry() && self.repository.name == repository.name;
        same && self.digest == *digest
    }

    fn send(&mut self, at: u64, chunk: &[u8]) -> Result<(), ImageError> {
        let mut response = self.repository.send_chunk(&self.location, at, chunk)?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(self.repository.response_error("cannot send a chunk", &mut response));
        }
        self.location = self.repository.location(&response, "a chunk")?;
        Ok(())
    }

    /// Asks the registry to forget the upload. One that does not know this request forgets uploads after some time.
    fn cancel(&self) {
        let _ = self.repository.request_once(&ApiRequest::new(Access::Push, Method::DELETE, &self.location));
    }
}
