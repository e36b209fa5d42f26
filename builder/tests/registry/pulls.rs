//! Pulls from a registry that misbehaves.

use crate::Scene;
use crate::faulty::{Fault, Faulty, contents, layer_path};
use buildscope_builder::images::{Credentials, ImageError, Registries, RegistryOptions, Resolver};
use buildscope_oci::Platform;
use buildscope_record::Probe;
use buildscope_testing::test;
use std::time::{Duration, Instant};

#[test]
fn a_dropped_download_goes_on_where_it_broke() {
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
fn what_passes_is_waited_for() {
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
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After is heeded");
}

#[test]
fn what_does_not_pass_is_said() {
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
