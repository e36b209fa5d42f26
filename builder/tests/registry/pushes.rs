//! Pushes to a registry that misbehaves.

use crate::faulty::{Fault, Faulty};
use crate::noise;
use buildscope_record::Digest;
use buildscope_testing::test;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// More than one chunk, less than two.
const TWO_CHUNKS: usize = 20 << 20;

/// Pushes to a registry with these faults, which must succeed; what arrives must be what its names say.
fn pushed(content: &[u8], faults: Vec<(&'static str, Fault)>) -> Faulty {
    let faulty = Faulty::start(HashMap::new(), faults);
    let (manifest, layer) = faulty.push(content).unwrap();
    assert_eq!(Digest::of(faulty.body(&layer).unwrap()).to_string(), layer.rsplit('/').next().unwrap());
    assert!(String::from_utf8(faulty.body(&manifest).unwrap()).unwrap().contains("oci.image.manifest"));
    faulty
}

/// Pushes to a registry that always has this fault, which must fail; gives what is said, and the registry.
fn refused(word: &'static str, fault: Fault) -> (String, Faulty) {
    let faulty = Faulty::start(HashMap::new(), vec![(word, fault); 1000]);
    let said = faulty.push(&noise(1000)).unwrap_err().to_string();
    assert!(said.contains(&faulty.host) && said.contains("team/app"), "neither host nor repository: {said}");
    (said, faulty)
}

#[test]
fn what_passes_is_waited_for() {
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
    assert!(start.elapsed() >= Duration::from_secs(3), "`Retry-After` of a chunk and then of the manifest");
    assert_eq!(faulty.froms("PUT /v2/team/app/manifests").len(), 3);
}

#[test]
fn a_chunk_that_came_in_part_is_gone_on_with() {
    let faults =
        vec![("PATCH", Fault::Drop(3 << 20)), ("PATCH", Fault::Drop(1 << 20)), ("PATCH", Fault::Status(500, None))];
    let mut froms = pushed(&noise(TWO_CHUNKS), faults).froms("PATCH");
    froms.sort_unstable();
    // The last two breaks may be those of the configuration, which is sent beside the layer, from 0.
    froms.dedup();
    assert_eq!(froms, [0, 3 << 20, 4 << 20, 20 << 20]);
}

#[test]
fn an_upload_that_the_registry_forgot_is_begun_anew() {
    let faulty = pushed(&noise(TWO_CHUNKS), vec![("PATCH", Fault::Forget), ("PUT /v2/team/app/blobs", Fault::Forget)]);
    assert!(faulty.froms("POST").len() >= 3, "{:?}", faulty.log());
}

#[test]
fn a_digest_that_is_refused_is_said_and_not_tried_again() {
    let (said, faulty) = refused("PATCH", Fault::Lie);
    assert!(said.contains("DIGEST_INVALID") && said.contains("sha256:"), "{said}");
    assert!(faulty.froms("PUT").len() <= 2, "one for each blob: {:?}", faulty.log());
    assert!(faulty.body("/v2/team/app/manifests/1").is_none(), "no manifest without its blobs");
}

#[test]
fn what_does_not_pass_is_said_with_what_to_do() {
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
        let (said, faulty) = refused(word, fault.clone());
        assert!(said.contains(status) && said.contains(advice), "{word} {fault:?}: {said}");
        // Two blobs, of which each is begun five times at most, and each request is made five times at most.
        assert!(faulty.froms(word).len() <= 2 * 5 * 5, "{word} {fault:?}");
        assert!(faulty.body("/v2/team/app/manifests/1").is_none());
    }
}
