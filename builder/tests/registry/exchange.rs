//! Pushes to and pulls from a registry, also by other tools.

use crate::{Scene, noise};
use buildscope_builder::images::{
    CacheExport, CacheFrom, CacheRecord, CacheTo, Credentials, Destination, Export, ImageError, ImageFormat,
    ImageOptions, ImportedCache, PreparedBlobs, Registries, RegistryOptions, Resolver, ensure_layers, inline_cache,
};
use buildscope_oci::{Encoding, Platform, Reference};
use buildscope_record::{DiffId, Probe, StepKey};
use buildscope_testing::{Registry, test};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

fn reference(registry: &Registry, name: &str) -> Reference {
    registry.name(name).parse().unwrap()
}

fn options(registry: &Registry) -> RegistryOptions {
    let authority = registry.authority();
    RegistryOptions {
        authorities: authority.exists().then_some(authority).into_iter().collect(),
        ..RegistryOptions::default()
    }
}

fn credentials(registry: &Registry, folder: &Path, json: &str) -> Credentials {
    let path = folder.join("docker.json");
    fs::write(&path, json.replace("HOST", &registry.host)).unwrap();
    Credentials::read(&path).unwrap()
}

#[test(Program("docker-registry"))]
fn pushed_images_are_read_by_us_and_by_skopeo() {
    let registry = Registry::start();
    let registries = Registries::new(options(&registry), Credentials::default());
    let scene = Scene::new();
    // Larger than a chunk, so that the upload takes two.
    let image = scene.built(None, &noise(20 << 20));
    for (compression, tag) in [(None, "gzip"), (Some(Encoding::Zstd), "zstd"), (Some(Encoding::Plain), "plain")] {
        let to = reference(&registry, &format!("team/app:{tag}"));
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
    // A pull by digest uses the documents that the first pull kept, without a request.
    let fresh = Scene::new();
    let named = reference(&registry, "team/app:gzip");
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
        // The other way round: skopeo pushes one of our archives, and we pull it.
        let (archive, to) = (fresh.folder.path().join("a.tar"), reference(&registry, "by/skopeo:1"));
        let options = ImageOptions::default();
        let export = Export {
            images: std::slice::from_ref(&image),
            names: &[],
            options: &options,
            epoch: None,
            format: ImageFormat::Oci,
            predicates: &[],
            index: false,
        };
        export.to_archive(&scene.store, &Destination::Path(archive.clone()), &Probe::disabled()).unwrap();
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
        .pull(&reference(&registry, "team/app:none"), &Platform::host(), &scene.images())
        .unwrap_err()
        .to_string();
    assert!(missing.contains("not found") && missing.contains("team/app:none"), "{missing}");
}

#[test(Program("docker-registry"))]
fn a_base_of_the_same_registry_is_mounted() {
    let registry = Registry::start();
    let registries = Registries::new(options(&registry), Credentials::default());
    let scene = Scene::new();
    let base = reference(&registry, "base/image:1");
    scene.push(&scene.built(None, &noise(1 << 20)), &base, &registries, &ImageOptions::default()).unwrap();

    let other = Scene::new();
    let resolver = Resolver::new(&other.store, [], Probe::disabled()).with_registries(registries.clone());
    let pulled = resolver.image(&base.to_string(), &Platform::host()).unwrap();
    let image = other.built(Some(&pulled), b"small");
    // The store's image of that name is found, except with `newest`.
    let kept = other.images().keep(&other.built(None, b"old")).unwrap();
    other.images().name(&base, &kept).unwrap();
    let resolve = |newest| {
        let resolver = Resolver::new(&other.store, [], Probe::disabled()).with_registries(registries.clone());
        resolver.newest(newest).image(&base.to_string(), &Platform::host()).unwrap().digest
    };
    assert_eq!((resolve(false), resolve(true)), (kept.digest.to_manifest(), pulled.digest));
    // The base's layers are not in this store, so they can only have been mounted.
    let derived = reference(&registry, "derived:1");
    other.push(&image, &derived, &registries, &ImageOptions::default()).unwrap();
    assert!(other.store.layer(&pulled.layers[0].diff_id).unwrap().is_none());
    let found = registries.pull(&derived, &Platform::host(), &Scene::new().images()).unwrap();
    assert_eq!(found.layers[0], pulled.layers[0]);
}

#[test(Program("docker-registry"), Program("openssl"))]
fn tls_and_logins_are_checked() {
    let registry = Registry::guarded();
    let scene = Scene::new();
    let image = scene.built(None, b"secret content");
    let to = reference(&registry, "private/app:1");
    // The base64 of `tester:secret`.
    let login = r#"{"auths": {"HOST": {"auth": "dGVzdGVyOnNlY3JldA=="}}}"#;
    let wrong = r#"{"auths": {"HOST": {"username": "tester", "password": "wrong"}}}"#;
    let push = |options: RegistryOptions, json: &str| {
        let registries = Registries::new(options, credentials(&registry, scene.folder.path(), json));
        scene.push(&image, &to, &registries, &ImageOptions::default())
    };
    let unknown = push(RegistryOptions::default(), login).unwrap_err().to_string();
    assert!(unknown.to_lowercase().contains("cert"), "an unknown authority must not be trusted: {unknown}");
    let anonymous = push(options(&registry), "{}").unwrap_err().to_string();
    assert!(anonymous.contains("docker login"), "{anonymous}");
    let refused = push(options(&registry), wrong).unwrap_err().to_string();
    assert!(refused.contains("401"), "{refused}");
    let digest = push(options(&registry), login).unwrap();
    // The certificate of an insecure host is not verified.
    let insecure = RegistryOptions { insecure: [registry.host.clone()].into(), ..RegistryOptions::default() };
    let registries = Registries::new(insecure, credentials(&registry, scene.folder.path(), login));
    assert_eq!(registries.pull(&to, &Platform::host(), &Scene::new().images()).unwrap().digest, digest);

    // A credential helper is found on PATH.
    let helper = scene.folder.path().join("docker-credential-of-test");
    fs::write(&helper, "#!/bin/sh\nread server\n[ \"$1\" = get ] && echo \"{\\\"Username\\\": \\\"tester\\\", \\\"Secret\\\": \\\"secret\\\"}\"\n").unwrap();
    fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let json = r#"{"credHelpers": {"HOST": "of-test"}}"#;
    let path = format!("{}:{}", scene.folder.path().display(), std::env::var("PATH").unwrap());
    // A test must not change PATH for the others in its process, so the pull runs in another process.
    let me = std::env::current_exe().unwrap();
    let config = scene.folder.path().join("helper.json");
    fs::write(&config, json.replace("HOST", &registry.host)).unwrap();
    let child = Command::new(me)
        .arg("--pull-with-helper")
        .env("PATH", path)
        .env("TEST_CONFIG", config)
        .env("TEST_IMAGE", to.to_string())
        .env("TEST_CA", registry.authority())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

/// The other process of the test above: pulls with the credentials and the `PATH` in its environment.
pub(crate) fn pull_with_helper() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let options = RegistryOptions { authorities: vec![variable("TEST_CA").into()], ..RegistryOptions::default() };
    let credentials = Credentials::read(&PathBuf::from(variable("TEST_CONFIG"))).unwrap();
    let registries = Registries::new(options, credentials);
    registries.pull(&variable("TEST_IMAGE").parse().unwrap(), &Platform::host(), &Scene::new().images()).unwrap();
}

#[test(Program("docker-registry"))]
fn caches_are_exported_and_imported() {
    let registry = Registry::start();
    let registries = Registries::new(options(&registry), Credentials::default());
    let scene = Scene::new();
    let mut image = scene.built(None, &noise(200_000));
    let diff_id = image.config.rootfs.diff_ids[0];
    let record = CacheRecord { key: StepKey::of("key"), diff_id, value: serde_json::json!({"files": 1}) };
    let records = std::slice::from_ref(&record);
    let prepared = PreparedBlobs::of(&scene.store);
    let export = CacheExport { records, imported: None, registries: Some(&registries), prepared: &prepared };

    let folder = scene.folder.path().join("cache").display().to_string();
    let name = format!("{}/team/cache:main", registry.host);
    let app = reference(&registry, "team/app:inline");
    for to in [format!("type=local,dest={folder}"), format!("type=registry,ref={name},mode=max,compression=zstd")] {
        export.write(&scene.store, &CacheTo::parse(&to).unwrap(), &Probe::disabled()).unwrap();
    }
    let (field, value) = inline_cache(records);
    image.config.other.insert(field, value);
    scene.push(&image, &app, &registries, &ImageOptions::default()).unwrap();

    for from in [format!("type=local,src={folder}"), format!("type=registry,ref={name}"), app.to_string()] {
        let fresh = Scene::new();
        let from = [CacheFrom::parse(&from).unwrap()];
        let (cache, faults) = imported(&from, &registries, &fresh);
        assert_eq!(cache.look_up(&record.key, &Probe::disabled()).as_ref(), Some(&record), "{from:?}");
        assert_eq!(cache.look_up(&StepKey::of("other"), &Probe::disabled()), None);
        assert_eq!(faults.try_iter().count(), 0, "{from:?}");
        assert!(fresh.store.layer(&diff_id).unwrap().is_none(), "layers must not be fetched before they are needed");
        cache.ensure(&fresh.store, &[diff_id, DiffId::of("of another")], &Probe::disabled()).unwrap();
        assert!(fresh.store.layer(&diff_id).unwrap().is_some(), "{from:?}");
        // A build whose steps are all cached pushes without fetching layers: blobs exist already or are mounted.
        let lazy = Scene::new();
        let (cache, _) = imported(&from, &registries, &lazy);
        cache.look_up(&record.key, &Probe::disabled()).expect("the cache has the record");
        let names = [reference(&registry, "team/app:again")];
        let options = ImageOptions::default();
        let push = Export {
            images: std::slice::from_ref(&image),
            names: &names,
            options: &options,
            epoch: None,
            format: ImageFormat::Oci,
            predicates: &[],
            index: false,
        };
        push.to_registry(&lazy.store, &registries, Some(&cache), &Probe::disabled()).unwrap();
        assert!(lazy.store.layer(&diff_id).unwrap().is_none(), "{from:?}");
    }
    let none =
        [CacheFrom::parse("type=local,src=/nowhere").unwrap(), CacheFrom::Registry(reference(&registry, "none:1"))];
    let (cache, faults) = imported(&none, &registries, &scene);
    assert_eq!(faults.try_iter().count(), 0, "nothing is read before the first lookup");
    assert_eq!(cache.look_up(&record.key, &Probe::disabled()), None);
    assert_eq!(cache.look_up(&StepKey::of("other"), &Probe::disabled()), None);
    assert_eq!(faults.try_iter().count(), 2, "caches are read once");
}

/// The caches, and the faults of those that cannot be read.
fn imported(from: &[CacheFrom], registries: &Registries, scene: &Scene) -> (ImportedCache, Receiver<ImageError>) {
    let (sender, faults) = channel();
    let report = move |fault| sender.send(fault).unwrap();
    (ImportedCache::new(from.to_vec(), Some(registries), &scene.images(), &[Platform::host()], report), faults)
}
