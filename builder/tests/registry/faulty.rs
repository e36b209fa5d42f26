//! A registry with faults.

use crate::{Scene, noise};
use buildscope_builder::images::{
    Credentials, ImageError, ImageOptions, Registries, RegistryOptions, ResolvedImage, ensure_layers,
};
use buildscope_oci::Platform;
use buildscope_record::{Digest, Probe};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A fault in the handling of a request. Each fault has a word, and applies once to a request line (`METHOD PATH`) that
/// contains it.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection breaks after this many bytes of the body, of the response or of a `PATCH`.
    Drop(usize),
    /// The response has this status and `Retry-After`.
    Status(u16, Option<u32>),
    /// The first byte of the body is changed.
    Lie,
    /// `Range` is ignored: the response is 200 with the whole body.
    NoRange,
    /// The upload is removed.
    Forget,
    /// The response has this status and these headers.
    Answer(u16, String),
}

/// The contents of a registry: media types and bodies by path.
pub(crate) type Contents = HashMap<String, (String, Vec<u8>)>;

/// A registry in memory, with faults.
pub(crate) struct Faulty {
    pub(crate) host: String,
    state: Arc<FaultyState>,
}

struct FaultyState {
    contents: Mutex<Contents>,
    uploads: Mutex<HashMap<String, Vec<u8>>>,
    /// The number of uploads that were started, which names the next one.
    started: AtomicUsize,
    faults: Mutex<Vec<(&'static str, Fault)>>,
    /// The requests, as `METHOD PATH from OFFSET`.
    log: Mutex<Vec<String>>,
}

/// A request, without its body.
struct Request {
    method: String,
    path: String,
    kind: String,
    /// The offset of the first byte that is requested or sent.
    from: usize,
    length: usize,
}

/// A response, before a fault cuts its body.
struct Answer {
    status: u16,
    headers: String,
    kind: String,
    body: Vec<u8>,
}

impl Answer {
    fn empty(status: u16, headers: String) -> Self {
        Self { status, headers, kind: "text/plain".into(), body: Vec::new() }
    }

    fn error(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"errors": [{{"code": "{code}", "message": "said by the test"}}]}}"#).into_bytes();
        Self { body, ..Self::empty(status, String::new()) }
    }
}

impl Faulty {
    pub(crate) fn start(contents: Contents, faults: Vec<(&'static str, Fault)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let state = FaultyState {
            contents: Mutex::new(contents),
            uploads: Mutex::default(),
            started: AtomicUsize::new(0),
            faults: Mutex::new(faults),
            log: Mutex::default(),
        };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Self { host, state }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<String>> {
        self.state.log.lock().unwrap()
    }

    /// The offsets of the requests whose line contains this word.
    pub(crate) fn froms(&self, word: &str) -> Vec<usize> {
        let log = self.log();
        log.iter().filter(|l| l.contains(word)).map(|l| l.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    /// The body at a path.
    pub(crate) fn body(&self, path: &str) -> Option<Vec<u8>> {
        self.state.contents.lock().unwrap().get(path).map(|(_, bytes)| bytes.clone())
    }

    fn registries(&self) -> Registries {
        self.registries_with(Credentials::default())
    }

    fn registries_with(&self, credentials: Credentials) -> Registries {
        let options = RegistryOptions { plain_http: [self.host.clone()].into(), ..RegistryOptions::default() };
        Registries::new(options, credentials)
    }

    /// Pulls `app:1` with its layers into a new store.
    pub(crate) fn pull(&self) -> Result<Arc<ResolvedImage>, ImageError> {
        self.pull_with(Credentials::default())
    }

    /// Like [`pull`](Self::pull), with logins.
    pub(crate) fn pull_with(&self, credentials: Credentials) -> Result<Arc<ResolvedImage>, ImageError> {
        let scene = Scene::new();
        let name = format!("{}/app:1", self.host).parse().unwrap();
        let image = self.registries_with(credentials).pull(&name, &Platform::host(), &scene.images())?;
        ensure_layers(&scene.store, &image, &Probe::disabled())?;
        Ok(Arc::new(image))
    }

    /// Pushes an image with one uncompressed layer with this content as `team/app:1`. Returns the paths of the manifest
    /// and the layer.
    pub(crate) fn push(&self, content: &[u8]) -> Result<(String, String), ImageError> {
        let scene = Scene::new();
        let image = scene.built(None, content);
        let options = ImageOptions { compression: Some(buildscope_oci::Encoding::Plain), ..ImageOptions::default() };
        let name = format!("{}/team/app:1", self.host).parse().unwrap();
        scene.push(&image, &name, &self.registries(), &options)?;
        let layer = format!("/v2/team/app/blobs/{}", image.config.rootfs.diff_ids[0]);
        Ok(("/v2/team/app/manifests/1".to_owned(), layer))
    }
}

impl FaultyState {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let request = Request::read(&mut reader)?;
            let Request { method, path, from, length, .. } = &request;
            let line = format!("{method} {path}");
            self.log.lock().unwrap().push(format!("{line} from {from}"));
            // `Drop` does not apply to a request whose whole body would get through.
            let applies = |fault: &Fault| !matches!(fault, Fault::Drop(after) if (1..=*after).contains(length));
            let fault = {
                let mut faults = self.faults.lock().unwrap();
                let at = faults.iter().position(|(word, fault)| line.contains(word) && applies(fault));
                at.map(|at| faults.remove(at).1)
            };
            let incoming = match fault {
                Some(Fault::Drop(after)) if *length > 0 => after,
                _ => *length,
            };
            let mut sent = vec![0; incoming];
            reader.read_exact(&mut sent).ok()?;
            if sent.len() < *length {
                // The received part is kept.
                self.upload(path, *from, &sent);
                return None;
            }
            let mut answer = match fault {
                Some(Fault::Status(status, after)) => {
                    let after = after.map(|after| format!("Retry-After: {after}\r\n"));
                    Answer::empty(status, after.unwrap_or_default())
                }
                Some(Fault::Answer(status, ref headers)) => Answer::empty(status, headers.clone()),
                Some(Fault::Lie) if !sent.is_empty() => {
                    sent[0] ^= 1;
                    self.answer(&request, &sent)
                }
                Some(Fault::Forget) => {
                    self.uploads.lock().unwrap().remove(without_query(path));
                    self.answer(&request, &sent)
                }
                Some(Fault::NoRange) => self.answer(&Request { from: 0, ..request }, &sent),
                _ => self.answer(&request, &sent),
            };
            if let (Some(Fault::Lie), Some(first)) = (&fault, answer.body.first_mut()) {
                *first ^= 1;
            }
            let Answer { status, headers, kind, body } = answer;
            let all = match fault {
                Some(Fault::Drop(after)) => after.min(body.len()),
                _ => body.len(),
            };
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{headers}\r\n",
                body.len()
            )
            .ok()?;
            stream.write_all(&body[..all]).ok()?;
            if let Some(Fault::Drop(_)) = fault {
                return None;
            }
        }
    }

    fn answer(&self, request: &Request, sent: &[u8]) -> Answer {
        let Request { method, path, kind, from, .. } = request;
        let place = without_query(path);
        match &**method {
            "POST" => {
                let place = format!("{place}{}", self.started.fetch_add(1, Ordering::Relaxed));
                self.uploads.lock().unwrap().insert(place.clone(), Vec::new());
                Answer::empty(202, format!("Location: {place}\r\n"))
            }
            "PATCH" => match self.upload(path, *from, sent) {
                Some(_) => Answer::empty(202, format!("Location: {path}\r\n")),
                None => Answer::error(404, "BLOB_UPLOAD_UNKNOWN"),
            },
            "PUT" if path.contains("/manifests/") => {
                self.contents.lock().unwrap().insert(path.clone(), (kind.clone(), sent.to_vec()));
                Answer::empty(201, String::new())
            }
            "PUT" => {
                let Some(bytes) = self.uploads.lock().unwrap().remove(place) else {
                    return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
                };
                let digest = path.split_once("digest=").unwrap().1;
                if Digest::of(&bytes).to_string() != digest {
                    return Answer::error(400, "DIGEST_INVALID");
                }
                let blobs = place.split_once("/uploads/").unwrap().0;
                let body = ("application/octet-stream".to_owned(), bytes);
                self.contents.lock().unwrap().insert(format!("{blobs}/{digest}"), body);
                Answer::empty(201, String::new())
            }
            _ => match (self.uploads.lock().unwrap().get(place), self.contents.lock().unwrap().get(place)) {
                (Some(upload), _) => {
                    let last = upload.len().saturating_sub(1);
                    Answer::empty(204, format!("Range: 0-{last}\r\nLocation: {place}\r\n"))
                }
                (None, Some((kind, body))) => {
                    let status = if *from > 0 { 206 } else { 200 };
                    let body = if method == "HEAD" { Vec::new() } else { body[*from..].to_vec() };
                    Answer { kind: kind.clone(), body, ..Answer::empty(status, String::new()) }
                }
                (None, None) if place == "/v2/" => Answer::empty(200, String::new()),
                (None, None) => Answer::empty(404, String::new()),
            },
        }
    }

    /// Adds bytes to an upload. Returns its new size, or `None` for an unknown upload.
    fn upload(&self, path: &str, from: usize, sent: &[u8]) -> Option<usize> {
        let mut uploads = self.uploads.lock().unwrap();
        let upload = uploads.get_mut(path).filter(|upload| upload.len() == from)?;
        upload.extend_from_slice(sent);
        Some(upload.len())
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut request = Self { method, path, kind: String::new(), from: 0, length: 0 };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim().split_once(": ") else { return Some(request) };
            let start = |range: &str| range.trim_start_matches("bytes=").split('-').next().unwrap().parse().unwrap();
            match &*name.to_lowercase() {
                "range" | "content-range" => request.from = start(value),
                "content-length" => request.length = value.parse().unwrap(),
                "content-type" => request.kind = value.to_owned(),
                _ => {}
            }
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap()
}

/// The contents of a registry with an image of one uncompressed layer.
pub(crate) fn contents() -> Contents {
    let scene = Scene::new();
    let image = scene.built(None, &noise(100_000));
    let layer = fs::read(scene.store.blobs().path(image.config.rootfs.diff_ids[0])).unwrap();
    let config = image.config_bytes();
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(&config).to_string(), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest::of(&layer).to_string(), "size": layer.len()}]});
    let blob = |bytes: Vec<u8>| {
        (format!("/v2/app/blobs/{}", Digest::of(&bytes)), ("application/octet-stream".to_owned(), bytes))
    };
    let manifest = ("application/vnd.oci.image.manifest.v1+json".to_owned(), manifest.to_string().into_bytes());
    [("/v2/app/manifests/1".to_owned(), manifest), blob(config), blob(layer)].into()
}

/// The path of the layer, which is the largest body.
pub(crate) fn layer_path(content: &Contents) -> &'static str {
    let largest = content.iter().max_by_key(|(_, (_, bytes))| bytes.len()).unwrap();
    Box::leak(largest.0.clone().into_boxed_str())
}
