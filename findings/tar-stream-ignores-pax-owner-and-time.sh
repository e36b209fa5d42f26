#!/usr/bin/env bash
# Tool: tar-stream 3.2.2 (npm); tar 7.5.23 (npm) for comparison.
# Expected: a pax archive from Python's tarfile reads the same in both.
# Seen: tar-stream takes only path, linkpath and size from pax records. User
#   3000000 becomes user 0, a time in the year 2242 or before 1970 becomes
#   1970-01-01, and fractions of a second are rounded. The records are there in
#   header.pax, unused.
# Matters: user ids above 2097151 are usual with user namespaces and directory
#   services. A layer copied through tar-stream gives such files to root.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tar-stream@3.2.2 tar@7.5.23
python3 - <<'PY'
import io, tarfile
with tarfile.open("a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
    for name, uid, mtime in [("owned", 3000000, 0), ("old", 0, -1000), ("late", 0, 8**11 + 5), ("half", 0, 1700000000.5)]:
        member = tarfile.TarInfo(name)
        member.uid, member.mtime = uid, mtime
        archive.addfile(member, io.BytesIO())
PY
got=$(node - <<'JS'
const fs = require('fs'), stream = require('tar-stream'), tar = require('tar');
const data = fs.readFileSync('a.tar');
const line = (reader, name, uid, mtime) => console.log(reader, name, uid, mtime.toISOString());
const parser = new tar.Parser({ onReadEntry: e => { line('tar', e.path, e.uid, e.mtime); e.resume(); } });
parser.on('end', () => {
  const extract = stream.extract();
  extract.on('entry', (h, s, next) => { line('tar-stream', h.name, h.uid, h.mtime); s.on('end', next); s.resume(); });
  extract.end(data);
});
parser.end(data);
JS
)
want='tar owned 3000000 1970-01-01T00:00:00.000Z
tar old 0 1969-12-31T23:43:20.000Z
tar late 0 2242-03-16T12:56:37.000Z
tar half 0 2023-11-14T22:13:20.500Z
tar-stream owned 0 1970-01-01T00:00:00.000Z
tar-stream old 0 1970-01-01T00:00:00.000Z
tar-stream late 0 1970-01-01T00:00:00.000Z
tar-stream half 0 2023-11-14T22:13:20.000Z'
echo "$got"; [ "$got" = "$want" ]
