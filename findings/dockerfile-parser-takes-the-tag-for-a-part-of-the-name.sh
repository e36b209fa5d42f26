#!/usr/bin/env bash
# Tool: dockerfile-parser 0.9.0 (crate), ImageRef::parse.
# Expected: name:tag@digest, the form that pinning tools write, has a name, a tag
#   and a digest.
# Seen: the digest is split off and the colon is not looked for any more: the
#   image is "alpine:3.20" without a tag. ${TAG:-3.20} stays unexpanded, although
#   ${TAG} is expanded.
# Matters: a tool that lists or updates base images treats alpine and alpine:3.20
#   as two images, and finds no tag to update on the pinned one.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q dockerfile-parser@=0.9.0
cat >src/main.rs <<'RS'
use dockerfile_parser::{Dockerfile, ImageRef};
fn main() {
    let digest = format!("sha256:{}", "a".repeat(64));
    for text in ["alpine:3.20".to_string(), format!("alpine@{digest}"), format!("alpine:3.20@{digest}")] {
        let image = ImageRef::parse(&text);
        println!("{} {:?} {}", image.image, image.tag, image.hash.is_some());
    }
    for text in ["${TAG}", "${TAG:-3.20}"] {
        let file = Dockerfile::parse(&format!("ARG TAG=3.19\nFROM alpine:{text}\n")).unwrap();
        let from = file.instructions[1].as_from().unwrap();
        println!("{text} {:?}", from.image_parsed.resolve_vars(&file).unwrap().tag);
    }
}
RS
cargo build -q
got=$(target/debug/a)
want='alpine Some("3.20") false
alpine None true
alpine:3.20 None true
${TAG} Some("3.19")
${TAG:-3.20} Some("${TAG:-3.20}")'
echo "$got"; [ "$got" = "$want" ]
