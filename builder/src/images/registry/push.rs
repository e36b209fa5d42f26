//! Images to registries: what is there already is not sent, what is nearby is mounted, the rest goes in chunks.

use super::super::ImageError;
use super::super::parallel::in_parallel;
use super::client::{Access, Registries, Repository};
use super::watch::Way;
use crate::http::{LONGEST_PAUSE, asked_pause};
use buildscope_oci::Descriptor;
use buildscope_oci::Reference;
use buildscope_record::{ManifestDigest, Phase, Probe, Quantity};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use ureq::http::{Method, StatusCode};

/// How much is sent in a request; what a broken connection loses at most. Distribution's registry wants at least 5 MiB
/// for chunks that it puts into an object store.
const CHUNK: u64 = 16 << 20;
/// How often a blob's upload breaks without having come further in between, before it is given up.
const BREAKS: u32 = 5;
/// The pause after a break; each further one is longer by as much.
const PAUSE: Duration = Duration::from_millis(200);
/// How many blobs travel at a time.
const STREAMS: usize = 4;

/// A blob to be sent.
#[derive(Debug)]
pub(crate) struct Cargo {
    /// What it is.
    pub(crate) descriptor: Descriptor,
    /// Where it is known to be on the same registry: a repository to mount it from.
    pub(crate) from: Option<String>,
    /// Its bytes, asked for only if they are needed.
    pub(crate) source: Source,
}

/// A blob's bytes.
pub(crate) enum Source {
    /// In memory.
    Bytes(Vec<u8>),
    /// Made when it is needed: a file that begins with the blob.
    Made(Box<Make>),
}

/// Makes a blob.
type Make = dyn Fn() -> Result<File, ImageError> + Send + Sync;

impl Source {
    /// The bytes as a file; small ones are not meant to be asked for like this, but can be.
    pub(crate) fn file(&self) -> Result<File, ImageError> {
        match self {
            Self::Made(make) => make(),
            Self::Bytes(bytes) => {
                let failed = |source| ImageError::Write { what: "a small blob".into(), source };
                let name = rustix::fs::memfd_create("blob", rustix::fs::MemfdFlags::CLOEXEC).map_err(io::Error::from);
                let file = File::from(name.map_err(failed)?);
                file.write_all_at(bytes, 0).map_err(failed)?;
                Ok(file)
            }
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Made(_) => f.write_str("Made"),
        }
    }
}

impl Registries {
    /// Sends blobs, then manifests (each after what it names), the last under the reference's tag.
    pub(crate) fn push(
        &self,
        reference: &Reference,
        blobs: &[Cargo],
        manifests: &[(Descriptor, Vec<u8>)],
        probe: &Probe,
    ) -> Result<(), ImageError> {
        let span = probe.phase(Phase::Push);
        span.detail(&reference.to_string());
        let repository = self.repository(&reference.registry, &reference.repository)?;
        let Some(((top, _), _)) = manifests.split_last() else { return Ok(()) };
        let tag = reference.tag_or_latest();
        if repository.manifest_digest(tag)? == Some(top.digest.to_manifest()) {
            // The tag leads to this very image: a registry has all that its manifests name.
            return Ok(());
        }
        let sent = AtomicU64::new(0);
        let name: Arc<str> = reference.to_string().into();
        in_parallel(blobs, STREAMS, |cargo| {
            let Descriptor { digest, size, .. } = cargo.descriptor;
            let mut way = Way::begin(&self.watch, Arc::clone(&name), true, digest, size);
            sent.fetch_add(repository.send(cargo, &mut way)?, Ordering::Relaxed);
            Ok::<_, ImageError>(())
        })?;
        span.quantity(Quantity::BytesRead, sent.into_inner());
        for (number, (descriptor, bytes)) in manifests.iter().enumerate() {
            let name = if number + 1 == manifests.len() { tag.to_owned() } else { descriptor.digest.to_string() };
            repository.put_manifest(&name, descriptor, bytes)?;
        }
        Ok(())
    }
}

impl Repository {
    /// The digest that a tag leads to, if the registry says so.
    fn manifest_digest(&self, tag: &str) -> Result<Option<ManifestDigest>, ImageError> {
        let accept = super::pull::ACCEPT.join(", ");
        let url = self.url(&format!("manifests/{tag}"));
        let response = self.request(Access::Push, &Method::HEAD, &url, &[("Accept", &accept)], &[])?;
        let digest =
            response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(digest.filter(|_| response.status() == StatusCode::OK))
    }

    /// Makes sure that the registry has the blob. Gives the bytes that had to be sent.
    fn send(&self, cargo: &Cargo, way: &mut Way) -> Result<u64, ImageError> {
        let Descriptor { digest, size, .. } = &cargo.descriptor;
        let (mut chances, mut begun) = (Chances::default(), false);
        loop {
            let head = self.request(Access::Push, &Method::HEAD, &self.url(&format!("blobs/{digest}")), &[], &[])?;
            if head.status() == StatusCode::OK {
                return Ok(if begun { *size } else { 0 });
            }
            let mount = cargo.from.as_ref().map(|from| format!("?mount={digest}&from={from}")).unwrap_or_default();
            let url = self.url(&format!("blobs/uploads/{mount}"));
            let mut response = self.request(Access::Push, &Method::POST, &url, &[], &[])?;
            match response.status() {
                // Mounted.
                StatusCode::CREATED => return Ok(0),
                StatusCode::ACCEPTED => begun = true,
                _ => return Err(self.refusal(&format!("it takes no blob into {}", self.name), &mut response)),
            }
            let location = self.location(&response, "an upload")?;
            let sent = match &cargo.source {
                Source::Bytes(bytes) => self.upload(location, &cargo.descriptor, way, &mut chances, |buffer, at| {
                    buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
                    Ok(())
                }),
                Source::Made(make) => {
                    let file = make()?;
                    let read = |buffer: &mut [u8], at| file.read_exact_at(buffer, at);
                    self.upload(location, &cargo.descriptor, way, &mut chances, read)
                }
            }?;
            if sent {
                return Ok(*size);
            }
        }
    }

    /// Sends a blob chunk by chunk. A chunk that breaks is sent again from where the registry says it is. Gives whether all of it
    /// is there; if not, the upload cannot go on, though a new one may: distribution's registry gives an upload up whose
    /// chunk came in part.
    fn upload(
        &self,
        mut location: String,
        &Descriptor { ref digest, size, .. }: &Descriptor,
        way: &mut Way,
        chances: &mut Chances,
        read: impl Fn(&mut [u8], u64) -> io::Result<()>,
    ) -> Result<bool, ImageError> {
        let what = || format!("it does not take blob {digest} into {}", self.name);
        let failed = |source| ImageError::Read { origin: digest.to_string(), source };
        let mut at = 0;
        let mut buffer = vec![0; CHUNK.min(size) as usize];
        while at < size {
            let chunk = &mut buffer[..CHUNK.min(size - at) as usize];
            read(chunk, at).map_err(failed)?;
            let range = format!("{at}-{}", at + chunk.len() as u64 - 1);
            let headers = [("Content-Type", "application/octet-stream"), ("Content-Range", &range)];
            // Not again unasked: part of it may have arrived.
            let (fault, pause) = match self.request_once(Access::Push, &Method::PATCH, &location, &headers, chunk) {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    location = self.location(&response, "a chunk")?;
                    at += chunk.len() as u64;
                    way.at(at);
                    chances.came_to(at);
                    continue;
                }
                Ok(mut response) if is_final(response.status()) => return Err(self.refusal(&what(), &mut response)),
                Ok(mut response) => (self.refusal(&what(), &mut response), asked_pause(&response)),
                Err(fault) => (fault, None),
            };
            if !chances.another(pause) {
                return Err(fault);
            }
            let status = match self.request(Access::Push, &Method::GET, &location, &[], &[]) {
                Ok(status) if status.status() == StatusCode::NO_CONTENT => status,
                _ => return Ok(false),
            };
            at = received(status.headers().get("range").and_then(|value| value.to_str().ok()));
            chances.came_to(at);
            location = self.location(&status, "an upload")?;
        }
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={digest}");
        let mut response = self.request(Access::Push, &Method::PUT, &url, &[], &[])?;
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(true),
            status if is_final(status) || !chances.another(asked_pause(&response)) => {
                Err(self.refusal(&what(), &mut response))
            }
            _ => Ok(false),
        }
    }

    fn put_manifest(&self, name: &str, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), ImageError> {
        let url = self.url(&format!("manifests/{name}"));
        let headers = [("Content-Type", descriptor.media_type.as_str())];
        let mut response = self.request(Access::Push, &Method::PUT, &url, &headers, bytes)?;
        match response.status() {
            StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
            _ => {
                let what = format!("it does not take the manifest `{name}` of {}", self.name);
                Err(self.refusal(&what, &mut response))
            }
        }
    }

    fn location(&self, response: &ureq::http::Response<ureq::Body>, what: &str) -> Result<String, ImageError> {
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let fault = || ImageError::Registry {
            registry: self.registry().to_owned(),
            fault: format!("it gives {what} no place"),
        };
        Ok(self.locate(location.ok_or_else(fault)?))
    }
}

/// What is left of a blob's second chances. Whoever comes further may stumble again.
#[derive(Default)]
struct Chances {
    used: u32,
    furthest: u64,
}

impl Chances {
    fn came_to(&mut self, at: u64) {
        if at > self.furthest {
            *self = Self { used: 0, furthest: at };
        }
    }

    /// Waits until it is time to try again; not where that has been tried often enough, or nobody would wait as long.
    fn another(&mut self, asked: Option<Duration>) -> bool {
        self.used += 1;
        let pause = asked.unwrap_or(PAUSE * self.used);
        let left = self.used < BREAKS && pause <= LONGEST_PAUSE;
        if left {
            std::thread::sleep(pause);
        }
        left
    }
}

/// Whether asking again would be answered the same: a refusal, but for an upload that is not known (any more), whose
/// range is another, or that came too slowly or too soon.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 404 | 408 | 416 | 429 | 499)
}

/// How many bytes an upload has, by its `Range: 0-N` (which for none says `0-0`, as for one: then one is sent again).
fn received(range: Option<&str>) -> u64 {
    let last = range.and_then(|range| range.trim_start_matches("bytes=").split_once('-')?.1.parse::<u64>().ok());
    last.filter(|last| *last > 0).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_upload() {
        assert_eq!(received(Some("0-1023")), 1024);
        assert_eq!(received(Some("bytes=0-9")), 10);
        assert_eq!((received(Some("0-0")), received(None)), (0, 0));
    }
}
