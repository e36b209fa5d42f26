#!/usr/bin/env bash
# Tool: tar-stream 3.2.2 and modern-tar 0.8.6 (npm).
# Expected: the user id field of an archive holds ids up to 2097151, and larger
#   ones go into a pax record.
# Seen: tar-stream writes six octal digits at most. Each id above 262143 is
#   written as 262143, without an error; so are group ids. modern-tar keeps them.
# Matters: subordinate ids for rootless containers start at 100000 and go up by
#   65536 per user. From the fourth user on, all files of an archive packed with
#   tar-stream (or tar-fs) belong to one wrong owner.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tar-stream@3.2.2 modern-tar@0.8.6
cat >a.mjs <<'JS'
import { pack } from 'tar-stream';
import { packTar } from 'modern-tar';
import { writeFileSync, createWriteStream } from 'fs';
const owners = [262143, 262144, 296608, 2097151, 3000000];
const archive = pack();
archive.pipe(createWriteStream('tar-stream.tar'));
for (const id of owners) archive.entry({ name: String(id), uid: id, gid: id }, '');
archive.finalize();
writeFileSync('modern-tar.tar', await packTar(owners.map(id => ({ header: { name: String(id), uid: id, gid: id, size: 0, type: 'file' }, body: '' }))));
JS
node a.mjs
got=$(for name in tar-stream modern-tar; do echo $name; tar --numeric-owner -tvf $name.tar | awk '{ print $NF, $2 }'; done)
want='tar-stream
262143 262143/262143
262144 262143/262143
296608 262143/262143
2097151 262143/262143
3000000 262143/262143
modern-tar
262143 262143/262143
262144 262144/262144
296608 296608/296608
2097151 2097151/2097151
3000000 3000000/3000000'
echo "$got"; [ "$got" = "$want" ]
