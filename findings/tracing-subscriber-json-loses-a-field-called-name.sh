#!/usr/bin/env bash
# Tool: tracing-subscriber 0.3.23 (crate), fmt().json(), with tracing 0.1.44; json of CPython 3.11 as a reader.
# Expected: each line is an object in which each key comes once, and a field of a span has the value that the program gave.
# Seen: the name of a span is written as one more field, "name", after its own fields. A span with a field called name has
#   the key twice, and a reader keeps the last: the value of the program is gone. With flatten_event, fields called level,
#   target and timestamp do the same to the event. No warning is printed or documented. Output, the keys that come twice
#   and what a reader gets:
#     span: name twice, Python reads "step", the program set "libc6"
#     flatten_event: level twice, Python reads "quiet", the event had "ERROR"
# Matters: span!("step", name = ...) is the natural way to log which package or stage was built, and that is what is
#   missing. A search for the level ERROR does not find the error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q tracing@=0.1.44
cargo add -q tracing-subscriber@=0.3.23 --no-default-features --features fmt,json
cat >src/main.rs <<'RS'
fn main() {
    let lines = tracing_subscriber::fmt().json().without_time();
    tracing::subscriber::with_default(lines.finish(), || {
        let span = tracing::info_span!("step", name = "libc6");
        span.in_scope(|| tracing::info!("built"));
    });
    let flat = tracing_subscriber::fmt().json().without_time().flatten_event(true);
    tracing::subscriber::with_default(flat.finish(), || tracing::error!(level = "quiet", "failed"));
}
RS
CARGO_BUILD_JOBS=1 nice -n 15 cargo build -q
target/debug/a >lines
cat >read.txt <<'PY'
import json


def twice(line, key):
    found = []
    json.loads(line, object_pairs_hook=lambda pairs: found.append([name for name, _ in pairs].count(key)))
    return "twice" if 2 in found else "once"


span, flat = open("lines")
read = json.loads(span)["span"]["name"]
print(f'span: name {twice(span, "name")}, Python reads "{read}", the program set "libc6"')
read = json.loads(flat)["level"]
print(f'flatten_event: level {twice(flat, "level")}, Python reads "{read}", the event had "ERROR"')
PY
got=$(python3 read.txt)
want='span: name twice, Python reads "step", the program set "libc6"
flatten_event: level twice, Python reads "quiet", the event had "ERROR"'
echo "$got"; [ "$got" = "$want" ]
