//! Registries: Debian's `docker-registry` on loopback, and one of our own that misbehaves.

use buildscope_builder::image::{
    CacheExport, CacheFrom, CacheRecord, CacheTo, Credentials, Encoding, Export, Format, Image, ImageError,
    ImageOptions, Images, ImportedCache, Made, Platform, Reference, Registries, RegistryOptions, ResolvedImage,
    Resolver, assemble, ensure_layers, inline_cache,
};
use buildscope_builder::storage::{Content, Entry, EntryKind, Store, StoreOptions, Timestamp};
use buildscope_record::{Digest, Probe};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// bcrypt of `secret`, by libxcrypt.
const HTPASSWD: &str = "tester:$2b$04$.ASNanygje3MuhtQDV7zROKKSHy8BjWgLsG/GWHba3xSvMIM..Gk.\n";

/// Debian's registry, stopped and gone afterwards.
struct Registry {
    child: Child,
    host: String,
    folder: tempfile::TempDir,
}

impl Registry {
    /// None (and a message) where it is not installed.
    fn start(tls: bool, login: bool) -> Option<Self> {
        if !Path::new("/usr/bin/docker-registry").exists() {
            eprintln!("skipped: docker-registry is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            path("data")
        );
        if tls {
            if !Path::new("/usr/bin/openssl").exists() {
                eprintln!("skipped: openssl is not installed");
                return None;
            }
            authority(folder.path());
            config += &format!("  tls: {{certificate: {}, key: {}}}\n", path("server.crt"), path("server.key"));
        }
        if login {
            fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path("htpasswd"));
        }
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut command = Command::new("/usr/bin/docker-registry");
        command.arg("serve").arg(folder.path().join("config.yml")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let registry = Self { child, host: format!("localhost:{port}"), folder };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the registry does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    fn reference(&self, name: &str) -> Reference {
        format!("{}/{name}", self.host).parse().unwrap()
    }

    fn options(&self) -> RegistryOptions {
        let authority = self.folder.path().join("ca.crt");
        RegistryOptions {
            authorities: authority.exists().then_some(authority).into_iter().collect(),
            ..RegistryOptions::default()
        }
    }

    fn credentials(&self, json: &str) -> Credentials {
        let path = self.folder.path().join("docker.json");
        fs::write(&path, json.replace("HOST", &self.host)).unwrap();
        Credentials::read(&path).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A certificate authority of the test's own, and a certificate of it for localhost.
fn authority(folder: &Path) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca \\
          -addext basicConstraints=critical,CA:TRUE
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=localhost
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile ext";
    let output = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

struct Scene {
    folder: tempfile::TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), StoreOptions::default()).unwrap();
        Self { folder, store }
    }

    fn images(&self) -> Images {
        Images::of(&self.store)
    }

    /// `base` (or nothing) with one layer of a single file over it.
    fn built(&self, base: Option<&Arc<ResolvedImage>>, content: &[u8]) -> Image {
        let mtime = Timestamp { seconds: 1_700_000_000, nanos: 0 };
        let kind = EntryKind::File { size: content.len() as u64 };
        let entry = Entry { path: "file".into(), kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: Default::default() };
        let mut layer = self.store.layer_builder();
        layer.push(entry, Content::Bytes(content.into()));
        let layer = layer.finish(&Probe::disabled()).unwrap();
        let Platform { architecture, os, .. } = Platform::host();
        let config = buildscope_builder::image::ImageConfig { architecture, os, ..Default::default() };
        let made =
            [Made { created_by: "COPY file / # buildkit".into(), created: Some(mtime), layer: Some(layer.diff_id) }];
        assemble(&config, base, &made, None, mtime)
    }

    fn push(
        &self,
        image: &Image,
        to: &Reference,
        registries: &Registries,
        options: &ImageOptions,
    ) -> Result<Digest, ImageError> {
        let names = std::slice::from_ref(to);
        let export = Export {
            images: std::slice::from_ref(image),
            names,
            options,
            epoch: None,
            format: Format::Oci,
            predicates: &[],
        };
        Ok(export.to_registry(&self.store, registries, None, &Probe::disabled())?.target.digest)
    }
}

fn noise(length: usize) -> Vec<u8> {
    // A linear congruential generator (Knuth's MMIX constants): nothing that compresses well.
    let mut state = 1u64;
    let mut step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut step).take(length).collect()
}

#[test]
fn what_is_pushed_comes_back_and_other_tools_read_it() {
    let Some(registry) = Registry::start(false, false) else { return };
    let registries = Registries::new(registry.options(), Credentials::default());
    let scene = Scene::new();
    // Larger than a chunk, so that it takes two.
    let image = scene.built(None, &noise(20 << 20));
    for (compression, tag) in [(None, "gzip"), (Some(Encoding::Zstd), "zstd"), (Some(Encoding::Plain), "plain")] {
        let to = registry.reference(&format!("team/app:{tag}"));
        let options = ImageOptions { compression, ..ImageOptions::default() };
        let digest = scene.push(&image, &to, &registries, &options).unwrap();

        let fresh = Scene::new();
        let pulled = registries.pull(&to, &Platform::host(), &fresh.images()).unwrap();
        assert_eq!(pulled.digest, digest);
        let layers = ensure_layers(&fresh.store, &pulled, &Probe::disabled()).unwrap();
        assert_eq!(layers[0].diff_id, image.config.rootfs.diff_ids[0]);

        let start = Instant::now();
        scene.push(&image, &to, &registries, &options).unwrap();
        eprintln!("push of an unchanged image ({tag}): {:?}", start.elapsed());
    }
    // By digest, from the documents that the first pull kept: no registry is asked.
    let fresh = Scene::new();
    let named = registry.reference("team/app:gzip");
    let first = registries.pull(&named, &Platform::host(), &fresh.images()).unwrap();
    let by_digest = Reference { digest: Some(first.digest), ..named.clone() };
    assert_eq!(registries.pull(&by_digest, &Platform::host(), &fresh.images()).unwrap().digest, first.digest);

    if Path::new("/usr/bin/skopeo").exists() {
        let output = Command::new("skopeo")
            .args(["inspect", "--tls-verify=false", &format!("docker://{}/team/app:gzip", registry.host)])
            .output()
            .unwrap();
        let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(seen["Digest"], first.digest.to_string());
        // And the other way: what skopeo pushes (from an archive of ours) is read here.
        let (archive, to) = (fresh.folder.path().join("a.tar"), registry.reference("by/skopeo:1"));
        let options = ImageOptions::default();
        let export = Export {
            images: std::slice::from_ref(&image),
            names: &[],
            options: &options,
            epoch: None,
            format: Format::Oci,
            predicates: &[],
        };
        export
            .to_archive(
                &scene.store,
                &buildscope_builder::image::Destination::Path(archive.clone()),
                &Probe::disabled(),
            )
            .unwrap();
        let source = format!("oci-archive:{}", archive.display());
        let status = Command::new("skopeo")
            .args([
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
                &source,
                &format!("docker://{}/by/skopeo:1", registry.host),
            ])
            .status()
            .unwrap();
        assert!(status.success());
        let other = Scene::new();
        let pulled = registries.pull(&to, &Platform::host(), &other.images()).unwrap();
        let layers = ensure_layers(&other.store, &pulled, &Probe::disabled()).unwrap();
        assert_eq!(layers[0].diff_id, image.config.rootfs.diff_ids[0]);
    }
    let missing = registries
        .pull(&registry.reference("team/app:none"), &Platform::host(), &scene.images())
        .unwrap_err()
        .to_string();
    assert!(missing.contains("it has no image") && missing.contains("team/app:none"), "{missing}");
}

#[test]
fn a_base_from_the_same_registry_is_mounted_not_sent() {
    let Some(registry) = Registry::start(false, false) else { return };
    let registries = Registries::new(registry.options(), Credentials::default());
    let scene = Scene::new();
    let base = registry.reference("base/image:1");
    scene.push(&scene.built(None, &noise(1 << 20)), &base, &registries, &ImageOptions::default()).unwrap();

    let other = Scene::new();
    let resolver = Resolver::new(&other.store, [], Probe::disabled()).with_registries(registries.clone());
    let pulled = resolver.image(&base.to_string(), &Platform::host()).unwrap();
    let image = other.built(Some(&pulled), b"small");
    // What is here under its name is what is found, unless the newest is asked for.
    let kept = other.images().keep(&other.built(None, b"old")).unwrap();
    other.images().name(&base, &kept).unwrap();
    let resolve = |newest| {
        let resolver = Resolver::new(&other.store, [], Probe::disabled()).with_registries(registries.clone());
        resolver.newest(newest).image(&base.to_string(), &Platform::host()).unwrap().digest
    };
    assert_eq!((resolve(false), resolve(true)), (kept.digest, pulled.digest));
    // The base's layers were never fetched into this store: mounting is all that can have happened.
    let derived = registry.reference("derived:1");
    other.push(&image, &derived, &registries, &ImageOptions::default()).unwrap();
    assert!(other.store.layer(&pulled.layers[0].diff_id).unwrap().is_none());
    let found = registries.pull(&derived, &Platform::host(), &Scene::new().images()).unwrap();
    assert_eq!(found.layers[0], pulled.layers[0]);
}

#[test]
fn tls_with_an_authority_of_ones_own_and_a_login() {
    let Some(registry) = Registry::start(true, true) else { return };
    let scene = Scene::new();
    let image = scene.built(None, b"secret content");
    let to = registry.reference("private/app:1");
    // `tester:secret`
    let login = r#"{"auths": {"HOST": {"auth": "dGVzdGVyOnNlY3JldA=="}}}"#;
    let wrong = r#"{"auths": {"HOST": {"username": "tester", "password": "wrong"}}}"#;
    let push = |options: RegistryOptions, json: &str| {
        let registries = Registries::new(options, registry.credentials(json));
        scene.push(&image, &to, &registries, &ImageOptions::default())
    };
    let unknown = push(RegistryOptions::default(), login).unwrap_err().to_string();
    assert!(unknown.to_lowercase().contains("cert"), "an unknown authority is not trusted: {unknown}");
    let nobody = push(registry.options(), "{}").unwrap_err().to_string();
    assert!(nobody.contains("docker login"), "{nobody}");
    let refused = push(registry.options(), wrong).unwrap_err().to_string();
    assert!(refused.contains("401"), "{refused}");
    let digest = push(registry.options(), login).unwrap();
    // Not verified, because it was asked for by name.
    let insecure = RegistryOptions { insecure: [registry.host.clone()].into(), ..RegistryOptions::default() };
    let registries = Registries::new(insecure, registry.credentials(login));
    assert_eq!(registries.pull(&to, &Platform::host(), &Scene::new().images()).unwrap().digest, digest);

    // A credential helper, found on PATH.
    let helper = registry.folder.path().join("docker-credential-of-test");
    fs::write(&helper, "#!/bin/sh\nread server\n[ \"$1\" = get ] && echo \"{\\\"Username\\\": \\\"tester\\\", \\\"Secret\\\": \\\"secret\\\"}\"\n").unwrap();
    fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let json = r#"{"credHelpers": {"HOST": "of-test"}}"#;
    let path = format!("{}:{}", registry.folder.path().display(), std::env::var("PATH").unwrap());
    // The helper is looked for by the child's PATH, which a test must not change for its neighbours: a process of its own.
    let me = std::env::current_exe().unwrap();
    let config = registry.folder.path().join("helper.json");
    fs::write(&config, json.replace("HOST", &registry.host)).unwrap();
    let child = Command::new(me)
        .args(["--exact", "helper_process", "--nocapture"])
        .env("PATH", path)
        .env("TEST_CONFIG", config)
        .env("TEST_IMAGE", to.to_string())
        .env("TEST_CA", registry.folder.path().join("ca.crt"))
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

/// The other half of the test above; by itself it does nothing.
#[test]
fn helper_process() {
    let Some(config) = std::env::var_os("TEST_CONFIG") else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    let options = RegistryOptions { authorities: vec![variable("TEST_CA").into()], ..RegistryOptions::default() };
    let registries = Registries::new(options, Credentials::read(&PathBuf::from(config)).unwrap());
    registries.pull(&variable("TEST_IMAGE").parse().unwrap(), &Platform::host(), &Scene::new().images()).unwrap();
}

#[test]
fn a_cache_travels_through_a_directory_a_registry_and_an_image() {
    let Some(registry) = Registry::start(false, false) else { return };
    let registries = Registries::new(registry.options(), Credentials::default());
    let scene = Scene::new();
    let mut image = scene.built(None, &noise(200_000));
    let diff_id = image.config.rootfs.diff_ids[0];
    let record = CacheRecord { key: Digest::of("key"), diff_id, value: serde_json::json!({"files": 1}) };
    let records = std::slice::from_ref(&record);
    let export = CacheExport { records, imported: None, registries: Some(&registries) };

    let folder = scene.folder.path().join("cache").display().to_string();
    let name = format!("{}/team/cache:main", registry.host);
    let app = registry.reference("team/app:inline");
    for to in [format!("type=local,dest={folder}"), format!("type=registry,ref={name},mode=max,compression=zstd")] {
        export.write(&scene.store, &CacheTo::parse(&to).unwrap(), &Probe::disabled()).unwrap();
    }
    let (field, value) = inline_cache(records);
    image.config.other.insert(field, value);
    scene.push(&image, &app, &registries, &ImageOptions::default()).unwrap();

    for from in [format!("type=local,src={folder}"), format!("type=registry,ref={name}"), app.to_string()] {
        let fresh = Scene::new();
        let from = [CacheFrom::parse(&from).unwrap()];
        let (cache, faults) =
            ImportedCache::read(&from, Some(&registries), &fresh.images(), &[Platform::host()], &Probe::disabled());
        assert!(faults.is_empty(), "{from:?}: {faults:?}");
        assert_eq!(cache.look_up(&record.key), Some(&record), "{from:?}");
        assert_eq!(cache.look_up(&Digest::of("other")), None);
        assert!(fresh.store.layer(&diff_id).unwrap().is_none(), "nothing is fetched before it is asked for");
        cache.ensure(&fresh.store, &[diff_id, Digest::of("of another")], &Probe::disabled()).unwrap();
        assert!(fresh.store.layer(&diff_id).unwrap().is_some(), "{from:?}");
        // A build that found all in the cache pushes without having fetched: the blobs are there, or mounted.
        let lazy = Scene::new();
        let (cache, _) =
            ImportedCache::read(&from, Some(&registries), &lazy.images(), &[Platform::host()], &Probe::disabled());
        let names = [registry.reference("team/app:again")];
        let options = ImageOptions::default();
        let push = Export {
            images: std::slice::from_ref(&image),
            names: &names,
            options: &options,
            epoch: None,
            format: Format::Oci,
            predicates: &[],
        };
        push.to_registry(&lazy.store, &registries, Some(&cache), &Probe::disabled()).unwrap();
        assert!(lazy.store.layer(&diff_id).unwrap().is_none(), "{from:?}");
    }
    let none =
        [CacheFrom::parse("type=local,src=/nowhere").unwrap(), CacheFrom::Registry(registry.reference("none:1"))];
    let (cache, faults) =
        ImportedCache::read(&none, Some(&registries), &scene.images(), &[Platform::host()], &Probe::disabled());
    assert_eq!((faults.len(), cache.look_up(&record.key)), (2, None));
}

/// What goes wrong with a request whose path holds a word: each is used up once.
#[derive(Clone, Debug)]
enum Fault {
    /// The connection ends after so many bytes of the body, which was promised to be whole.
    Drop(usize),
    /// This status, with this `Retry-After`.
    Status(u16, Option<u32>),
    /// The body has another first byte.
    Lie,
    /// `Range` is ignored: the whole comes again, as 200.
    NoRange,
}

/// A registry that serves documents from memory, with faults.
struct Faulty {
    host: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Faulty {
    fn start(content: HashMap<String, (String, Vec<u8>)>, faults: Vec<(&'static str, Fault)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (log, faults) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(faults)));
        let shared = (Arc::new(content), faults, Arc::clone(&log));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (content, faults, log) = shared.clone();
                std::thread::spawn(move || serve(stream, &content, &faults, &log));
            }
        });
        Self { host, log }
    }

    fn pull(&self) -> Result<Arc<ResolvedImage>, ImageError> {
        let options = RegistryOptions { plain_http: [self.host.clone()].into(), ..RegistryOptions::default() };
        let registries = Registries::new(options, Credentials::default());
        let scene = Scene::new();
        let image =
            registries.pull(&format!("{}/app:1", self.host).parse().unwrap(), &Platform::host(), &scene.images())?;
        ensure_layers(&scene.store, &image, &Probe::disabled())?;
        Ok(Arc::new(image))
    }
}

fn serve(
    stream: TcpStream,
    content: &HashMap<String, (String, Vec<u8>)>,
    faults: &Mutex<Vec<(&'static str, Fault)>>,
    log: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut request, mut from) = (String::new(), 0);
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if let Some(range) = header.to_lowercase().strip_prefix("range: bytes=") {
                from = range.trim().trim_end_matches('-').parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap().to_owned();
        log.lock().unwrap().push(format!("{path} from {from}"));
        let fault = {
            let mut faults = faults.lock().unwrap();
            let at = faults.iter().position(|(word, _)| path.contains(word));
            at.map(|at| faults.remove(at).1)
        };
        let (kind, body) = content.get(&path).cloned().unwrap_or_default();
        let found = content.contains_key(&path) || path == "/v2/";
        let mut answer = |status: u16, headers: &str, body: &[u8], promised: usize| {
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {promised}\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
        };
        let rest = &body[from..];
        let going_on = match fault {
            Some(Fault::Drop(after)) => {
                answer(if from > 0 { 206 } else { 200 }, "", &rest[..after.min(rest.len())], rest.len());
                return;
            }
            Some(Fault::Status(status, after)) => {
                let header = after.map(|after| format!("Retry-After: {after}\r\n")).unwrap_or_default();
                answer(status, &header, b"", 0)
            }
            Some(Fault::Lie) => {
                let mut other = rest.to_vec();
                other[0] ^= 1;
                answer(200, "", &other, other.len())
            }
            Some(Fault::NoRange) => answer(200, "", &body, body.len()),
            None if !found => answer(404, "", b"", 0),
            None => answer(if from > 0 { 206 } else { 200 }, "", rest, rest.len()),
        };
        if !going_on {
            return;
        }
    }
}

/// An image of one plain layer, as a registry serves it.
fn content() -> HashMap<String, (String, Vec<u8>)> {
    let scene = Scene::new();
    let image = scene.built(None, &noise(100_000));
    let layer = fs::read(scene.store.blobs().path(&image.config.rootfs.diff_ids[0])).unwrap();
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

/// The path of the layer: the larger of the two blobs.
fn layer_path(content: &HashMap<String, (String, Vec<u8>)>) -> &'static str {
    let largest = content.iter().max_by_key(|(_, (_, bytes))| bytes.len()).unwrap();
    Box::leak(largest.0.clone().into_boxed_str())
}

#[test]
fn a_dropped_download_goes_on_where_it_broke() {
    let content = content();
    let layer = layer_path(&content);
    let faulty = Faulty::start(
        content,
        vec![
            (layer, Fault::Drop(30_000)),
            (layer, Fault::Drop(0)),
            (layer, Fault::Drop(40_000)),
            (layer, Fault::NoRange),
        ],
    );
    faulty.pull().unwrap();
    let log = faulty.log.lock().unwrap().join("\n");
    let froms: Vec<&str> =
        log.lines().filter(|line| line.contains(layer)).map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(froms, ["0", "30000", "30000", "70000"], "{log}");
}

#[test]
fn what_passes_is_waited_for() {
    let content = content();
    let layer = layer_path(&content);
    let faults = vec![
        ("/v2/", Fault::Status(503, None)),
        ("manifests", Fault::Status(429, Some(1))),
        (layer, Fault::Status(500, None)),
        (layer, Fault::Status(502, None)),
    ];
    let start = Instant::now();
    Faulty::start(content, faults).pull().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After is heeded");
}

#[test]
fn what_does_not_pass_is_said() {
    let content = content();
    let layer = layer_path(&content);
    let always = |fault: Fault| vec![(layer, fault); 60];
    let error = Faulty::start(content.clone(), always(Fault::Lie)).pull().unwrap_err();
    assert!(matches!(error, ImageError::BlobDigest { .. }), "{error}");
    let error = Faulty::start(content.clone(), always(Fault::Drop(0))).pull().unwrap_err().to_string();
    assert!(error.contains("ends"), "{error}");
    let error = Faulty::start(content.clone(), always(Fault::Status(500, None))).pull().unwrap_err().to_string();
    assert!(error.contains("500") && error.contains("registry 127.0.0.1"), "{error}");
    let error = Faulty::start(content.clone(), always(Fault::Status(404, None))).pull().unwrap_err();
    assert!(matches!(error, ImageError::BlobMissing { .. }), "{error}");
    // A manifest that is not what its own registry calls it.
    let mut lying = content;
    let config = lying.keys().find(|path| path.contains("blobs") && path.as_str() != layer).unwrap().clone();
    lying.get_mut(&config).unwrap().1[0] = b'[';
    let error = Faulty::start(lying, Vec::new()).pull().unwrap_err();
    assert!(matches!(error, ImageError::BlobDigest { .. }), "{error}");
}

#[test]
fn a_host_that_is_not_there_is_named_soon() {
    let registries = Registries::new(RegistryOptions::default(), Credentials::default());
    let scene = Scene::new();
    let resolver = Resolver::new(&scene.store, [], Probe::disabled()).with_registries(registries);
    let start = Instant::now();
    let error = resolver.image("127.0.0.1:1/app", &Platform::host()).unwrap_err().to_string();
    assert!(error.contains("--build-context") && error.contains("127.0.0.1:1"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}
