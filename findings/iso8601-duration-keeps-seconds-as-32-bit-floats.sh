#!/usr/bin/env bash
# Tool: iso8601-duration 0.2.0 (crate).
# Expected: PT1.1S as std::time::Duration is 1.1 s, and whole seconds are exact.
# Seen: each field is an f32. PT1.1S is 1.100000024 s, PT1H30M0.1S is
#   5400.100097656 s, PT16777217S is one second short.
# Matters: durations with fractions do not compare equal to the same durations
#   from another reader, and hours of build time are off by up to half a second.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q iso8601-duration@=0.2.0 --no-default-features
cat >src/main.rs <<'RS'
fn main() {
    for text in ["PT1.5S", "PT1.1S", "PT1H30M0.1S", "PT16777217S"] {
        println!("{text} {:?}", iso8601_duration::Duration::parse(text).unwrap().to_std().unwrap());
    }
}
RS
cargo build -q
got=$(target/debug/a)
want='PT1.5S 1.5s
PT1.1S 1.100000024s
PT1H30M0.1S 5400.100097656s
PT16777217S 16777216s'
echo "$got"; [ "$got" = "$want" ]
