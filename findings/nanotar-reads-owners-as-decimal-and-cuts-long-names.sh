#!/usr/bin/env bash
# Tool: nanotar 0.3.0 (npm), with GNU tar on the other side.
# Expected: user 1000 is 1000 (the field is octal: 1750), and a long name that
#   the reader supports can also be written.
# Seen: parseTar() takes the octal digits of uid and gid as a decimal number and
#   gives 1750 for user 1000; size and time are right. createTar() cuts a name
#   at 100 characters without an error, so two long names can become one file.
# Matters: owners change when an archive is read and written again, each time.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts nanotar@0.3.0
echo data >f
tar --owner=:1000 --group=:33 --mtime=@1700000000 -cf a.tar f
cat >a.mjs <<'JS'
import { createTar, parseTar } from 'nanotar';
import { readFileSync, writeFileSync } from 'fs';
const [file] = parseTar(readFileSync('a.tar'));
console.log('read', file.attrs.uid, file.attrs.gid, file.attrs.mtime, file.size);
const prefix = 'n'.repeat(100);
writeFileSync('b.tar', createTar([{ name: prefix + '1', data: 'x' }, { name: prefix + '2', data: 'y' }]));
JS
got=$(
  node a.mjs
  tar tf b.tar | while read -r name; do echo "wrote a name of ${#name}"; done
)
want='read 1750 41 1700000000 5
wrote a name of 100
wrote a name of 100'
echo "$got"; [ "$got" = "$want" ]
