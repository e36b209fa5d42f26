#!/usr/bin/env bash
# Tool: serde-saphyr 2.2.0 (crate, 2026), which programs take in place of serde_yaml, and serde_yaml_ng 0.10.0
#   (crate), which continues that one; both into serde_json::Value.
# Expected: 0440 is the octal 288 of YAML 1.1, the integer 440 of YAML 1.2, or stays text, as it did; a short
#   commit of digits is an integer or text.
# Seen: a number with a zero in front is a float, as neither YAML 1.1 nor 1.2 says; 0o440 and 440 are integers.
#   Of 19 digits, a float keeps 16. The documentation has an option that keeps such numbers as text, and one
#   (strict_booleans) that keeps NO; by default both are converted. Output:
#     serde-saphyr: [440.0,288,440,1.2345678901234568e+17,false]
#     serde_yaml_ng: ["0440",288,440,"0123456789012345678","NO"]
# Matters: a program that reads any YAML, such as a converter of compose files, gets 440.0 for `mode: 0440`, and
#   a build number 0123456789012345678 that is another one.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q serde-saphyr@=2.2.0 serde_yaml_ng@=0.10.0 serde_json@1
cat >src/main.rs <<'RS'
fn main() {
    let text = "[0440, 0o440, 440, 0123456789012345678, NO]";
    let new: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    let old: serde_json::Value = serde_yaml_ng::from_str(text).unwrap();
    println!("serde-saphyr: {new}\nserde_yaml_ng: {old}");
}
RS
CARGO_BUILD_JOBS=1 nice -n 15 cargo build -q
got=$(target/debug/a)
want='serde-saphyr: [440.0,288,440,1.2345678901234568e+17,false]
serde_yaml_ng: ["0440",288,440,"0123456789012345678","NO"]'
echo "$got"; [ "$got" = "$want" ]
