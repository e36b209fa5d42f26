#!/usr/bin/env bash
# Tool: tar-stream 3.2.2 (npm), reading an archive of GNU tar.
# Expected: GNU tar stores a time before 1970 as a negative base-256 number, and
#   a reader gives the same second back.
# Seen: tar-stream inverts the bits but does not add one (two's complement), so
#   each negative time is one second too late: -5 reads as -4, -1000 as -999.
# Matters: a tool that compares or hashes entry metadata sees a changed file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tar-stream@3.2.2
for second in -5 -1000 -86400 5; do touch -d "@$second" "at$second"; done
tar --format=gnu -cf a.tar at-5 at-1000 at-86400 at5
got=$(node - <<'JS'
const extract = require('tar-stream').extract();
extract.on('entry', (h, s, next) => { console.log(h.name, h.mtime.getTime() / 1000); s.on('end', next); s.resume(); });
extract.end(require('fs').readFileSync('a.tar'));
JS
)
want='at-5 -4
at-1000 -999
at-86400 -86399
at5 5'
echo "$got"; [ "$got" = "$want" ]
