//! The docker daemon of this machine, through its socket: what it has and takes, and its images as bases.

use super::stored::Images;
use super::unpack_layers::ensure_layers;
use super::{ImageError, LayoutImage, ResolvedImage};
use buildscope_oci::{Platform, Reference};
use buildscope_record::{ConfigDigest, Phase, Probe, Quantity};
use buildscope_storage::Store;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The socket of the daemon unless `DOCKER_HOST` names another one.
const SOCKET: &str = "/var/run/docker.sock";
/// The longest response that is read into memory, in bytes.
const LONGEST_RESPONSE: u64 = 16 << 20;
/// The read timeout for the query whether the daemon has an image. A daemon that hangs must not block a build.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// A docker daemon of this machine.
pub(super) struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    /// The daemon of `DOCKER_HOST`, or of the usual socket. It need not be running.
    pub(super) fn find() -> Result<Self, ImageError> {
        Ok(Self { socket: socket()? })
    }

    /// The image with this name or id. A daemon that does not answer counts as one without the image.
    pub(super) fn inspect(&self, name: &str) -> Option<DaemonImage> {
        self.ask(&format!("/images/{name}/json"))
    }

    /// The ids of all images, newest first.
    pub(super) fn list(&self) -> Vec<String> {
        let images: Vec<ListedImage> = self.ask("/images/json").unwrap_or_default();
        images.into_iter().map(|image| image.id).collect()
    }

    /// Names an image. Returns whether the daemon did.
    pub(super) fn tag(&self, id: &str, name: &Reference) -> bool {
        let repository = Reference { tag: None, digest: None, ..name.clone() }.familiar();
        let path = format!("/images/{id}/tag?repo={repository}&tag={}", name.tag_or_latest());
        exchange(&self.socket, "POST", &path, None, Some(QUERY_TIMEOUT)).is_ok_and(|response| response.is_success())
    }

    /// Sends an archive with images. Returns its size in bytes.
    ///
    /// # Errors
    /// Errors of reading and sending, and the daemon's own.
    pub(super) fn load(&self, archive: &Path) -> Result<u64, ImageError> {
        let file = File::open(archive).map_err(ImageError::file("open", archive))?;
        let size = file.metadata().map_err(ImageError::file("read", archive))?.len();
        let failed = |error| ImageError::Write { what: format!("to docker at {}", self.socket.display()), error };
        let mut response =
            exchange(&self.socket, "POST", "/images/load?quiet=1", Some((file, size)), None).map_err(failed)?;
        match response.text().map_err(failed)? {
            text if text.contains("\"error\"") => {
                Err(ImageError::malformed("docker", format!("the daemon did not load the image: {}", text.trim())))
            }
            _ => Ok(size),
        }
    }

    fn ask<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let response = exchange(&self.socket, "GET", path, None, Some(QUERY_TIMEOUT));
        let mut found = response.ok().filter(DaemonResponse::is_success)?;
        serde_json::from_str(&found.text().ok()?).ok()
    }
}

/// The daemon's description of an image (`GET /images/NAME/json`).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DaemonImage {
    pub(super) id: String,
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
    /// Its names with tags. Some versions write `null` if there is none.
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default, rename = "RootFS")]
    root_fs: RootFs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    #[serde(default)]
    layers: Vec<String>,
}

/// An image in the list of all (`GET /images/json`).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedImage {
    id: String,
}

impl DaemonImage {
    /// Whether the image has this name.
    pub(super) fn has_tag(&self, name: &Reference) -> bool {
        let repository = Reference { tag: None, digest: None, ..name.clone() }.familiar();
        let tag = format!("{repository}:{}", name.tag_or_latest());
        self.repo_tags.iter().flatten().any(|known| *known == tag)
    }

    /// The diff ids of its layers, lowest first.
    pub(super) fn layers(&self) -> &[String] {
        &self.root_fs.layers
    }
}

/// The daemon's image with that name, if there is a daemon and its image suits the platform. The layers are imported
/// into the store, unless the store has them from an earlier import.
///
/// # Errors
/// If the daemon has the image, but it cannot be imported. A daemon that does not respond counts as one without the
/// image.
pub(super) fn image(
    reference: &Reference,
    platform: &Platform,
    store: &Store,
    probe: &Probe,
) -> Result<Option<ResolvedImage>, ImageError> {
    let Ok(daemon) = Daemon::find() else { return Ok(None) };
    let Some(DaemonImage { id, os, architecture, variant, .. }) = daemon.inspect(&reference.to_string()) else {
        return Ok(None);
    };
    let its = Platform::new(&os, &architecture, Some(&variant));
    let Some(id) = id.parse::<ConfigDigest>().ok().filter(|_| platform.distance(&its).is_some()) else {
        return Ok(None);
    };

    let (images, note) = (Images::of(store), format!("docker/{}", id.hex()));
    let known =
        images.note::<buildscope_oci::Descriptor>(&note)?.and_then(|target| images.load(&target, platform).ok());
    if let Some(image) = known.filter(|image| image.layers.iter().all(|layer| store.blobs().contains(layer.diff_id))) {
        return Ok(Some(image));
    }
    let span = probe.phase(Phase::Pull);
    span.detail(&format!("docker: {}", reference.familiar()));
    let archive = Temporary::new(store, "save");
    let failed = |error| ImageError::Read { origin: format!("docker at {}", daemon.socket.display()), error };
    let response = exchange(&daemon.socket, "GET", &format!("/images/{id}/get"), None, None).map_err(failed)?;
    let mut file = File::create_new(&archive.0).map_err(ImageError::file("create", &archive.0))?;
    let size = io::copy(&mut response.checked().map_err(failed)?, &mut file).map_err(failed)?;
    span.quantity(Quantity::BytesRead, size);
    let saved = LayoutImage { path: archive.0.clone(), tag: None, digest: None }.load(platform)?;
    // Unpacking counts as part of the transfer, so it has no spans of its own.
    let layers = ensure_layers(store, &saved, &Probe::disabled())?;
    let mut manifest = (*saved.manifest).clone();
    for (descriptor, layer) in manifest.layers.iter_mut().zip(&layers) {
        // The store has the layers uncompressed.
        let kind = buildscope_oci::Encoding::Plain.oci_layer();
        *descriptor = buildscope_oci::Descriptor::new(&kind, layer.diff_id, layer.size);
    }
    let bytes = manifest.to_bytes();
    images.keep_document(&saved.config_bytes)?;
    images.keep_document(&bytes)?;
    let target = buildscope_oci::Descriptor::of(&manifest.media_type, &bytes);
    images.take_note(&note, &target)?;
    images.load(&target, platform).map(Some)
}

/// A file in the store's scratch space, which is removed when this is dropped.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// A name for a file. Nothing is created.
    pub(super) fn new(store: &Store, what: &str) -> Self {
        Self(store.scratch_path(what))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // If this fails, the next process that opens the store removes the file.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn socket() -> Result<PathBuf, ImageError> {
    match std::env::var("DOCKER_HOST") {
        Err(_) => Ok(SOCKET.into()),
        Ok(host) => match host.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(ImageError::malformed(
                "DOCKER_HOST",
                format!("`{host}` is not supported: only unix:// sockets are"),
            )),
        },
    }
}

/// A response of the daemon.
struct DaemonResponse {
    status: u16,
    body: BufReader<UnixStream>,
}

impl DaemonResponse {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body of a successful response. Another status is an error.
    fn checked(mut self) -> io::Result<impl Read> {
        match self.status {
            200 => Ok(self.body),
            status => Err(io::Error::other(format!("{status} {}", self.read()?.trim()))),
        }
    }

    /// The body of a successful response as text. Another status is an error.
    fn text(&mut self) -> io::Result<String> {
        let body = self.read()?;
        match self.status {
            200 => Ok(body),
            status => Err(io::Error::other(format!("{status} {}", body.trim()))),
        }
    }

    fn read(&mut self) -> io::Result<String> {
        let mut body = String::new();
        self.body.by_ref().take(LONGEST_RESPONSE).read_to_string(&mut body)?;
        Ok(body)
    }
}

/// Sends a request and reads the head of the response. With HTTP/1.0, the response ends with the connection, so there
/// is no chunked encoding.
fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<(File, u64)>,
    read_timeout: Option<Duration>,
) -> io::Result<DaemonResponse> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(read_timeout)?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: docker\r\n");
    if let Some((_, size)) = &body {
        head += &format!("Content-Type: application/x-tar\r\nContent-Length: {size}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if let Some((mut file, _)) = body {
        io::copy(&mut file, &mut stream)?;
    }
    let mut body = BufReader::with_capacity(256 << 10, stream);
    let (mut status, mut line) = (String::new(), String::new());
    body.read_line(&mut status)?;
    while body.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(DaemonResponse { status: status.ok_or_else(|| io::Error::other("the response is not HTTP"))?, body })
}
