//! Pushes to a registry with faults.

use crate::faulty::{Fault, Faulty};
use crate::noise;
use buildscope_record::Digest;
use buildscope_testing::test;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A size between one and two chunks.
const TWO_CHUNKS: usize = 20 << 20;

/// Pushes to a registry with these faults. The push must succeed, and the pushed content must match its digests.
fn pushed(content: &[u8], faults: Vec<(&'static str, Fault)>) -> Faulty {
    let faulty = Faulty::start(HashMap::new(), faults);
    let (manifest, layer) = faulty.push(content).unwrap();
    assert_eq!(Digest::of(faulty.body(&layer).unwrap()).to_string(), layer.rsplit('/').next().unwrap());
    assert!(String::from_utf8(faulty.body(&manifest).unwrap()).unwrap().contains("oci.image.manifest"));
    faulty
}

/// Pushes to a registry that always has this fault. The push must fail. Returns the error and the registry.
fn refused(word: &'static str, fault: Fault) -> (String, Faulty) {
    let faulty = Faulty::start(HashMap::new(), vec![(word, fault); 1000]);
    let error = faulty.push(&noise(1000)).unwrap_err().to_string();
    assert!(error.contains(&faulty.host) && error.contains("team/app"), "host or repository is missing: {error}");
    (error, faulty)
}

#[test]
fn transient_errors_are_retried() {
    let start = Instant::now();
    let faulty = pushed(
        &noise(100_000),
        vec![
            ("HEAD /v2/team/app/blobs", Fault::Status(502, None)),
            ("POST", Fault::Status(429, Some(1))),
            ("PATCH", Fault::Status(429, Some(2))),
            ("PATCH", Fault::Status(500, None)),
            ("PUT /v2/team/app/blobs", Fault::Status(503, None)),
            ("PUT /v2/team/app/manifests", Fault::Status(500, None)),
            ("PUT /v2/team/app/manifests", Fault::Status(429, Some(1))),
        ],
    );
    assert!(start.elapsed() >= Duration::from_secs(3), "`Retry-After` of a chunk and of the manifest must be honoured");
    assert_eq!(faulty.froms("PUT /v2/team/app/manifests").len(), 3);
}

#[test]
fn an_upload_is_resumed_within_a_chunk() {
    let faults =
        vec![("PATCH", Fault::Drop(3 << 20)), ("PATCH", Fault::Drop(1 << 20)), ("PATCH", Fault::Status(500, None))];
    let mut froms = pushed(&noise(TWO_CHUNKS), faults).froms("PATCH");
    froms.sort_unstable();
    // The last two faults may hit the configuration, which is sent in parallel with the layer, from offset 0.
    froms.dedup();
    assert_eq!(froms, [0, 3 << 20, 4 << 20, 20 << 20]);
}

#[test]
fn a_forgotten_upload_is_started_again() {
    let faulty = pushed(&noise(TWO_CHUNKS), vec![("PATCH", Fault::Forget), ("PUT /v2/team/app/blobs", Fault::Forget)]);
    let started = faulty.froms("POST").len();
    assert_eq!(started, 4, "two blobs, and an upload again after each fault: {:?}", faulty.log());
}

#[test]
fn a_rejected_digest_is_reported_without_a_retry() {
    let (error, faulty) = refused("PATCH", Fault::Lie);
    assert!(error.contains("DIGEST_INVALID") && error.contains("sha256:"), "{error}");
    assert!(faulty.froms("PUT").len() <= 2, "one for each blob: {:?}", faulty.log());
    assert!(faulty.body("/v2/team/app/manifests/1").is_none(), "the manifest must not be pushed without its blobs");
}

#[test]
fn permanent_errors_are_reported_with_advice() {
    for (word, fault, status, advice) in [
        ("POST", Fault::Status(403, None), "403", "docker login"),
        ("POST", Fault::Status(429, Some(3600)), "429", "3600 s"),
        ("POST", Fault::Status(500, None), "500", "try again later"),
        ("PATCH", Fault::Status(500, None), "500", "try again later"),
        ("PATCH", Fault::Status(429, Some(3600)), "429", "3600 s"),
        ("PATCH", Fault::Status(413, None), "413", "limit"),
        ("PATCH", Fault::Drop(0), "PATCH", ""),
        ("PUT /v2/team/app/manifests", Fault::Status(429, None), "429", "try again later"),
        ("PUT /v2/team/app/manifests", Fault::Status(400, None), "400", "manifest `1`"),
    ] {
        let (error, faulty) = refused(word, fault.clone());
        assert!(error.contains(status) && error.contains(advice), "{word} {fault:?}: {error}");
        // There are two blobs. Each upload is started at most five times, and each request is sent at most five times.
        assert!(faulty.froms(word).len() <= 2 * 5 * 5, "{word} {fault:?}");
        assert!(faulty.body("/v2/team/app/manifests/1").is_none());
    }
}
