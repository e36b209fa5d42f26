#!/usr/bin/env bash
# Tool: oci-spec 0.10.0 (crate).
# Expected: reading an image configuration or manifest and writing it again gives
#   the same text each time, so its digest can be an identity.
# Seen: labels and annotations are a HashMap. The same program on the same input
#   writes the keys in another order in each run, and the digest differs.
# Matters: a builder that keys its cache by the digest of a rewritten manifest
#   never hits, and two pushes of one image make two images.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q oci-spec@=0.10.0 --no-default-features --features image
cat >src/main.rs <<'RS'
fn main() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let text = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":2}},"layers":[],"annotations":{{"a":"1","b":"2","c":"3","d":"4","e":"5","f":"6","g":"7","h":"8"}}}}"#
    );
    let manifest = oci_spec::image::ImageManifest::from_reader(text.as_bytes()).unwrap();
    println!("{}", manifest.to_string().unwrap());
}
RS
cargo build -q
for run in 1 2 3 4 5 6 7 8; do target/debug/a; done >runs
head -n 3 runs | grep -o '"annotations.*'
distinct=$(sort -u runs | wc -l)
echo "$distinct texts in 8 runs"
[ "$distinct" -gt 1 ]
