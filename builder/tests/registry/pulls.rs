//! Pulls from a registry with faults.

use crate::Scene;
use crate::faulty::{Fault, Faulty, contents, layer_path};
use buildscope_builder::images::{Credentials, ImageError, Registries, RegistryOptions, Resolver};
use buildscope_oci::Platform;
use buildscope_record::Probe;
use buildscope_testing::{in_time, test, undisturbed};
use std::time::{Duration, Instant};

#[test]
fn a_broken_download_is_resumed() {
    let content = contents();
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
    assert_eq!(faulty.froms(layer), [0, 30_000, 30_000, 70_000]);
}

#[test]
fn transient_errors_are_retried() {
    let content = contents();
    let layer = layer_path(&content);
    let faults = vec![
        ("/v2/", Fault::Status(503, None)),
        ("manifests", Fault::Status(429, Some(1))),
        (layer, Fault::Status(500, None)),
        (layer, Fault::Status(502, None)),
    ];
    let start = Instant::now();
    Faulty::start(content, faults).pull().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After must be honoured");
}

#[test]
fn permanent_errors_are_reported() {
    let content = contents();
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
    // A blob whose content does not match its digest in the manifest.
    let mut lying = content;
    let config = lying.keys().find(|path| path.contains("blobs") && path.as_str() != layer).unwrap().clone();
    lying.get_mut(&config).unwrap().1[0] = b'[';
    let error = Faulty::start(lying, Vec::new()).pull().unwrap_err();
    assert!(matches!(error, ImageError::BlobDigest { .. }), "{error}");
}

/// The registry redirects to a storage host, which then asks for a token of its own service.
#[test]
fn a_password_is_not_sent_where_another_host_says() {
    let content = contents();
    let layer = layer_path(&content);
    let other = Faulty::start(content.clone(), Vec::new());
    let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"x\"\r\n", other.host);
    let storage = Faulty::start(content.clone(), vec![(layer, Fault::Answer(401, challenge)); 9]);
    let redirect = format!("Location: http://{}{layer}\r\n", storage.host);
    let registry = Faulty::start(content, vec![(layer, Fault::Answer(307, redirect)); 9]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    // The base64 of `tester:secret`.
    let login = format!(r#"{{"auths": {{"{}": {{"auth": "dGVzdGVyOnNlY3JldA=="}}}}}}"#, registry.host);
    std::fs::write(&config, login).unwrap();
    let error = registry.pull_with(Credentials::read(&config).unwrap()).unwrap_err().to_string();
    assert!(error.contains("401"), "{error}");
    assert_eq!(storage.froms(layer).len(), 1, "{:?}", storage.log());
    assert_eq!(other.log().len(), 0, "{:?}", other.log());
}

#[test]
fn an_unreachable_host_is_reported_soon() {
    let registries = Registries::new(RegistryOptions::default(), Credentials::default());
    let scene = Scene::new();
    let resolver = Resolver::new(&scene.store, [], Probe::disabled()).with_registries(registries);
    undisturbed(|_| {
        let start = Instant::now();
        let error = resolver.image("127.0.0.1:1/app", &Platform::host()).unwrap_err().to_string();
        assert!(error.contains("--build-context") && error.contains("127.0.0.1:1"), "{error}");
        in_time(start.elapsed() < Duration::from_secs(5), start.elapsed())
    });
}
