#!/usr/bin/env bash
# Tool: tar-stream 3.2.2 and modern-tar 0.8.6 (npm), writing; GNU tar and
#   Python's tarfile, reading.
# Expected: a modification time before 1970 is written as base-256 or as a pax
#   record, or is refused.
# Seen: both write the digits of the negative number into the octal field
#   ("000000000-5"). GNU tar exits with 2, tarfile does not open the archive.
#   A time after 2242 needs 12 octal digits: modern-tar drops the last one, so
#   2242-03-16 is written as 2004-01-10; tar-stream drops the first, 1970-01-01.
# Matters: one file with an odd date, for example from a source archive, makes an
#   image layer unreadable.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tar-stream@3.2.2 modern-tar@0.8.6
cat >a.mjs <<'JS'
import { pack } from 'tar-stream';
import { packTar } from 'modern-tar';
import { writeFileSync, createWriteStream } from 'fs';
for (const [when, seconds] of [['before', -5], ['late', 8 ** 11 + 5]]) {
  const mtime = new Date(seconds * 1000);
  const archive = pack();
  archive.pipe(createWriteStream(`tar-stream-${when}.tar`));
  archive.entry({ name: 'f', mtime }, '');
  archive.finalize();
  writeFileSync(`modern-tar-${when}.tar`, await packTar([{ header: { name: 'f', mtime, size: 0, type: 'file' }, body: '' }]));
}
JS
node a.mjs
got=$(for name in tar-stream modern-tar; do
  status=0; tar tf $name-before.tar >/dev/null 2>err || status=$?
  python=reads
  python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1])' $name-before.tar 2>err || python=refuses
  echo "$name before 1970: tar exits $status, Python $python"
  echo "$name after 2242: $(tar --utc --full-time -tvf $name-late.tar | awk '{ print $4 }')"
done)
want='tar-stream before 1970: tar exits 2, Python refuses
tar-stream after 2242: 1970-01-01
modern-tar before 1970: tar exits 2, Python refuses
modern-tar after 2242: 2004-01-10'
echo "$got"; [ "$got" = "$want" ]
