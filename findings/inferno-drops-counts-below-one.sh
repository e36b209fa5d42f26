#!/usr/bin/env bash
# Tool: inferno 0.12.8 (crate), flame graph from folded stacks.
# Expected: folded lines may have fractional values, as in the original
#   flamegraph.pl, or they are an error.
# Seen: the fraction is cut off each line before the sum, and lines below one
#   vanish. Three steps of 0.5, 0.5 and 1.9 seconds make a graph of "1 samples"
#   with only the last step. A value such as 1e3 drops its line. The result is
#   Ok; the only hint is a message to the log crate.
# Matters: stacks weighted with seconds lose all short steps and nearly half of
#   the rest. Weights must be integers, such as microseconds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q inferno@=0.12.8 --no-default-features
cat >src/main.rs <<'RS'
fn main() {
    for lines in [["build;a 0.5", "build;b 0.5", "build;c 1.9"], ["build;a 1e3", "build;b 2", "build;c 1"]] {
        let mut svg = Vec::new();
        let result = inferno::flamegraph::from_lines(&mut Default::default(), lines, &mut svg);
        let svg = String::from_utf8(svg).unwrap();
        let mut frames: Vec<&str> = svg.split("<title>").skip(1).map(|t| t.split(", ").next().unwrap()).collect();
        frames.sort();
        println!("{result:?} {}", frames.join(", "));
    }
}
RS
got=$(cargo run -q)
want='Ok(()) all (1 samples, build (1 samples, c (1 samples
Ok(()) all (3 samples, b (2 samples, build (3 samples, c (1 samples'
echo "$got"; [ "$got" = "$want" ]
