//! `--load`: an image into the docker daemon of this machine, through its socket.

use super::export::{Export, Exported};
use super::{Destination, ImageError};
use crate::storage::Store;
use buildscope_record::{Phase, Probe, Quantity};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Where docker listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Writes the archive below the store and sends it (Docker Engine API, `POST /images/load`).
pub(crate) fn load(export: &Export<'_>, store: &Store, probe: &Probe) -> Result<Exported, ImageError> {
    let socket = socket()?;
    let archive = store.root().join("tmp").join(format!("load-{}.tar", std::process::id()));
    let sent = export.to_archive(store, &Destination::Path(archive.clone()), probe).and_then(|exported| {
        let span = probe.phase(Phase::Export);
        span.detail("docker");
        let file = File::open(&archive).map_err(ImageError::file("open", &archive))?;
        let size = file.metadata().map_err(ImageError::file("read", &archive))?.len();
        span.quantity(Quantity::BytesWritten, size);
        let failed = |source| ImageError::Write { what: format!("to docker at {}", socket.display()), source };
        let answer = post(&socket, file, size).map_err(failed)?;
        match answer.contains("\"error\"") {
            true => Err(ImageError::malformed("docker", format!("it did not take the image: {}", answer.trim()))),
            false => Ok(exported),
        }
    });
    // It is the store's own temporary file: what cannot be removed now is removed with the store.
    let _ = std::fs::remove_file(&archive);
    sent
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

/// One HTTP/1.0 exchange: the connection's end is the answer's end, and nothing needs chunks.
fn post(socket: &PathBuf, mut archive: File, size: u64) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    let head = format!(
        "POST /images/load?quiet=1 HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    io::copy(&mut archive, &mut stream)?;
    let mut answer = BufReader::new(stream.take(LONGEST_ANSWER));
    let (mut status, mut line) = (String::new(), String::new());
    answer.read_line(&mut status)?;
    while answer.read_line(&mut line)? > 0 && line.trim() != "" {
        line.clear();
    }
    let mut body = String::new();
    answer.read_to_string(&mut body)?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(body),
        _ => Err(io::Error::other(format!("{} {}", status.trim(), body.trim()))),
    }
}
