//! Exports and imports of images, checked with skopeo and umoci.

use buildscope_builder::images::{
    BuiltStep, Destination, Export, Exported, Image, ImageError, ImageFormat, ImageOptions, Images, LayoutImage,
    NamedImage, Resolver, assemble, ensure_layers, export_directory, export_tar,
};
use buildscope_oci::{Encoding, Platform, Reference};
use buildscope_record::{DiffId, Digest, ManifestDigest, Probe};
use buildscope_storage::{Content, DriverChoice, DriverName, Entry, EntryKind, Store, StoreOptions, Timestamp};
use buildscope_testing::{in_time, test, undisturbed};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    buildscope_testing::main()
}

/// A temporary directory with a store.
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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(&self.store, [], Probe::disabled())
    }

    /// Builds busybox with another layer: a file with the time `time`, a directory, a symbolic link.
    fn built(&self, time: i64, epoch: Option<i64>) -> Image {
        let resolver = self.resolver();
        let base = resolver.image("busybox", &Platform::host()).unwrap();
        resolver.layers(&base.digest, &Probe::disabled(), &Probe::disabled()).unwrap();
        let mut layer = self.store.layer_builder();
        let mtime = Timestamp { seconds: time, nanos: 7 };
        let entry = |path: &str, kind, mode| Entry {
            path: path.into(),
            kind,
            mode,
            uid: 7,
            gid: 8,
            mtime,
            xattrs: Default::default(),
        };
        layer.push(entry("app", EntryKind::Directory, 0o750), Content::Bytes(Arc::default()));
        layer.push(entry("app/file", EntryKind::File { size: 6 }, 0o4755), Content::Bytes(b"hello\n"[..].into()));
        layer.push(
            entry("app/link", EntryKind::Symlink { target: "file".into() }, 0o777),
            Content::Bytes(Arc::default()),
        );
        let layer = layer.finish(&Probe::disabled()).unwrap();
        let mut config = (*base.config).clone();
        config.config.working_dir = "/app".into();
        let made = [
            BuiltStep { created_by: "COPY . /app # buildkit".into(), created: Some(mtime), layer: Some(layer.diff_id) },
            BuiltStep { created_by: "WORKDIR /app".into(), created: None, layer: None },
        ];
        assemble(&config, Some(&base), &made, epoch, mtime)
    }

    /// Keeps an image in the store under this name, and returns its digest.
    fn store_image(&self, name: &str) -> ManifestDigest {
        let images = Images::of(&self.store);
        let target = images.keep(&self.built(1_700_000_000, None)).unwrap();
        images.name(&reference(name), &target).unwrap();
        images.find(&reference(name), &Platform::host()).unwrap().unwrap().digest
    }

    fn export(
        &self,
        image: &Image,
        name: &str,
        format: ImageFormat,
        options: &ImageOptions,
        epoch: Option<i64>,
    ) -> Exported {
        let names = [reference("example:v1")];
        let images = std::slice::from_ref(image);
        let export = Export { images, names: &names, options, epoch, format, predicates: &[], index: false };
        export.to_archive(&self.store, &Destination::Path(self.path(name)), &Probe::disabled()).unwrap()
    }
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Runs a tool and returns its output.
fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn busybox_is_made_once_and_reproducible() {
    let (one, other) = (Scene::new(), Scene::new());
    let host = Platform::host();
    let first = one.resolver().image("busybox", &host).unwrap();
    let second = other.resolver().image("docker.io/library/busybox:latest", &host).unwrap();
    assert_eq!((first.digest, first.layers[0].diff_id), (second.digest, second.layers[0].diff_id));
    assert_eq!(first.config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));

    undisturbed(|_| {
        let start = std::time::Instant::now();
        let again = one.resolver().image("busybox", &host).unwrap();
        let took = start.elapsed();
        assert_eq!(again.digest, first.digest);
        // A release build takes less than 1 ms. Making it again takes much longer than this.
        in_time(took.as_millis() < 50, took)
    });

    let tree = one.store.tree(&[first.layers[0].diff_id]).unwrap();
    for (path, mode) in [("tmp", 0o1777), ("root", 0o700), ("etc/passwd", 0o644)] {
        assert_eq!(tree.lookup(Path::new(path)).unwrap().mode, mode, "{path}");
    }
    let shell = tree.lookup(Path::new("bin/sh")).unwrap();
    assert_eq!(shell.kind, EntryKind::Symlink { target: "busybox".into() });
    let error = one.resolver().image("busybox:1.36", &host).unwrap_err().to_string();
    assert!(error.contains("--build-context busybox:1.36=oci-layout://") && error.contains("embedded"), "{error}");
}

#[test]
fn the_store_comes_before_the_embedded_busybox() {
    let scene = Scene::new();
    let embedded = scene.resolver().image("busybox", &Platform::host()).unwrap().digest;
    let kept = scene.store_image("busybox");
    assert_ne!(kept, embedded);
    assert_eq!(scene.resolver().image("busybox", &Platform::host()).unwrap().digest, kept);
}

#[test]
fn a_named_context_comes_before_the_store() {
    let scene = Scene::new();
    let kept = scene.store_image("team/app");
    let other = scene.built(1_600_000_000, None);
    let named = scene.export(&other, "named.tar", ImageFormat::Oci, &ImageOptions::default(), None).target.digest;
    let layout = NamedImage::parse(&format!("oci-layout://{}", scene.path("named.tar").display())).unwrap().unwrap();
    let resolver = Resolver::new(&scene.store, [("team/app".to_owned(), layout)], Probe::disabled());
    let found = |reference: &str| resolver.image(reference, &Platform::host()).unwrap().digest.to_string();
    assert_ne!(named.to_string(), kept.to_string());
    assert_eq!(found("docker.io/team/app:latest"), named.to_string());
    // The context does not provide images with other names.
    let error = resolver.image("team/other", &Platform::host()).unwrap_err();
    assert!(matches!(error, ImageError::NotFound { .. }), "{error}");
}

#[test]
fn a_named_context_can_be_an_alias() {
    let scene = Scene::new();
    let kept = scene.store_image("team/app:2");
    let alias = NamedImage::parse("docker-image://team/app:2").unwrap().unwrap();
    let resolver = Resolver::new(&scene.store, [("busybox".to_owned(), alias)], Probe::disabled());
    assert_eq!(resolver.image("busybox", &Platform::host()).unwrap().digest, kept);
}

#[test(Program("skopeo"), Program("umoci"))]
fn skopeo_and_umoci_accept_an_oci_archive() {
    let scene = Scene::new();
    let image = scene.built(1_700_000_000, None);
    for (compression, name) in
        [(None, "plain.tar"), (Some(Encoding::Gzip), "gzip.tar"), (Some(Encoding::Zstd), "zstd.tar")]
    {
        let options = ImageOptions { compression, ..ImageOptions::default() };
        let exported = scene.export(&image, name, ImageFormat::Oci, &options, None);
        let archive = format!("oci-archive:{}:v1", scene.path(name).display());
        let text = tool("skopeo", &["inspect", &archive]);
        let seen: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(seen["Digest"], exported.target.digest.to_string());
        assert_eq!(seen["Layers"].as_array().unwrap().len(), 2);
        // skopeo verifies every blob when it copies. umoci 0.4 does not support zstd.
        let layout = format!("oci:{}:v1", scene.path(&format!("{name}.d")).display());
        tool("skopeo", &["copy", "--quiet", &archive, &layout]);
        if compression == Some(Encoding::Zstd) {
            continue;
        }
        let bundle = scene.path(&format!("{name}.bundle"));
        let source = format!("{}.d:v1", scene.path(name).display());
        tool("umoci", &["unpack", "--image", &source, &bundle.display().to_string()]);
        let file = fs::metadata(bundle.join("rootfs/app/file")).unwrap();
        assert_eq!((file.mode() & 0o7777, file.uid(), file.gid(), file.mtime()), (0o4755, 7, 8, 1_700_000_000));
        let shell = fs::metadata(bundle.join("rootfs/bin/sh")).unwrap();
        assert_eq!(shell.ino(), fs::metadata(bundle.join("rootfs/bin/busybox")).unwrap().ino());
    }
}

#[test(Program("skopeo"))]
fn skopeo_and_we_read_each_others_docker_archives() {
    let scene = Scene::new();
    let image = scene.built(1_700_000_000, None);
    let exported = scene.export(&image, "docker.tar", ImageFormat::Docker, &ImageOptions::default(), None);
    let archive = format!("docker-archive:{}", scene.path("docker.tar").display());
    let config = tool("skopeo", &["inspect", "--config", &archive]);
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["config"]["WorkingDir"], "/app");

    // The same image, written by skopeo, is imported into empty stores.
    let path = |name: &str| scene.path(name).display().to_string();
    tool("skopeo", &["copy", "--quiet", &archive, &format!("docker-archive:{}:x:v1", path("by-skopeo.tar"))]);
    tool("skopeo", &["copy", "--quiet", &archive, &format!("oci:{}:v1", path("by-skopeo"))]);
    tool("skopeo", &["copy", "--quiet", &archive, &format!("oci-archive:{}:v1", path("by-skopeo.oci.tar"))]);
    for name in ["by-skopeo.tar", "by-skopeo", "by-skopeo.oci.tar", "docker.tar"] {
        let fresh = Scene::new();
        let layout = LayoutImage { path: scene.path(name), tag: Some("v1".into()), digest: None };
        let loaded = layout.load(&Platform::host()).unwrap();
        assert_eq!(loaded.config.config.working_dir, "/app", "{name}");
        let layers = ensure_layers(&fresh.store, &loaded, &Probe::disabled()).unwrap();
        let ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
        assert_eq!(ids, image.config.rootfs.diff_ids, "{name}");
        assert!(LayoutImage { tag: Some("v2".into()), ..layout }.load(&Platform::host()).is_err());
    }
    assert_eq!(exported.manifests.len(), 1);
}

#[test]
fn an_epoch_makes_builds_reproducible() {
    let epoch = Some(1_600_000_000);
    let options = ImageOptions { rewrite_timestamp: true, ..ImageOptions::default() };
    for compression in [None, Some(Encoding::Gzip), Some(Encoding::Zstd)] {
        let options = ImageOptions { compression, ..options.clone() };
        let mut seen = Vec::new();
        for time in [1_700_000_000, 1_700_000_123] {
            let scene = Scene::new();
            let image = scene.built(time, epoch);
            let exported = scene.export(&image, "out.tar", ImageFormat::Oci, &options, epoch);
            let bytes = fs::read(scene.path("out.tar")).unwrap();
            seen.push((exported.target.digest, Digest::of(bytes)));
            // The archive can be imported, and the time of the file is the epoch.
            let loaded =
                LayoutImage { path: scene.path("out.tar"), tag: None, digest: None }.load(&Platform::host()).unwrap();
            let fresh = Scene::new();
            let layers = ensure_layers(&fresh.store, &loaded, &Probe::disabled()).unwrap();
            let tree = fresh.store.tree(&layers.iter().map(|l| l.diff_id).collect::<Vec<_>>()).unwrap();
            assert_eq!(tree.lookup(Path::new("app/file")).unwrap().mtime.seconds, 1_600_000_000);
            assert_eq!(loaded.config.created.as_deref(), Some("2020-09-13T12:26:40Z"));
        }
        assert_eq!(seen[0], seen[1], "{compression:?}");
    }
    // Without rewriting times, the two builds have different digests.
    let plain = ImageOptions::default();
    let digest = |time| {
        let scene = Scene::new();
        scene.export(&scene.built(time, epoch), "out.tar", ImageFormat::Oci, &plain, epoch).target.digest
    };
    assert_ne!(digest(1_700_000_000), digest(1_700_000_123));
}

#[test]
fn a_kept_image_is_found_by_its_name() {
    let scene = Scene::new();
    let image = scene.built(1_700_000_000, None);
    let images = Images::of(&scene.store);
    let target = images.keep(&image).unwrap();
    images.name(&reference("mine:dev"), &target).unwrap();
    let resolver = scene.resolver();
    let found = resolver.image("mine:dev", &Platform::host()).unwrap();
    assert_eq!(found.digest, target.digest.to_manifest());
    assert_eq!(resolver.layers(&found.digest, &Probe::disabled(), &Probe::disabled()).unwrap().len(), 2);
    assert_eq!(images.names().unwrap()[0].name, "docker.io/library/mine:dev");
    let error = resolver.image("mine:other", &Platform::host()).unwrap_err().to_string();
    assert!(error.contains("`mine:dev`"), "{error}");
}

#[test]
fn a_named_context_comes_before_the_embedded_busybox() {
    let scene = Scene::new();
    let image = scene.built(1_700_000_000, None);
    let images = std::slice::from_ref(&image);
    let options = ImageOptions::default();
    let export = Export {
        images,
        names: &[],
        options: &options,
        epoch: None,
        format: ImageFormat::Oci,
        predicates: &[],
        index: false,
    };
    let exported = export.to_directory(&scene.store, &scene.path("layout"), &Probe::disabled()).unwrap();
    let value = format!("oci-layout://{}", scene.path("layout").display());
    let named = NamedImage::parse(&value).unwrap().unwrap();
    let resolver = Resolver::new(&scene.store, [("busybox".to_owned(), named)], Probe::disabled());
    let found = resolver.image("docker.io/library/busybox", &Platform::host()).unwrap();
    assert_eq!(found.digest, exported.target.digest.to_manifest());
    assert!(NamedImage::parse("some/directory").is_none());
    // A second export into the same directory does not write existing blobs.
    let blob = scene.path("layout/blobs/sha256").join(image.config.rootfs.diff_ids[0].hex());
    let before = fs::metadata(&blob).unwrap().ino();
    export.to_directory(&scene.store, &scene.path("layout"), &Probe::disabled()).unwrap();
    assert_eq!(fs::metadata(&blob).unwrap().ino(), before);
}

#[test]
fn files_are_exported_to_a_directory_and_a_tar() {
    let scene = Scene::new();
    let image = scene.built(1_700_000_000, None);
    let layers = &image.config.rootfs.diff_ids;
    let out = scene.path("out");
    // If the export followed this link, it would write a file outside of the directory.
    fs::create_dir_all(&out).unwrap();
    fs::create_dir(scene.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", out.join("app")).unwrap();
    export_directory(&scene.store, layers, &out, None, &Probe::disabled()).unwrap();
    assert_eq!(fs::read_dir(scene.path("elsewhere")).unwrap().count(), 0);
    assert_eq!(fs::read(out.join("app/file")).unwrap(), b"hello\n");
    let file = fs::metadata(out.join("app/file")).unwrap();
    assert_eq!((file.permissions().mode() & 0o7777, file.mtime()), (0o4755, 1_700_000_000));
    assert_eq!(fs::metadata(out.join("app")).unwrap().mtime(), 1_700_000_000);
    // A second export replaces the existing files.
    export_directory(&scene.store, layers, &out, Some(1_600_000_000), &Probe::disabled()).unwrap();
    assert_eq!(fs::metadata(out.join("app/file")).unwrap().mtime(), 1_600_000_000);

    export_tar(
        &scene.store,
        &[(PathBuf::new(), layers)],
        &Destination::Path(scene.path("out.tar")),
        None,
        &Probe::disabled(),
    )
    .unwrap();
    let list = tool("tar", &["-tvf", &scene.path("out.tar").display().to_string()]);
    assert!(list.lines().any(|line| line.starts_with("-rwsr-xr-x 7/8") && line.ends_with("app/file")), "{list}");
}

/// Writes a layout with one layer. Its documents contain the given digests, even if they are wrong.
fn layout(folder: &Path, blob: &[u8], layer_digest: Digest, diff_id: Digest) -> PathBuf {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
        (Digest::of(bytes).to_string(), bytes.len())
    };
    fs::write(blobs.join(layer_digest.hex()), blob).unwrap();
    let Platform { architecture, os, .. } = Platform::host();
    let config = serde_json::json!({"architecture": architecture, "os": os, "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string()]}});
    let (config, config_size) = put(config.to_string().as_bytes());
    let manifest = serde_json::json!({"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": config, "size": config_size}, "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": layer_digest.to_string(), "size": blob.len()}]});
    let (manifest, manifest_size) = put(manifest.to_string().as_bytes());
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{"mediaType":
        "application/vnd.oci.image.manifest.v1+json", "digest": manifest, "size": manifest_size}]});
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    folder.to_owned()
}

fn refused(scene: &Scene, path: PathBuf) -> ImageError {
    let image = LayoutImage { path, tag: None, digest: None }.load(&Platform::host()).unwrap();
    let error = ensure_layers(&scene.store, &image, &Probe::disabled()).unwrap_err();
    let (diff_id, blob) = (image.layers[0].diff_id, image.layers[0].descriptor.digest);
    // A blob with a wrong digest may still contain the layer with the right diff id. Then the store may keep it.
    let harmless = matches!(error, ImageError::BlobDigest { .. });
    assert!(harmless || scene.store.layer(&diff_id).unwrap().is_none(), "{blob}: the store must not have the layer");
    error
}

fn run(folder: &Path, script: &str) {
    let status = Command::new("sh").args(["-ec", script]).current_dir(folder).status().unwrap();
    assert!(status.success());
}

#[test]
fn corrupt_and_hostile_layers_are_errors() {
    let scene = Scene::new();
    let work = scene.path("work");
    fs::create_dir(&work).unwrap();
    run(
        &work,
        "mkdir d; echo x > d/x; tar -cf good.tar d; gzip -nk good.tar; printf evil > ../evil; tar -cPf up.tar d/../../evil",
    );
    let read = |name: &str| fs::read(work.join(name)).unwrap();
    let (tar, gz, up) = (read("good.tar"), read("good.tar.gz"), read("up.tar"));

    let wrong_id = layout(&scene.path("a"), &gz, Digest::of(&gz), Digest::of("other"));
    assert!(matches!(refused(&scene, wrong_id), ImageError::DiffId { .. }));

    let wrong_digest = layout(&scene.path("b"), &gz, Digest::of("other"), Digest::of(&tar));
    let error = refused(&Scene::new(), wrong_digest).to_string();
    assert!(error.contains("is corrupt"), "{error}");

    let cut = &gz[..gz.len() - 9];
    let truncated = layout(&scene.path("c"), cut, Digest::of(cut), Digest::of(&tar));
    let error = refused(&Scene::new(), truncated);
    assert!(matches!(error, ImageError::Decompress { .. }), "{error}");

    let outside = layout(&scene.path("d"), &up, Digest::of(&up), Digest::of(&up));
    let error = refused(&Scene::new(), outside).to_string();
    assert!(error.contains("not a valid path in an image"), "{error}");

    let garbage = layout(&scene.path("e"), b"garbage", Digest::of("garbage"), Digest::of("garbage"));
    let error = refused(&Scene::new(), garbage);
    assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
}

#[test]
fn archives_and_layers_cannot_write_outside_their_destination() {
    let scene = Scene::new();
    let (work, outside) = (scene.path("work"), scene.path("outside"));
    fs::create_dir(&work).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (names(scene.folder.path()), names(&outside));
    run(&work, "mkdir d; echo x > d/x; tar -cf good.tar d; printf evil > evil");
    let good = fs::read(work.join("good.tar")).unwrap();
    let path = layout(&work.join("image"), &good, Digest::of(&good), Digest::of(&good));
    let load = |path: PathBuf| LayoutImage { path, tag: None, digest: None }.load(&Platform::host());

    // Members of the archive with names that lead out of it are ignored.
    run(&work, "tar -C image -cf image.tar . && tar -rPf image.tar --transform='s,^evil$,../../escaped,' evil");
    run(&work, &format!("tar -rPf image.tar --transform='s,^evil$,{}/escaped,' evil", outside.display()));
    ensure_layers(&scene.store, &load(work.join("image.tar")).unwrap(), &Probe::disabled()).unwrap();
    // A blob that is a link out of the archive is missing.
    let blob = path.join("blobs/sha256").join(Digest::of(&good).hex());
    fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), &blob).unwrap();
    run(&work, "tar -C image -cf linked.tar .");
    let image = load(work.join("linked.tar")).unwrap();
    let error = ensure_layers(&Scene::new().store, &image, &Probe::disabled()).unwrap_err();
    assert!(matches!(error, ImageError::BlobMissing { .. }), "{error}");

    // One layer has a file behind an absolute link, the other an absolute hard link. Absolute paths mean paths in the
    // image, so exports and steps must not reach the host's files.
    let to = outside.display();
    run(&work, &format!("ln -s {to} link; tar -cPf through.tar --transform='s,^evil$,link/escaped,' link evil"));
    run(&work, &format!("ln evil one; tar -cPf hard.tar --transform='flags=h;s,^evil$,{to}/secret,' evil one"));
    for name in ["through.tar", "hard.tar"] {
        let layer = fs::read(work.join(name)).unwrap();
        let id = DiffId::of(&layer);
        let image = load(layout(&work.join(name.trim_end_matches(".tar")), &layer, id.digest(), id.digest())).unwrap();
        let (drivers, scene) = (
            [
                DriverChoice::Named(DriverName::Copy),
                DriverChoice::Named(DriverName::Overlay),
                DriverChoice::Named(DriverName::Erofs),
            ],
            Scene::new(),
        );
        for (number, driver) in drivers.into_iter().enumerate() {
            let options = StoreOptions { driver, ..StoreOptions::default() };
            let store = Store::open(&scene.path(&number.to_string()), options).unwrap();
            let out = scene.path(&format!("out-{number}"));
            // The import may fail, or keep the files inside: both are safe.
            if ensure_layers(&store, &image, &Probe::disabled()).is_ok() {
                let _ = export_directory(&store, &[id], &out, None, &Probe::disabled());
                let _ =
                    store.snapshot(&[id], &Probe::disabled()).and_then(|snapshot| snapshot.mount(&Probe::disabled()));
                assert!(!out.join("one").exists() || fs::read_to_string(out.join("one")).unwrap() != "secret");
            }
        }
    }
    assert_eq!((names(scene.folder.path()), names(&outside)), before);
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
}

#[test]
fn a_decompression_bomb_is_stopped() {
    let scene = Scene::new();
    let work = scene.path("work");
    fs::create_dir(&work).unwrap();
    // 1.3 GB of zeros, which are about 40 kB as zstd.
    run(&work, "truncate -s 1300M zeros; tar -cf - zeros | zstd -q -o bomb.tar.zst; rm zeros");
    let bomb = fs::read(work.join("bomb.tar.zst")).unwrap();
    let path = layout(&scene.path("a"), &bomb, Digest::of(&bomb), Digest::of("x"));
    let start = std::time::Instant::now();
    let error = refused(&scene, path);
    assert!(matches!(error, ImageError::Bomb { .. }), "{error}");
    eprintln!("{error}, after {:?}", start.elapsed());
    let left = fs::read_dir(scene.store.root().join("tmp")).unwrap().flatten().map(|entry| entry.path());
    let files = left.filter(|path| path.is_dir()).flat_map(|dir| fs::read_dir(dir).unwrap()).count();
    assert_eq!(files, 0, "partial files must be removed");
}

#[test]
fn corrupt_documents_are_errors() {
    let scene = Scene::new();
    let path = layout(&scene.path("a"), b"x", Digest::of("x"), Digest::of("x"));
    let load = |path: &Path| LayoutImage { path: path.to_owned(), tag: None, digest: None }.load(&Platform::host());
    load(&path).unwrap();
    // A manifest whose content does not match its digest.
    let index = fs::read_to_string(path.join("index.json")).unwrap();
    let digest = index.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let blob = path.join("blobs/sha256").join(&digest);
    let manifest = fs::read_to_string(&blob).unwrap();
    fs::write(&blob, manifest.replace("\"schemaVersion\":2", "\"schemaVersion\":3")).unwrap();
    assert!(matches!(load(&path).unwrap_err(), ImageError::BlobDigest { .. }));
    fs::write(&blob, manifest + " ").unwrap();
    assert!(matches!(load(&path).unwrap_err(), ImageError::BlobSize { .. }));
    // A path out of the layout is not a valid digest.
    fs::write(path.join("index.json"), index.replace(&digest, "../../../../etc/passwd")).unwrap();
    assert!(matches!(load(&path).unwrap_err(), ImageError::Json { .. }));
    // Opening a pipe instead of a blob does not block.
    fs::write(path.join("index.json"), &index).unwrap();
    fs::remove_file(&blob).unwrap();
    run(&path, &format!("mkfifo blobs/sha256/{digest}"));
    assert!(load(&path).unwrap_err().to_string().contains("not a regular file"));
}
