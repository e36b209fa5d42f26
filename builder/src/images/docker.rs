//! The docker daemon of this machine, through its socket: images into it (`--load`), and its images as bases.

use super::export::{Export, Exported};
use super::local::Images;
use super::unpack::ensure_layers;
use super::{Destination, ImageError, LayoutImage, ResolvedImage};
use buildscope_oci::{Platform, Reference};
use buildscope_record::{ConfigDigest, Phase, Probe, Quantity};
use buildscope_storage::Store;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where docker listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// The longest answer that is read into memory, in bytes.
const LONGEST_ANSWER: u64 = 16 << 20;
/// How long a daemon may be silent about what it has: it is asked in passing, and may hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes the archive below the store and sends it (Docker Engine API, `POST /images/load`).
pub(crate) fn load(export: &Export<'_>, store: &Store, probe: &Probe) -> Result<Exported, ImageError> {
    let socket = socket()?;
    let archive = temporary(store, "load");
    let exported = export.to_archive(store, &Destination::Path(archive.0.clone()), probe)?;
    let span = probe.phase(Phase::Export);
    span.detail("docker");
    let file = File::open(&archive.0).map_err(ImageError::file("open", &archive.0))?;
    let size = file.metadata().map_err(ImageError::file("read", &archive.0))?.len();
    span.quantity(Quantity::BytesWritten, size);
    let failed = |source| ImageError::Write { what: format!("to docker at {}", socket.display()), source };
    let mut answer = exchange(&socket, "POST", "/images/load?quiet=1", Some((file, size)), None).map_err(failed)?;
    match answer.text().map_err(failed)? {
        text if text.contains("\"error\"") => {
            Err(ImageError::malformed("docker", format!("it did not take the image: {}", text.trim())))
        }
        _ => Ok(exported),
    }
}

/// What a daemon says of an image (`GET /images/NAME/json`).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// The daemon's image of that name, if there is a daemon, and it has one that suits the platform. Its files are brought
/// into the store; an image that was brought before is asked for, and not brought again.
///
/// # Errors
/// What the daemon gives and cannot be read. A daemon that does not answer has no image.
pub(super) fn image(
    reference: &Reference,
    platform: &Platform,
    store: &Store,
    probe: &Probe,
) -> Result<Option<ResolvedImage>, ImageError> {
    let Ok(socket) = socket() else { return Ok(None) };
    let asked = exchange(&socket, "GET", &format!("/images/{reference}/json"), None, Some(PATIENCE));
    let Some(found) = asked.ok().filter(|answer| answer.status == 200).and_then(|mut answer| answer.text().ok()) else {
        return Ok(None);
    };
    let Ok(Inspected { id, os, architecture, variant }) = serde_json::from_str(&found) else { return Ok(None) };
    let its = Platform::new(&os, &architecture, Some(&variant));
    let Some(id) = id.parse::<ConfigDigest>().ok().filter(|_| platform.distance(&its).is_some()) else {
        return Ok(None);
    };

    let (images, note) = (Images::of(store), format!("docker/{}", id.hex()));
    let known =
        images.note::<buildscope_oci::Descriptor>(&note)?.and_then(|target| images.load(&target, platform).ok());
    if let Some(image) = known.filter(|image| image.layers.iter().all(|layer| store.blobs().contains(&layer.diff_id))) {
        return Ok(Some(image));
    }
    let span = probe.phase(Phase::Pull);
    span.detail(&format!("docker: {}", reference.familiar()));
    let archive = temporary(store, "save");
    let failed = |source| ImageError::Read { origin: format!("docker at {}", socket.display()), source };
    let answer = exchange(&socket, "GET", &format!("/images/{id}/get"), None, None).map_err(failed)?;
    let mut file = File::create_new(&archive.0).map_err(ImageError::file("create", &archive.0))?;
    let size = io::copy(&mut answer.checked().map_err(failed)?, &mut file).map_err(failed)?;
    span.quantity(Quantity::BytesRead, size);
    let saved = LayoutImage { path: archive.0.clone(), tag: None, digest: None }.load(platform)?;
    // Unpacking is part of the transfer: who needs a file of the image later finds it here.
    let layers = ensure_layers(store, &saved, &Probe::disabled())?;
    let mut manifest = (*saved.manifest).clone();
    for (descriptor, layer) in manifest.layers.iter_mut().zip(&layers) {
        // As they are in the store.
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

/// A file of the store's that is gone with this.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the store.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn temporary(store: &Store, what: &str) -> Temporary {
    Temporary(store.scratch_path(what))
}

fn socket() -> Result<PathBuf, ImageError> {
    match std::env::var("DOCKER_HOST") {
        Err(_) => Ok(SOCKET.into()),
        Ok(host) => match host.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(ImageError::malformed("DOCKER_HOST", format!("`{host}`: only unix:// sockets are spoken to"))),
        },
    }
}

/// What a daemon answered.
struct Answer {
    status: u16,
    body: BufReader<UnixStream>,
}

impl Answer {
    /// The body of a success, else what went wrong.
    fn checked(mut self) -> io::Result<impl Read> {
        match self.status {
            200 => Ok(self.body),
            status => Err(io::Error::other(format!("{status} {}", self.read()?.trim()))),
        }
    }

    /// The whole body of a success as text.
    fn text(&mut self) -> io::Result<String> {
        let body = self.read()?;
        match self.status {
            200 => Ok(body),
            status => Err(io::Error::other(format!("{status} {}", body.trim()))),
        }
    }

    fn read(&mut self) -> io::Result<String> {
        let mut body = String::new();
        self.body.by_ref().take(LONGEST_ANSWER).read_to_string(&mut body)?;
        Ok(body)
    }
}

/// One HTTP/1.0 exchange: the connection's end is the answer's end, and nothing needs chunks.
fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<(File, u64)>,
    patience: Option<Duration>,
) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(patience)?;
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
    Ok(Answer { status: status.ok_or_else(|| io::Error::other("the answer is no HTTP"))?, body })
}
