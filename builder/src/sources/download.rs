//! Files from the web. A file that was downloaded before is only sent again if it has changed.

use super::SourceError;
use crate::http::{self, Backoff, TransferPace, Trust, parse_http_date, retry};
use buildscope_record::{BlobDigest, Digest, Phase, Probe, Quantity, redacted};
use buildscope_storage::{Store, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};

/// The attempts of a request before its failure is reported, with pauses of 0.2 and 0.4 s.
const ATTEMPTS: Backoff = Backoff { attempts: 3, first_pause: Duration::from_millis(200) };
/// The size of one read from the connection, in bytes.
const CHUNK: usize = 256 << 10;

/// A downloaded file: a blob of the store, and the validators that the server sent with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Download {
    /// The digest of the content.
    pub blob: BlobDigest,
    /// The size of the content in bytes.
    pub size: u64,
    /// The header `Last-Modified` as sent.
    modified: Option<String>,
    /// The header `ETag` as sent.
    tag: Option<String>,
}

impl Download {
    /// The time in `Last-Modified`. Without the header it is the start of 1970, as in BuildKit.
    pub fn modified(&self) -> Timestamp {
        Timestamp { seconds: self.last_modified().unwrap_or(0), nanos: 0 }
    }

    /// The time in `Last-Modified`, in seconds since 1970, if the server sent one.
    pub(crate) fn last_modified(&self) -> Option<i64> {
        self.modified.as_deref().and_then(parse_http_date)
    }
}

/// Downloads the file at `url`. If it was downloaded before, the request is conditional: it has the `ETag` and the
/// date. If the store already has a download of `url` whose digest is `checksum`, no request is sent.
///
/// # Errors
/// If the server does not respond, or responds with an error, after three attempts.
pub fn download(
    url: &str,
    checksum: Option<BlobDigest>,
    store: &Store,
    probe: &Probe,
) -> Result<Download, SourceError> {
    let span = probe.phase(Phase::Fetch);
    span.detail(url);
    let note = note(url, store);
    let known: Option<Download> = fs::read(&note).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let known = known.filter(|known| store.blobs().contains(known.blob));
    if let Some(known) = known.clone().filter(|known| checksum == Some(known.blob)) {
        return Ok(known);
    }
    let response = request(url, known.as_ref())?;
    if let (StatusCode::NOT_MODIFIED, Some(known)) = (response.status(), known) {
        return Ok(known);
    }
    if !response.status().is_success() {
        return Err(SourceError::fetch(url, format!("the server responded with {}", response.status())));
    }
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (modified, tag) = (text(header::LAST_MODIFIED), text(header::ETAG));
    let (blob, size) = keep(response, store).map_err(|error| SourceError::fetch(url, error))?;
    span.quantity(Quantity::BytesRead, size)
        .quantity(Quantity::BytesWritten, size)
        .quantity(Quantity::BytesHashed, size);
    let download = Download { blob, size, modified, tag };
    // Without the note, the next build downloads the file again. This build does not fail for that.
    if let Err(error) = write_note(&note, &download) {
        tracing::warn!("cannot remember the download of {} in {}: {error}", redacted(url), note.display());
    }
    Ok(download)
}

/// The digest of the last download of `url`.
pub(crate) fn remembered(url: &str, store: &Store) -> Option<BlobDigest> {
    let bytes = fs::read(note(url, store)).ok()?;
    serde_json::from_slice::<Download>(&bytes).ok().map(|download| download.blob)
}

fn note(url: &str, store: &Store) -> PathBuf {
    store.root().join("downloads").join(Digest::of(url).hex())
}

fn write_note(path: &PathBuf, download: &Download) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    let temporary = path.with_extension(std::process::id().to_string());
    fs::write(&temporary, serde_json::to_vec(download)?)?;
    fs::rename(temporary, path)
}

fn request(url: &str, known: Option<&Download>) -> Result<Response<ureq::Body>, SourceError> {
    let host = url.split('/').nth(2).unwrap_or_default();
    let agent = http::agent(host, &Trust::default())
        .map_err(|(path, error)| SourceError::fetch(url, format!("cannot read {}: {error}", path.display())))?;
    let sent = retry(ATTEMPTS, || {
        // The pace of the body is checked instead.
        let mut request = agent.get(url).config().timeout_global(None).build();
        if let Some(Download { modified, tag, .. }) = known {
            for (name, value) in [(header::IF_NONE_MATCH, tag), (header::IF_MODIFIED_SINCE, modified)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        request.call()
    });
    sent.map_err(|error| SourceError::fetch(url, error))
}

fn keep(response: Response<ureq::Body>, store: &Store) -> Result<(BlobDigest, u64), String> {
    let mut writer = store.blobs().writer().map_err(|error| error.to_string())?;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; CHUNK];
    let (pace, mut received) = (TransferPace::new(), 0);
    loop {
        match body.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return writer.finish(None).map_err(|error| error.to_string()),
            n => {
                received += n as u64;
                pace.check(received)
                    .and_then(|()| writer.write_all(&buffer[..n]))
                    .map_err(|error| error.to_string())?;
            }
        }
    }
}

/// The name of the file at `url`: the last part of the path, percent-decoded. Returns `None` if that is empty or not a
/// valid file name.
pub fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, path) = path.split_once("://")?.1.split_once('/')?;
    let part = path.rsplit('/').next()?.as_bytes();
    let (mut name, mut at) = (Vec::new(), 0);
    while let Some(&byte) = part.get(at) {
        let digit = |at: usize| char::from(*part.get(at)?).to_digit(16);
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                name.push((high << 4 | low) as u8);
                at += 3;
            }
            _ => {
                name.push(byte);
                at += 1;
            }
        }
    }
    let name = String::from_utf8(name).ok()?;
    (!matches!(&*name, "" | "." | "..") && !name.contains(['/', '\0'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_storage::StoreOptions;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    #[test]
    fn file_names_are_decoded() {
        assert_eq!(file_name("http://host/a/b%20c.tar.gz?x=/y#z").as_deref(), Some("b c.tar.gz"));
        assert_eq!(file_name("http://host/100%").as_deref(), Some("100%"));
        for url in ["http://host", "http://host/", "http://host/a/", "http://host/%2e%2e", "http://host/%2Fx"] {
            assert_eq!(file_name(url), None, "{url}");
        }
    }

    /// Starts a server that sends these responses, in turn, each on its own connection. The thread returns the requests.
    fn serve(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/dir/file.txt", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let answer = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                let request = lines.collect::<Vec<_>>().join("\n");
                stream.write_all(answer.as_bytes()).unwrap();
                request
            };
            answers.iter().map(answer).collect()
        });
        (address, server)
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), StoreOptions::default()).unwrap();
        let (url, server) = serve(&[
            "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nETag: \"one\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ]);
        let probe = Probe::disabled();
        let first = download(&url, None, &store, &probe).unwrap();
        assert_eq!((first.blob, first.size, first.modified().seconds), (BlobDigest::of("hello"), 5, 784_111_777));
        let again = download(&url, None, &store, &probe).unwrap();
        assert_eq!((again.blob, again.modified().seconds), (first.blob, 784_111_777));
        // The store has the content: no request is sent.
        assert_eq!(download(&url, Some(first.blob), &store, &probe).unwrap().blob, first.blob);
        let error = download(&url, None, &store, &probe).unwrap_err().to_string();
        assert!(error.contains("404"), "{error}");
        let requests = server.join().unwrap();
        assert!(requests[2].to_lowercase().contains("if-none-match: \"one\""), "{}", requests[2]);
    }
}
